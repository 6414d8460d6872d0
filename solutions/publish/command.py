"""The command `rlhf-course publish`."""

import argparse
import importlib.util
import re
import sys
from pathlib import Path

from rlhf_core.course import checked_repository, course, exercise_names, meant
from rlhf_core.errors import CourseError, UsageError

EXAMPLE = """\
example: rlhf-course publish --repository your-name/your-course --to editions --zip
         rlhf-course publish --repository your-name/your-course --branches --push class --release 1,2,kl_exact
         rlhf-course publish --workshop kit --for windows-3.12 --for macos-3.12"""


def publish(subparsers):
    parser = subparsers.add_parser(
        "publish",
        help="the student edition and the solutions edition, as folders, archives or branches",
        description="Make two editions of the course from this clone. The student edition has the lessons, the textbook and\n"
        "the visible checks, and no answers: truths and known mistakes are in it as recorded numbers. The solutions edition\n"
        "is the whole. The first time takes some minutes. Exit codes: 0 done, 1 it failed, 2 usage.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repository", metavar="OWNER/NAME", help="on GitHub: for badges and setup cells, else course.toml's")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--to", type=Path, metavar="DIR", help="write DIR/student and DIR/solutions (default: editions)")
    target.add_argument(
        "--branches", action="store_true", help="commit on the branches student and solutions of this repository"
    )
    target.add_argument(
        "--workshop",
        type=Path,
        metavar="DIR",
        help="write a folder for a USB stick: the student edition, wheels, a start script",
    )
    parser.add_argument(
        "--for", dest="targets", action="append", metavar="SYSTEM-PYTHON",
        help="with --workshop: laptops that the kit is for, such as windows-3.12, macos-3.12, linux-3.12; once for each "
        "(default: those like this machine)",
    )  # fmt: skip
    parser.add_argument(
        "--extra-index-url", metavar="URL", help="with --workshop: where pip looks, too, as for PyTorch's CPU builds for Linux"
    )
    parser.add_argument("--zip", action="store_true", help="write DIR/student.zip and DIR/solutions.zip, too")
    parser.add_argument(
        "--lessons", type=numbers, metavar="N,N-N", help="the student edition has the notebooks of these lessons, such as 0-5"
    )
    parser.add_argument(
        "--release", type=released, default=(), metavar="N,N-N,NAME",
        help="the student edition has the answers of these lessons, whose deadline has passed, or of single exercises, such as "
        "1,2,kl_exact: folded, and to be borrowed",
    )  # fmt: skip
    parser.add_argument(
        "--push", nargs="?", const="origin", metavar="REMOTE", help="push the branch student, and only that (default: origin)"
    )
    parser.add_argument("--push-solutions", metavar="REMOTE", help="push the branch solutions, to where only staff looks")
    parser.set_defaults(execute=execute_publish)


def numbers(text: str) -> list[int]:
    """[0, 1, 2, 5] from '0-2,5'."""
    found = [re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip()) for part in text.split(",")]
    known = [lesson["number"] for lesson in course()["lessons"]]
    wanted = [n for each in found if each for n in range(int(each[1]), int(each[2] or each[1]) + 1)]
    if not all(found) or not wanted or not set(wanted) <= set(known):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of lessons from {known[0]} to {known[-1]}, such as 1,2 or 0-5")
    return wanted


def released(text: str) -> list:
    """[1, 2, 'kl_exact'] from '1-2,kl_exact'."""
    words = [word.strip() for word in text.split(",")]
    lessons = [word for word in words if re.fullmatch(r"[\d-]+", word)]
    names = [word for word in words if word not in lessons]
    for name in names:
        if name not in exercise_names():
            raise argparse.ArgumentTypeError(
                f"{name!r} is no exercise{meant(name)}: name lessons or exercises, such as 1,2 or 1-3,kl_exact"
            )
    return (numbers(",".join(lessons)) if lessons else []) + names


def execute_publish(args) -> int:
    repository = checked_repository(args.repository or course()["repository"])
    if args.zip and args.branches:
        raise UsageError("--zip writes archives beside folders: leave --branches out")
    if (args.targets or args.extra_index_url) and not args.workshop:
        raise UsageError("--for and --extra-index-url are about the wheels of a kit: add --workshop DIR")
    pushed = {"student": args.push, "solutions": args.push_solutions}
    if any(pushed.values()) and not args.branches:
        raise UsageError("--push and --push-solutions push branches: add --branches")
    for package in ("jupytext", "nbformat"):
        if importlib.util.find_spec(package) is None:
            raise CourseError(f'publish needs {package}: pip install --constraint constraints.txt --editable ".[test]"')
    from . import branches, editions, folders, workshop

    chosen = repository, args.lessons, args.release
    if args.workshop:
        workshop.must_be_a_kit(args.workshop)
        targets = workshop.targets_of(args.targets)
        workshop.write_kit(args.workshop, editions.student(*chosen), targets, args.extra_index_url)
        print(f"{args.workshop}: copy it to the sticks; START-HERE.txt in it says what to do on a laptop")
        return 0
    here = branches.repository_here() if args.branches else None
    made = {"student": editions.student(*chosen), "solutions": editions.solutions(repository)}
    for name, files in made.items():
        if args.branches:
            new = branches.commit(here, name, files, f"The {name} edition of {repository}")
            print(f"branch {name}: {'as it was' if new is None else new[:10]}")
            continue
        folder = args.to or Path("editions")
        folders.write_folder(files, folder / name)
        print(f"{folder / name}: {len(files)} files")
        if args.zip:
            folders.write_archive(files, folder / f"{name}.zip", f"{repository.partition('/')[2]}-{name}")
            print(folder / f"{name}.zip")
    for name, remote in pushed.items():
        if remote:
            branches.push(here, remote, name)
            print(f"pushed the branch {name} to {remote}", file=sys.stderr)
    return 0
