"""Results as Markdown, for the page of a job: what a student wrote stands in code alone, where nothing of it is markup."""

import re
from collections import Counter

from autograder.result import points
from autograder.show import MARKS, WORDS, safe

from .results import in_words, standing
from .student_page import AS_ABOVE, NOT_SHOWN, Row, Section, section

LARGEST = 900_000  # bytes; the page of a job on GitHub takes 1 MiB of a step
CUT = "\nThe rest does not fit on this page: it is in feedback.html of each submission.\n"


def as_markdown(results: list[dict]) -> str:
    """results: as in result.json. Of one alone all is told; of several each has a row, for which `summary.brief` is enough.

    The first line is a heading with nothing of a student's in it: "# 41 of 100 points", or how many submissions there are.
    """
    if len(results) != 1 or results[0]["state"] == "refused":
        return within(LARGEST, [heading(results), of_class(results)])
    result = results[0]
    shown = [section(name, exercise) for name, exercise in result["exercises"].items()]
    wrong = [of_exercise(each) for each in shown if not each.whole and not each.absent]
    said = of_questions(result["questions"])
    reason = [block(result["reason"])] if result["reason"] else []
    return within(LARGEST, [heading(results), *reason, of_exercises(shown), *([said] if said else []), *wrong])


def heading(results) -> str:
    if len(results) == 1 and results[0]["state"] == "graded":
        return f"# {earned_by(results[0])} points\n"
    return f"# {in_words(Counter(map(standing, results)))}\n"


def earned_by(result: dict) -> str:
    return f"{points(result['points'])} of {points(result['max_points'])}"


def of_class(results) -> str:
    """A row for each submission, and under the table the reasons of those without points."""
    lines = ["| submission | result | points |", "|---|---|---:|"]
    for result in results:
        got = "none yet" if result["state"] == "not_graded" else earned_by(result)
        lines.append(f"| {code(result['submission'])} | {standing(result).replace('_', ' ')} | {got} |")
    reasons = [f"{result['submission']}: {result['reason']}" for result in results if result["reason"]]
    return "\n".join([*lines, *(["", block("\n".join(reasons))] if reasons else []), ""])


def of_exercises(shown: list[Section]) -> str:
    rows = [f"| {code(each.name)} | {earned(each)} | {in_short(each)} |" for each in shown]
    return "\n".join(["| exercise | points | |", "|---|---:|---|", *rows, ""])


def earned(shown: Section | Row) -> str:
    return f"{points(shown.points)} of {points(shown.max_points)}"


def in_short(shown: Section) -> str:
    if shown.state != "graded":
        return "not graded yet" if shown.state == "not_graded" else "not handed in"
    failed = sum(row.status == "failed" for row in shown.rows)
    return f"{MARKS['failed']} {failed} of {len(shown.rows)} checks failed" if failed else f"{MARKS['passed']} passed"


def of_exercise(shown: Section) -> str:
    lines = [f"## {code(shown.name)}", "", *([block(shown.problem)] if shown.problem else [])]
    for row in shown.rows:
        hidden = ", hidden" if row.hidden else ""
        lines.append(f"- {MARKS[row.status]} {WORDS[row.status]}{hidden}, {earned(row)}: {row.title}")
    quiet = (NOT_SHOWN, AS_ABOVE, "")
    said = [f"{row.title}:\n{row.said}" for row in shown.rows if row.status != "passed" and row.said not in quiet]
    told = [f"What it looks like: {shown.told[0]}\nHint: {shown.told[1]}\nRead again: {shown.told[2]}."] if shown.told else []
    if said + told:
        lines += ["", block("\n\n".join(said + told))]
    return "\n".join([*lines, ""])


def of_questions(questions: dict[str, dict]) -> str:
    words = {"needs_manual_grading": "handed in", "missing": "not handed in"}
    names = [f"{code(name)} ({words[each['state']]})" for name, each in questions.items()]
    return f"Written questions, whose points are given by hand: {', '.join(names)}.\n" if names else ""


def code(text: str) -> str:
    """Code within a line, which holds in a table, too."""
    text = safe(text).replace("\n", " ").replace("|", "\\|")
    space = " " if "`" in text else ""
    return f"{ticks(text, 1)}{space}{text}{space}{ticks(text, 1)}"


def block(text: str) -> str:
    """Lines of code: nothing in them ends the block."""
    text = safe(text)
    return f"{ticks(text, 3)}text\n{text}\n{ticks(text, 3)}"


def ticks(text: str, least: int) -> str:
    """A run of backticks that is longer than any in the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def within(most: int, parts: list[str]) -> str:
    """As many parts, from the first, as fit into `most` bytes."""
    kept, left = [], most
    for part in parts:
        left -= len(part.encode()) + 1
        if left < 0:
            return "\n".join([*kept, CUT])
        kept.append(part)
    return "\n".join(kept)
