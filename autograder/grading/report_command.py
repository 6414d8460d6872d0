"""The command `rlhf-course report`."""

import argparse
import json
import sys
from pathlib import Path


def report(subparsers):
    parser = subparsers.add_parser(
        "report",
        help="feedback for each student and a report of the class, from graded results",
        description="Write DIR/<submission>/feedback.html for each student and class.html, class.json and results.csv for the "
        "class, from what rlhf-course grade left in DIR. In results.csv `points` and the column of an exercise are empty where "
        "nothing is graded yet, and the column NAME_state says why; it is UTF-8 with a byte order mark, as Excel needs. "
        "Exit codes: 0 done, 1 some results could not be read, 2 usage.",
        epilog="example: rlhf-course report results/",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that rlhf-course grade was given as --out")
    parser.add_argument("--json", action="store_true", help="print what class.json holds")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the points as Markdown, too, for the page of a job"
    )
    parser.set_defaults(execute=execute_report)


def execute_report(args) -> int:
    from .class_page import class_page
    from .journal import write_if_changed
    from .markdown import as_markdown
    from .results import NotOurs, folders_of, read_answers, read_result, read_written
    from .similar import alike
    from .student_page import student_page
    from .summary import brief, summary
    from .table import as_csv

    out, results, folders, answers, skipped = args.folder, [], {}, {}, {}
    for folder in with_progress(folders_of(out), "feedback"):
        try:
            result = read_result(folder)
            name = result["submission"]
            if name in folders and result["state"] != "refused":
                raise NotOurs(f"result.json is that of the same submission as the one in {folders[name]!r}")
            if name in folders:
                name = result["submission"] = f"{name} ({folder.name})"  # refused, as another has nearly its name
        except NotOurs as why:
            skipped[folder.name] = str(why)
            warn(f"{folder.name} is passed over: {why}")
            continue
        try:
            answers[name] = read_answers(folder)
        except NotOurs as why:
            answers[name] = {}
            warn(f"the answers of {folder.name} are compared with nobody's: {why}")
        try:
            written = read_written(folder)
        except NotOurs as why:
            written = {}
            warn(f"the written answers of {folder.name} are not shown: {why}")
        write_if_changed(folder / "feedback.html", student_page(result, written))
        results.append(brief(result))
        folders[name] = folder.name

    forms = {name: {exercise: each["normal"] for exercise, each in found.items()} for name, found in answers.items()}
    pairs = alike(forms, progress=lambda exercises: with_progress(exercises, "answers that are alike"))
    found = summary(results, pairs, skipped)
    text = json.dumps(found, indent=1, ensure_ascii=True)
    page = class_page(found, results, folders, pairs, lambda name, exercise: answers[name][exercise]["source"])
    write_if_changed(out / "class.html", page)
    write_if_changed(out / "class.json", f"{text}\n".encode())
    write_if_changed(out / "results.csv", as_csv(results))
    if args.markdown is not None:
        whole = [read_result(out / folder) for folder in folders.values()] if len(folders) == 1 else results
        write_if_changed(args.markdown, as_markdown(whole).encode())
    print(text if args.json else told(found, out))
    return 1 if skipped else 0


def warn(text: str):
    from autograder.show import safe

    print(f"rlhf-course: warning: {safe(text)}".replace("\n", " "), file=sys.stderr)


def with_progress(items, what):
    """The items, one by one, with a progress bar on a terminal where that takes more than two seconds."""
    from tqdm import tqdm

    return tqdm(items, desc=what, delay=2, leave=False, disable=not sys.stderr.isatty())


def told(summary: dict, out: Path) -> str:
    from autograder.result import points

    from .results import STANDINGS, in_words

    lines = [f"{in_words({standing: summary[standing] for standing in STANDINGS})}."]
    if summary["points"]:
        lines.append(f"Points: mean {points(summary['points']['mean'])}, median {points(summary['points']['median'])}.")
    if summary["alike"]:
        lines.append(f"Pairs whose answers are alike: {len(summary['alike'])}. That is a reason to look, and no judgement.")
    lines.append(
        f"For the class: {out / 'class.html'} and {out / 'results.csv'}. For each student: feedback.html in its folder."
    )
    return "\n".join(lines)
