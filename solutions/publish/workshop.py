"""`rlhf-course publish --workshop DIR`: a folder for a USB stick, from which laptops without a network are set up.

START-HERE.txt                  what to do
start.sh, start.bat, start.py   does it
course/                         the student edition
wheels/                         everything that it needs, for each system and Python that the kit is for
kit.json                        which these are
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rlhf_core.course import course
from rlhf_core.errors import CourseError, UsageError

from .editions import EXTRAS
from .folders import MARKER, write_folder
from .kit.start import this_target

KIT = Path(__file__).parent / "kit"
STARTERS = ("start.py", "start.sh", "start.bat")
# What pip and uv call the systems; the tags are the oldest that all pinned wheels are there for.
SYSTEMS = {
    "windows": ("windows", ["win_amd64"]),
    "macos": ("aarch64-apple-darwin", ["macosx_14_0_arm64"]),
    "linux": ("linux", ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]),
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
BUILD = ("hatchling", "editables")  # pip builds the editable install of the course with them


def write_kit(folder: Path, student, targets, extra_index: str | None = None):
    """Write the kit to `folder`, from the files of the student edition.

    targets: [system, Python version] pairs; those of other machines than this one need `uv`.  extra_index: where pip looks
    besides, such as that of PyTorch's CPU builds for Linux.  Raises CourseError where wheels cannot be had; then `folder` is as
    it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".kit-") as working:
        fresh = Path(working, "kit")
        fill(fresh, student, targets, ["--extra-index-url", extra_index] if extra_index else [])
        if folder.exists():
            folder.rename(Path(working, "old"))
        fresh.rename(folder)


def fill(folder: Path, student, targets, index):
    write_folder(student, folder / "course")
    (folder / "course" / MARKER).unlink()  # it is the laptop's own from then on
    wheels = folder / "wheels"
    wheels.mkdir()
    for number, target in enumerate(targets, 1):
        print(f"wheels for {target[0]} with Python {target[1]} ({number} of {len(targets)}) ...", file=sys.stderr, flush=True)
        collect = wheels_of_this_machine if target == this_target() else wheels_of_another
        collect(wheels, folder / "course", target, index)
    for name in STARTERS:
        shutil.copy(KIT / name, folder / name)
    (folder / "start.sh").chmod(0o755)
    (folder / "kit.json").write_text(json.dumps({"targets": targets}) + "\n", encoding="utf-8")
    (folder / "START-HERE.txt").write_text(start_here(targets), encoding="utf-8")


def must_be_a_kit(folder: Path):
    """Raises CourseError for a folder with something else in it."""
    if folder.exists() and not (folder / "kit.json").exists() and any(folder.iterdir()):
        raise CourseError(f"{folder} is there already and is no kit: move it away, or name another folder")


def targets_of(texts: list[str] | None) -> list[list[str]]:
    """Of "windows-3.12" and the like; without any this machine's. Raises UsageError."""
    return [parse_target(text) for text in texts] if texts else [this_target()]


def parse_target(text: str) -> list[str]:
    """['windows', '3.12'] from 'windows-3.12'. Raises UsageError."""
    system, _, version = text.partition("-")
    if system not in SYSTEMS or version not in PYTHONS:
        raise UsageError(
            f"--for {text}: name a system and a Python, such as windows-3.12 "
            f"(systems: {', '.join(SYSTEMS)}; Pythons: {', '.join(PYTHONS)})"
        )
    return [system, version]


def wheels_of_this_machine(wheels, student, target, index):
    """By pip itself, which builds where there is no wheel."""
    wanted = [f"{student}[{','.join(EXTRAS)}]", *BUILD]
    run("pip", "wheel", "--wheel-dir", wheels, "--constraint", student / "constraints.txt", *index, *wanted)
    for own in wheels.glob("rlhf_course-*.whl"):  # the course is installed from its folder, where the lessons are
        own.unlink()


def wheels_of_another(wheels, student, target, index):
    """uv resolves for a system that is not here, as pip cannot; pip gets the files."""
    system, version = target
    name, tags = SYSTEMS[system]
    with tempfile.TemporaryDirectory() as folder:
        wanted, resolved = Path(folder) / "wanted.in", Path(folder) / "resolved.txt"
        wanted.write_text("\n".join(BUILD) + "\n", encoding="utf-8")
        project = [student / "pyproject.toml", "--extra", "notebook", "--extra", "lab"]
        asked = ["--python-platform", name, "--python-version", version, "--constraint", student / "constraints.txt"]
        run("uv", "pip", "compile", "--quiet", wanted, *project, *asked, *index, "--output-file", resolved)
        platforms = [word for tag in tags for word in ("--platform", tag)]
        exact = ["--no-deps", "--only-binary=:all:", "--python-version", version, "--implementation", "cp", *platforms]
        run("pip", "download", "--dest", wheels, *exact, *index, "--requirement", resolved)


def run(module, *words):
    """`python -m module ...`; its own progress is shown. Raises CourseError where it fails."""
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # uv takes an older macOS, for which torch has no wheel
    done = subprocess.run([sys.executable, "-m", module, *map(str, words)], stdout=sys.stderr, env=environment)
    if done.returncode:
        hint = "" if module != "uv" else "; for other systems than this one uv is needed: pip install 'rlhf-course[workshop]'"
        raise CourseError(f"{module} could not get what the kit needs, see above{hint}. The kit's folder is as it was")


def start_here(targets) -> str:
    systems = "\n".join(f"  - {system}: Python {version}" for system, version in targets)
    return f"""{course()["title"]}

No network is needed. You need one of these on your laptop:
{systems}

Linux, macOS:  open a terminal in this folder and type   sh start.sh
Windows:       double-click start.bat

It copies the course to the folder rlhf-course in your home folder, installs it there (a minute or two), and opens the lessons
in your browser. Begin with 00_tour.ipynb. What you write stays in that folder; you can give the stick back.

To begin again another day: the same, or in the folder rlhf-course   .venv/bin/jupyter lab lessons
"""
