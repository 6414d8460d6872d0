"""What `grade` left in a results folder, read back. A file that is not as `grade` writes it is passed over, not trusted.

A graded result with a `reason` is that of somebody who handed in nothing for what was graded: all exercises are missing.
"""

import json
import os
from pathlib import Path

from autograder.driver.likeness import LONGEST
from autograder.driver.reading import MOST_WRITTEN
from autograder.result import SCHEMA
from rlhf_core.course import exercise_names, lesson_of, questions
from rlhf_core.errors import UsageError

STANDINGS = ("not_graded", "refused", "no_submission", "graded")  # of submissions; those that need most to be done come first
LARGEST = 8 * 2**20  # bytes of a file; a result of the whole course has about a tenth of one MiB


class NotOurs(Exception):
    """A file that `grade` did not write like this, and what is odd about it."""


def folders_of(out: Path) -> list[Path]:
    """The folders with a result, by name. Raises UsageError where `out` is no folder or holds none."""
    if not out.is_dir():
        raise UsageError(f"there is no folder {str(out)!r}: name the one that rlhf-course grade was given as --out")
    with os.scandir(out) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    found = [out / name for name in names if (out / name / "result.json").is_file()]
    if not found:
        raise UsageError(f"{str(out)!r} holds no results: grade into it first, rlhf-course grade PATH... --out DIR")
    return found


def read_result(folder: Path) -> dict:
    """result.json, as DESIGN.md and `result.as_data` have it, with `questions` in any case. Raises NotOurs."""
    return checked(read_json(folder / "result.json"))


def standing(result: dict) -> str:
    """The state of a result, or "no_submission" where nothing was handed in for what was graded."""
    nothing = result["state"] == "graded" and result["reason"] is not None
    return "no_submission" if nothing else result["state"]


def in_words(counts: dict[str, int]) -> str:
    """counts: of submissions, by standing."""
    said = [f"{counts[each]} {each.replace('_', ' ')}" for each in ("graded", "refused", "not_graded")]
    said += [f"{counts['no_submission']} with nothing handed in"] if counts["no_submission"] else []
    return f"{sum(counts.values())} submissions: {', '.join(said)}"


def read_answers(folder: Path) -> dict[str, dict[str, str]]:
    """answers.json, as `driver.likeness.answers_of` has it; empty where there is none. Raises NotOurs."""
    if not (folder / "answers.json").exists():
        return {}
    answers, names = read_json(folder / "answers.json"), set(exercise_names())
    require(isinstance(answers, dict), "answers.json is not an object")
    for name, answer in answers.items():
        fine = name in names and isinstance(answer, dict) and set(answer) == {"source", "normal"}
        fine = fine and all(isinstance(text, str) and len(text) <= LONGEST for text in answer.values())
        require(fine, f"answers.json has an entry {name[:40]!r} that is no answer")
    return answers


def read_written(folder: Path) -> dict[str, str]:
    """written.json: by question, what was written; empty where there is none. Raises NotOurs."""
    if not (folder / "written.json").exists():
        return {}
    written = read_json(folder / "written.json")
    require(isinstance(written, dict), "written.json is not an object")
    for name, text in written.items():
        fine = name in questions() and is_text(text) and len(text) <= MOST_WRITTEN
        require(fine, f"written.json has an entry {name[:40]!r} that answers no question")
    return written


def read_json(path: Path):
    """Raises NotOurs."""
    try:
        require(path.stat().st_size <= LARGEST, f"{path.name} is larger than {LARGEST >> 20} MiB")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise NotOurs(f"{path.name} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise NotOurs(f"{path.name} is not JSON ({error})") from error


def require(fine: bool, otherwise: str):
    if not fine:
        raise NotOurs(otherwise)


def is_text(value) -> bool:
    return isinstance(value, str)


def is_text_or_none(value) -> bool:
    return value is None or isinstance(value, str)


def is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9  # False for NaN


def one_of(*values):
    return lambda value: is_text(value) and value in values


SCORE = {"points": is_number, "max_points": is_number}
RESULT = SCORE | {
    "submission": is_text,
    "state": one_of("graded", "refused", "not_graded"),
    "reason": is_text_or_none,
    "submission_hash": is_text_or_none,
    "course_version": is_text,
    "seed_id": is_text_or_none,
    "isolation": is_text_or_none,
    "wall_s": is_number,
    "exercises": lambda value: isinstance(value, dict),
}
EXERCISE = SCORE | {
    "lesson": is_number,
    "state": one_of("graded", "missing", "not_graded"),
    "checks": lambda value: isinstance(value, list),
}
QUESTION = {
    "lesson": is_number,
    "state": one_of("needs_manual_grading", "missing"),
    "points": lambda value: value is None,  # a person gives them, and keeps them elsewhere
    "max_points": is_number,
}
CHECK = SCORE | {
    "name": is_text,
    "title": is_text,
    "status": one_of("passed", "failed", "not_graded"),
    "visibility": one_of("visible", "hidden"),
    "message": is_text,
    "diagnosis": is_text_or_none,
}


def checked(data) -> dict:
    """`data`, where it is a result of this schema for exercises of this course whose points add up. Raises NotOurs."""
    require(isinstance(data, dict) and "schema" in data, "result.json is not a result of grading")
    require(data["schema"] == SCHEMA, f"result.json has schema {str(data['schema'])[:40]}, and {SCHEMA} is what is read here")
    fields_fit(data, RESULT, "result.json")
    for name, exercise in data["exercises"].items():
        require(name in exercise_names(), f"result.json is of another course: this one has no exercise {name[:40]!r}")
        fields_fit(exercise, EXERCISE, name)
        require(exercise["lesson"] == lesson_of(name)["number"], f"{name} is no exercise of lesson {exercise['lesson']}")
        for check in exercise["checks"]:
            fields_fit(check, CHECK, f"a check of {name}")
        adds_up(exercise, exercise["checks"], name)
    adds_up(data, data["exercises"].values(), "result.json")
    require(isinstance(data.setdefault("questions", {}), dict), "result.json has questions that are not an object")
    for name, question in data["questions"].items():
        require(name in questions(), f"result.json is of another course: this one has no written question {name[:40]!r}")
        fields_fit(question, QUESTION, name)
    return data


def fields_fit(data, fields, where):
    require(isinstance(data, dict), f"{where} is not an object")
    for name, fits in fields.items():
        require(name in data, f"{where} has no {name!r}")
        require(fits(data[name]), f"{where} has {str(data[name])[:40]!r} for {name!r}")


def adds_up(whole, parts, where):
    """A sum that was changed by hand is told by its parts. Rounding to 6 digits is let through."""
    total = sum(part["points"] for part in parts)
    fine = abs(whole["points"] - total) < 1e-3 and whole["points"] <= whole["max_points"] + 1e-3
    require(
        fine, f"{where} has {whole['points']:g} points of {whole['max_points']:g}, and its parts make {total:g}: was it edited?"
    )
