"""results.csv: a row for each submission, for a spreadsheet or the upload of a learning platform.

    submission, state, reason, points, max_points, then for each exercise and each written question NAME and NAME_state

state is graded, refused, not_graded, or no_submission (work, but none of what is graded: all of that is missing). NAME_state is
graded, missing, not_graded, needs_manual_grading (of a question), or empty where nothing could be read. Numbers are numbers:
the points of what was graded, 0 for what is missing. A cell is empty where there is no number yet, so that nobody gets a 0 for
what was refused or not graded. `points` are those of the exercises.
"""

import csv
import io
import unicodedata

from rlhf_core.course import exercise_names, questions

from .results import standing

FORMULA = ("=", "+", "-", "@")  # what makes a spreadsheet run a cell; in some languages their wide forms do, too


def as_csv(results: list[dict]) -> bytes:
    """results: each as in result.json.  UTF-8 with a byte order mark, without which Excel takes it for another encoding."""
    found = {name for result in results for name in parts(result)}
    names = [name for name in (*exercise_names(), *questions()) if name in found]
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    columns = [column for name in names for column in (name, f"{name}_state")]
    writer.writerow(["submission", "state", "reason", "points", "max_points", *columns])
    writer.writerows(row(result, names) for result in results)
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def row(result, names) -> list:
    facts = [inert(result["submission"]), standing(result), inert(result["reason"] or "")]
    points = result["points"] if result["state"] == "graded" else ""
    return [*facts, points, result["max_points"], *(cell for name in names for cell in cells(result, name))]


def parts(result) -> dict[str, dict]:
    """What a submission consists of, by name: exercises and written questions. Results of before there were these have none."""
    return result["exercises"] | result.get("questions", {})


def cells(result, name) -> tuple:
    part = parts(result).get(name)
    if part is None or result["state"] == "refused":
        return "", ""
    if part["state"] == "missing":
        return 0.0, "missing"
    return part["points"] if part["state"] == "graded" else "", part["state"]


def inert(text: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe before what would begin a formula."""
    text = text.replace("\0", "")
    begins = unicodedata.normalize("NFKC", text).lstrip().startswith(FORMULA) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if begins else text
