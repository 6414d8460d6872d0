"""The command `rlhf-course check`."""

import argparse
import importlib.metadata
import json
import sys
import time
from pathlib import Path

from rlhf_core.course import exercise_names, meant
from rlhf_core.errors import UsageError

from .driver.reading import content_hash, require
from .result import as_data, points


def check(subparsers):
    parser = subparsers.add_parser(
        "check",
        help="check answers: what is right, what is wrong, and where to read",
        description="Run the visible checks on a notebook, a .py file, or a folder or archive of them, and explain what fails. "
        "Exit codes: 0 every point, 1 something is wrong or missing, 2 usage.",
        epilog="example: rlhf-course check answers.py --exercise compute_gae",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a notebook, a .py file, or a folder or archive of them")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--lesson", type=int, metavar="N", help="only the exercises of lesson N")
    scope.add_argument("--exercise", metavar="NAME", help="only this exercise")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(execute=execute_check)


def execute_check(args) -> int:
    from .apart import rows_apart

    names = requested(args.lesson, args.exercise)
    require(args.file)
    started = time.perf_counter()
    rows = with_progress(rows_apart(args.file, names, args.json, sys.stdout.isatty()), len(names))
    results, refused = rows[:-1], rows[-1]["refused"]
    if args.json:
        facts = {
            "submission_hash": content_hash(args.file),
            "course_version": importlib.metadata.version("rlhf-course"),
            "seed_id": "visible",
            "isolation": None,
            "wall_s": round(time.perf_counter() - started, 3),
        }
        exercises = {row["exercise"]: row["data"] for row in results}
        print(json.dumps(as_data(args.file.resolve().stem, refused, exercises, **facts), ensure_ascii=True))
    elif refused is not None:
        print(f"Nothing could be checked: {refused}.")
    else:
        print(summary(results))
    return 0 if all(map(whole, results)) else 1


def requested(lesson: int | None, exercise: str | None) -> list[str]:
    """The names of the exercises asked for. Raises UsageError for a lesson or an exercise that there is not."""
    if exercise is not None and exercise not in exercise_names():
        raise UsageError(f"there is no exercise {exercise!r}{meant(exercise)}; the exercises are {', '.join(exercise_names())}")
    if not exercise_names(lesson):
        raise UsageError(f"lesson {lesson} has no exercises to check; lessons 1 to 9 have")
    return exercise_names(lesson) if exercise is None else [exercise]


def with_progress(rows, total) -> list[dict]:
    """All rows, with a progress bar on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, desc="checking", leave=False, disable=not sys.stderr.isatty()) as bar:
        kept = []
        for row in rows:
            kept.append(row)
            bar.update("exercise" in row)
    return kept


def whole(row) -> bool:
    return row["points"] == row["max_points"]


def summary(results: list[dict]) -> str:
    """The exercises that were handed in, one by one; the others in a line; the sum."""
    handed_in = [row for row in results if row["state"] != "missing" or len(results) == 1]
    absent = [row for row in results if row not in handed_in]
    passed = [row for row in handed_in if whole(row)]
    parts = [row["text"] for row in handed_in if row not in passed]
    if passed:
        parts.insert(0, "All checks passed: " + ", ".join(row["exercise"] for row in passed))
    parts += [row["note"] for row in passed if row["note"]]
    parts += [row["problem"] for row in absent if row["explained"]]
    if missing := [row["exercise"] for row in absent if not row["explained"]]:
        parts.append(f"Not handed in: {', '.join(missing)}")
    got, most = sum(row["points"] for row in results), sum(row["max_points"] for row in results)
    parts.append(f"{points(got)} of {points(most)} points in the visible checks.")
    return "\n\n".join(parts)
