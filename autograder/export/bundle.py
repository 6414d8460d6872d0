"""What more than one platform takes: the course as a wheel, and where pip finds PyTorch's CPU build."""

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from rlhf_core.errors import CourseError

ROOT = Path(__file__).parents[2]


def add_torch_index(parser):
    parser.add_argument(
        "--torch-index",
        type=index,
        metavar="URL",
        help="PyTorch's own index of its CPU builds, from its Get started page, for pip to look at, too; without it pip takes "
        "the build with CUDA, several gigabytes that a grader has no use for",
    )


def index(text: str) -> str:
    if not re.fullmatch(r"https://[\w.~:/%+-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address that begins with https://")
    return text


def course_wheel(folder: Path) -> Path:
    """Build the wheel of the whole course, hidden checks and reference answers included, into a folder.

    hatchling builds it: the one of this environment, else one that pip downloads for it. Raises CourseError.
    """
    if not (ROOT / "pyproject.toml").exists():
        raise CourseError("the course is installed here without its repository: run this in a clone of the repository")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    if importlib.util.find_spec("hatchling") is not None:
        command.append("--no-build-isolation")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise CourseError(f"the wheel of the course could not be built ({why}): without a network, pip install hatchling first")
    return next(folder.glob("rlhf_course-*.whl"))
