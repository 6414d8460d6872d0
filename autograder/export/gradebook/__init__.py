"""The command `rlhf-course export csv`: grades as Canvas, Moodle and a spreadsheet take them.

A grade is the sum of the exercises and of the written questions; where there is none yet a cell stays empty, never 0.  With a
roster, the file that the platform gave out is written again, with nothing changed but the column of the grades.
"""

import argparse
from pathlib import Path


def add(platforms):
    parser = platforms.add_parser(
        "csv",
        help="grades for Canvas, Moodle and spreadsheets",
        description="Write canvas.csv, moodle.csv and generic.csv from the results of rlhf-course grade. With --roster, the "
        "file for that platform is your own export with the grades filled in, to be uploaded. A submission that was refused, "
        "was not graded, or has written answers that nobody has marked gets no grade, never 0. Answers to be marked are listed "
        "in to_mark.csv: fill in the points and give it with --marks; or mark in nbgrader's formgrader and give --gradebook. "
        "Exit codes: 0 done, 1 some submissions could not be read, are not in the roster or the gradebook, or may be of "
        "several students, and are named, 2 usage.",
        epilog="example: rlhf-course export csv results/ --format canvas --roster export.csv --out upload/\n"
        "example: rlhf-course export csv results-05 --gradebook rlhf-2026/gradebook.db",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="the folder that rlhf-course grade was given as --out")
    parser.add_argument(
        "--format", choices=("canvas", "moodle", "generic", "all"), default="all", help="which file to write; without it, all"
    )
    parser.add_argument(
        "--roster", type=Path, metavar="FILE", help="the gradebook as Canvas exports it, or Moodle's grading worksheet"
    )
    parser.add_argument(
        "--assignment",
        metavar="TITLE",
        help="which assignment of a Canvas roster, by title or id; without a roster, the title of the column of the grades",
    )
    parser.add_argument("--marks", type=Path, metavar="FILE", help="CSV with columns submission, question, points, comment")
    parser.add_argument(
        "--gradebook",
        type=Path,
        metavar="FILE",
        help="nbgrader's gradebook.db: marks, scores by hand, extra credit and late penalties; it is only read",
    )
    parser.add_argument("--automatic-only", action="store_true", help="no written questions in the files for Canvas and Moodle")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go; without it, RESULTS")
    parser.set_defaults(execute=execute)


def execute(args) -> int:
    # Every command of rlhf-course loads this file: what it needs for itself, torch among it, waits until it is called.
    from .command import export

    return export(args)
