"""The command `rlhf-course check`."""

import argparse
import hashlib
import importlib.metadata
import json
import sys
import time
from pathlib import Path


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
    names = requested(args.lesson, args.exercise)
    from .engine import run_submission
    from .report import as_data
    from .show import as_text
    from .submission import read_submission

    started = time.perf_counter()
    submission = read_submission(args.file)
    results = list(with_progress(run_submission(submission, names), len(names)))
    wall_s = round(time.perf_counter() - started, 3)
    if args.json:
        facts = {
            "submission_hash": content_hash(args.file),
            "course_version": importlib.metadata.version("rlhf-course"),
            "seed_id": "visible",
            "isolation": None,
            "wall_s": wall_s,
        }
        print(json.dumps(as_data(submission, results, **facts), ensure_ascii=True))
    elif submission.refused is not None:
        print(f"Nothing could be checked: {submission.refused}.")
    else:
        print(summary(results, as_text, colour=sys.stdout.isatty()))
    return 0 if all(result.points == result.max_points for result in results) else 1


def requested(lesson: int | None, exercise: str | None) -> list[str]:
    """The names of the exercises asked for. Raises UsageError for a lesson or an exercise that there is not."""
    from rlhf_core.errors import UsageError

    from .engine import names_of

    names = names_of(lesson, exercise)
    if not names and exercise is not None:
        raise UsageError(f"there is no exercise {exercise!r}; the exercises are {', '.join(names_of())}")
    if not names:
        raise UsageError(f"lesson {lesson} has no exercises to check; lessons 1 to 9 have")
    return names


def with_progress(results, total):
    """A progress bar on a terminal."""
    from tqdm.auto import tqdm

    return tqdm(results, total=total, desc="checking", leave=False, disable=not sys.stderr.isatty())


def summary(results, as_text, colour) -> str:
    """The exercises that were handed in, one by one; the others in a line; the sum."""
    from .show import points

    handed_in = [result for result in results if result.state != "missing" or len(results) == 1]
    absent = [result for result in results if result not in handed_in]
    whole = [result for result in handed_in if result.points == result.max_points]
    parts = [as_text([result], colour) for result in handed_in if result not in whole]
    if whole:
        parts.insert(0, "All checks passed: " + ", ".join(result.exercise for result in whole))
    parts += [result.note for result in whole if result.note]
    stubs = [result for result in absent if result.checks[0].findings[0].kind == "stub"]
    parts += [result.problem for result in stubs]
    if len(absent) > len(stubs):
        parts.append("Not handed in: " + ", ".join(result.exercise for result in absent if result not in stubs))
    got, most = sum(result.points for result in results), sum(result.max_points for result in results)
    parts.append(f"{points(got)} of {points(most)} points in the visible checks.")
    return "\n\n".join(parts)


def content_hash(path: Path) -> str:
    """sha256 of the file, or of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        digest.update(b"" if path.is_file() else str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
