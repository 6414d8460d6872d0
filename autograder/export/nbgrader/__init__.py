"""`rlhf-course export nbgrader`: a course for nbgrader from this repository, and the points of `grade` in its gradebook."""

import argparse
import re
from pathlib import Path

from rlhf_core.course import checked_repository, course, exercise_names
from rlhf_core.errors import UsageError


def add(platforms):
    parser = platforms.add_parser(
        "nbgrader",
        help="a course for nbgrader, and points and comments in its gradebook",
        description="Without --results: make an nbgrader course in COURSE_DIR, one assignment for each lesson with exercises. "
        "With --results: put what `rlhf-course grade` found into its gradebook. What the folder was made with is remembered: a "
        "second time COURSE_DIR alone will do. Exit codes: 0 done, 1 something was left out, and is named, 2 usage.",
        epilog="example: rlhf-course export nbgrader rlhf-2026 --lessons 1,4-6 --repository your-name/your-course\n"
        "example: rlhf-course grade rlhf-2026/submitted --lesson 5 --out results-05 --official\n"
        "example: rlhf-course export nbgrader rlhf-2026 --results results-05",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("course", type=Path, metavar="COURSE_DIR", help="the folder of the nbgrader course")
    parser.add_argument(
        "--lessons", metavar="LIST", help="which lessons become assignments, such as 1,4-6, beside those in the folder; all"
    )
    parser.add_argument("--course-id", metavar="NAME", help="the name of the course; rlhf")
    parser.add_argument("--exchange", type=Path, metavar="DIR", help="nbgrader's exchange, where it is not in its usual place")
    parser.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        help="your own on GitHub, as for rlhf-course publish: badge and first cell lead to its branch student",
    )
    parser.add_argument("--results", type=Path, metavar="DIR", help="results of rlhf-course grade, for the gradebook")
    parser.add_argument("--assignment", metavar="NAME", help="with --results: only this assignment, such as lesson-05")
    parser.set_defaults(execute=execute)


def execute(args) -> int:
    if args.assignment is not None and args.results is None:
        raise UsageError("--assignment goes with --results: which lessons become assignments is said by --lessons")
    exchange = None if args.exchange is None else str(args.exchange.resolve())
    chosen = {"course_id": args.course_id, "exchange": exchange, "repository": args.repository}
    if args.results is not None and any(each is not None for each in (args.lessons, *chosen.values())):
        raise UsageError(
            "--results puts points into a course that is there: leave out --lessons, --course-id, --exchange and --repository"
        )
    if args.repository is not None:
        checked_repository(args.repository)
    must_be_installed()
    if args.results is None:
        from .folder import make

        return make(args.course, None if args.lessons is None else lessons_in(args.lessons), **chosen)
    from .push import push

    return push(args.course, args.results, args.assignment)


def must_be_installed():
    """Raises UsageError without nbgrader."""
    try:
        import nbgrader  # noqa: F401
    except ImportError as error:
        raise UsageError(f"nbgrader is not installed ({error}): pip install 'rlhf-course[test]'") from error


def lessons_in(text: str | None) -> list[dict]:
    """The lessons of '1,4-6'; without a text, all that have exercises. Raises UsageError."""
    graded = [lesson for lesson in course()["lessons"] if exercise_names(lesson["number"])]
    if text is None:
        return graded
    numbers = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not found:
            raise UsageError(f"--lessons {text!r}: {part!r} is neither a number nor a range such as 4-6")
        numbers.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    if without := sorted(numbers - {lesson["number"] for lesson in graded}):
        known = ", ".join(str(lesson["number"]) for lesson in graded)
        raise UsageError(f"--lessons {text!r}: lesson {without[0]} has no exercises to grade; {known} have")
    return [lesson for lesson in graded if lesson["number"] in numbers]
