"""The syllabus, read from `course.toml`: lessons, exercises and points stand there and nowhere else."""

import functools
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


@functools.cache
def course() -> dict:
    """The parsed `course.toml`, from beside this file (an installed wheel) or from the root of the clone."""
    here = Path(__file__).parent
    path = next(p for p in (here / "course.toml", here.parent / "course.toml") if p.exists())
    return tomllib.loads(path.read_text(encoding="utf-8"))


@functools.cache
def lesson_of(exercise: str) -> dict:
    """The lesson that an exercise belongs to. KeyError for a name that is no exercise."""
    for lesson in course()["lessons"]:
        if exercise in lesson["exercises"]:
            return lesson
    raise KeyError(f"course.toml lists no exercise {exercise!r}")
