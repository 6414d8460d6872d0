"""The syllabus, read from `course.toml`: lessons, exercises and points stand there and nowhere else."""

import difflib
import functools
import re
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from .errors import UsageError

WRITE_HERE = "*Write your answer here.*"  # what the answer cell of a written question holds before anybody has written


@functools.cache
def course() -> dict:
    """The parsed `course.toml`, from beside this file (an installed wheel) or from the root of the clone."""
    here = Path(__file__).parent
    path = next(p for p in (here / "course.toml", here.parent / "course.toml") if p.exists())
    return tomllib.loads(path.read_text(encoding="utf-8"))


def exercise_names(lesson: int | None = None) -> list[str]:
    """The names of the graded exercises, of one lesson or of all, in the order of the course."""
    return [name for each in course()["lessons"] if lesson in (None, each["number"]) for name in each["exercises"]]


def questions() -> dict[str, dict]:
    """The written questions, by name: the lesson of each, whose `questions` has its points."""
    return {name: lesson for lesson in course()["lessons"] for name in lesson.get("questions", {})}


def notebook_name(lesson: dict) -> str:
    """The file of a lesson: 04_kl.ipynb."""
    return f"{lesson['number']:02d}_{lesson['name']}.ipynb"


def meant(name: str) -> str:
    """' (did you mean compute_gae?)' for a name that is nearly that of an exercise; '' where none is near."""
    lower = {exercise.lower(): exercise for exercise in exercise_names()}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.7)
    return f" (did you mean {lower[near[0]]}?)" if near else ""


def checked_repository(name: str) -> str:
    """The name of a repository on GitHub, as it is. Raises UsageError for what is none."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+", name, re.ASCII):
        raise UsageError(f"--repository is OWNER/NAME, as on GitHub, and not {name!r}")
    return name


@functools.cache
def lesson_of(exercise: str) -> dict:
    """The lesson that an exercise belongs to. KeyError for a name that is no exercise."""
    for lesson in course()["lessons"]:
        if exercise in lesson["exercises"]:
            return lesson
    raise KeyError(f"course.toml lists no exercise {exercise!r}")
