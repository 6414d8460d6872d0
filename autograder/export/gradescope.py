"""`rlhf-course export gradescope`: the zip of an autograder. What runs there is in `gradescope_run`."""

import argparse
import json
import secrets
import tempfile
import zipfile
from pathlib import Path

from rlhf_core.course import course, exercise_names
from rlhf_core.errors import CourseError, UsageError

from .bundle import ROOT, add_torch_index, course_wheel

TEMPLATES = Path(__file__).parent / "templates"
WHEN = ("after_due_date", "after_published", "hidden", "visible")
READ, RUN, SECRET = 0o100644, 0o100755, 0o100600  # modes of files


def add(platforms):
    parser = platforms.add_parser(
        "gradescope",
        help="the zip of a Gradescope autograder",
        description="Write the zip of an autograder for Gradescope: the whole course with its hidden checks and reference "
        "answers, setup.sh and run_autograder. It holds the secret that all inputs follow from: give it to nobody. Upload it "
        "at Configure Autograder, with Ubuntu 22.04 or newer. Exit codes: 0 done, 1 it failed, 2 usage.",
        epilog="example: rlhf-course export gradescope --lesson 5 --out lesson5.zip",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("gradescope.zip"), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--lesson", type=int, metavar="N", help="only the exercises of lesson N")
    parser.add_argument(
        "--hidden", choices=WHEN, default=WHEN[0], help="when students see the hidden checks; default: %(default)s"
    )
    source = parser.add_mutually_exclusive_group()
    add_torch_index(source)
    source.add_argument("--wheels", type=Path, metavar="DIR", help="install from these wheels, which go into the zip, alone")
    parser.add_argument(
        "--leaderboard", action="store_true", help="show P(positive), KL and win rate from a report.json that is handed in"
    )
    parser.add_argument(
        "--accept-c", action="store_true", help="grade where the container gives no isolation, too: code there can cheat"
    )
    parser.add_argument("--seed", metavar="WORDS", help="the secret that all inputs follow from; without it, one is drawn")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.set_defaults(execute=execute)


def execute(args) -> int:
    require(args)
    settings = {
        "seed": args.seed or secrets.token_hex(16),
        "lesson": args.lesson,
        "hidden": args.hidden,
        "leaderboard": args.leaderboard,
        "accept_c": args.accept_c,
    }
    with tempfile.TemporaryDirectory() as folder:
        wheel = course_wheel(Path(folder))
        wheels = [] if args.wheels is None else wheels_in(args.wheels)
        try:
            write(args.out, settings, requirements(wheel.name, args.torch_index, bool(wheels)), wheel, wheels)
        except OSError as error:
            raise CourseError(f"{str(args.out)!r} could not be written: {error.strerror}") from error
    print(f"{args.out} is written ({args.out.stat().st_size / 2**20:.0f} MiB). Upload it at Configure Autograder.")
    print(f"Autograder points of the assignment: {points_of(args.lesson)}.")
    print("It holds the answers and the secret seed, which --seed takes for another zip of the same assignment:")
    print(f"  unzip -p {args.out} settings.json")
    return 0


def require(args):
    """Raises UsageError."""
    if args.lesson is not None and args.lesson not in [lesson["number"] for lesson in course()["lessons"]]:
        raise UsageError(f"there is no lesson {args.lesson}; the course has 0 to {course()['lessons'][-1]['number']}")
    if not exercise_names(args.lesson) and not args.leaderboard:
        raise UsageError(f"lesson {args.lesson} has no exercises to grade; lessons 1 to 9 have")
    if args.out.exists() and not args.force:
        raise UsageError(f"{str(args.out)!r} is there, with the seed of an assignment: name another --out, or add --force")


def points_of(lesson: int | None) -> int:
    return sum(sum(each["exercises"].values()) for each in course()["lessons"] if lesson in (None, each["number"]))


def wheels_in(folder: Path) -> list[Path]:
    """All but the course's own. Raises UsageError where there are none."""
    found = sorted(path for path in folder.glob("*.whl") if not path.name.startswith("rlhf_course-"))
    if not found:
        raise UsageError(f"{str(folder)!r} holds no wheels: pip wheel --wheel-dir {folder} . makes such a folder")
    return found


def requirements(wheel: str, torch_index: str | None, offline: bool) -> str:
    """The file that setup.sh gives to pip, in which options can stand, too."""
    lines = ["--constraint constraints.txt"]
    lines += ["--no-index", "--find-links wheels"] if offline else []
    lines += [f"--extra-index-url {torch_index}"] if torch_index else []
    return "\n".join([*lines, f"./{wheel}", ""])


def write(out: Path, settings: dict, needs: str, wheel: Path, wheels: list[Path]):
    texts = [
        (path.name, path.read_text(encoding="utf-8"), RUN) for path in (TEMPLATES / "setup.sh", TEMPLATES / "run_autograder")
    ]
    texts += [
        ("settings.json", json.dumps(settings, indent=1) + "\n", SECRET),
        ("requirements.txt", needs, READ),
        ("constraints.txt", (ROOT / "constraints.txt").read_text(encoding="utf-8"), READ),
    ]
    files = [(wheel.name, wheel), *((f"wheels/{path.name}", path) for path in wheels)]
    with zipfile.ZipFile(out, "w") as archive:
        for name, text, mode in texts:
            archive.writestr(member(name, mode), text)
        for name, path in files:
            with archive.open(member(name, READ), "w", force_zip64=True) as target:
                target.write(path.read_bytes())


def member(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # of 1980: two zips of the same content are the same bytes
    info.create_system, info.external_attr = 3, mode << 16
    return info
