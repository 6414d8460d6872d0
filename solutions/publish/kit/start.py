"""Sets the course up on this laptop, without a network, and opens the lessons. Run by start.sh and start.bat.

    python start.py [--to FOLDER] [--no-browser]

Copies the course into your home folder, makes a Python environment in it from the wheels beside this file, and starts
JupyterLab. What is there already is kept: the second time it only starts.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

KIT = Path(__file__).resolve().parent
WHEELS = KIT / "wheels"


def main() -> int:
    parser = argparse.ArgumentParser(description="Set the course up from this folder, without a network, and open the lessons.")
    parser.add_argument("--to", type=Path, default=Path.home() / "rlhf-course", help="where the course goes (%(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="set up, and do not start JupyterLab")
    parser.add_argument("--fits", action="store_true", help="only tell by the exit code whether the kit is for this Python")
    args = parser.parse_args()
    if args.fits:
        return 0 if wrong_python() is None else 1
    if (problem := wrong_python()) is not None:
        print(problem, file=sys.stderr)
        return 2
    try:
        copy_course(args.to)
        python = install(args.to)
    except OSError as error:
        print(f"It stopped: {error}. Is the disk full? Mend that, and start again: it goes on.", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"pip could not install the course (exit code {error.returncode}). What it said is above.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Start again, and it goes on.", file=sys.stderr)
        return 130
    if args.no_browser:
        print(f"Ready. To begin: {python} -m jupyter lab {args.to / 'lessons'}")
        return 0
    print("Opening the lessons. Leave this window open; Ctrl-C ends it.")
    return subprocess.call([str(python), "-m", "jupyter", "lab", str(args.to / "lessons")])


def wrong_python() -> str | None:
    """Why this Python cannot be used with these wheels; None where it can."""
    here = this_target()
    targets = json.loads((KIT / "kit.json").read_text(encoding="utf-8"))["targets"]
    if here in targets:
        return None
    known = ", ".join(f"{system} with Python {version}" for system, version in targets)
    return f"This kit is for {known}; this is {here[0]} with Python {here[1]}. Install that Python, or ask for another kit."


def this_target() -> list:
    """['linux', '3.12']"""
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    return [system, f"{sys.version_info[0]}.{sys.version_info[1]}"]


def copy_course(to: Path):
    """The course beside this file, at `to`; a folder that is there already is left as it is."""
    if (to / "course.toml").exists():
        print(f"The course is in {to} already; your work there stays as it is.")
        return
    if to.exists() and any(to.iterdir()):
        raise OSError(f"{to} is there and is not the course: name another folder with --to")
    print(f"Copying the course to {to} ...", flush=True)
    partial = to.with_name(f".{to.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(KIT / "course", partial)
    if to.exists():
        to.rmdir()
    partial.replace(to)


def install(to: Path) -> Path:
    """The Python of the course's environment, which is made where it is not there yet."""
    python = to / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = to / ".venv" / "ready"
    if ready.exists():
        return python
    started = time.time()
    print("Making a Python environment ...", flush=True)
    # Anew: what lies there is half of an installation, perhaps by another Python.
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(to / ".venv")], check=True)
    print("Installing, from this folder alone (a minute or two) ...", flush=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--find-links", str(WHEELS)]
    # Nothing of this laptop's own settings of pip: they may point to a network.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | {"PIP_CONFIG_FILE": os.devnull}
    constraints = ["--constraint", str(to / "constraints.txt")]
    subprocess.run([*pip, "--quiet", "hatchling", "editables"], check=True, env=clean)
    course = ["--no-build-isolation", "--editable", f"{to}[notebook,library,lab]"]
    subprocess.run([*pip, "--quiet", *constraints, *course], check=True, env=clean)
    ready.touch()
    print(f"Installed in {time.time() - started:.0f} seconds.")
    return python


if __name__ == "__main__":
    sys.exit(main())
