"""The entries of a leaderboard, from the report.json of a run or of the capstone that a student has handed in.

The figures are the student's own: nothing here checks them, and no points come of them. The file may be made to do harm.
"""

import json
import os
import stat
from pathlib import Path

from autograder.driver.reading import hidden

LARGEST = 2**20  # bytes; the capstone's has about 8 kB
FIGURES = (  # the name of the column, where the figure stands, the least and the most it can be, whether small ones come first
    ("P(positive) after", ("after", "p_positive", "mean"), 0.0, 1.0, False),
    ("Sequence KL, nats", ("after", "sequence_kl", "mean"), -1.0, 1000.0, True),
    ("Win rate", ("win_rate",), 0.0, 1.0, False),
)


def leaderboard(submission: Path) -> tuple[list[dict], str]:
    """Entries as Gradescope takes them, and a sentence about them; no entries where there is no report that fits."""
    path = report_in(submission)
    if path is None:
        return [], "No report.json was handed in, so that there is no entry in the leaderboard."
    try:
        report = read(path)
        return [entry(report, *figure) for figure in FIGURES], "The leaderboard shows figures of the report.json handed in."
    except (OSError, ValueError, RecursionError):
        return [], "The report.json that was handed in is not one of this course's: there is no entry in the leaderboard."


def report_in(submission: Path) -> Path | None:
    """The first report.json that is neither a link nor in a hidden folder."""
    for parent, folders, names in os.walk(submission):
        folders[:] = sorted(name for name in folders if not hidden(name))
        path = Path(parent) / "report.json"
        if "report.json" in names and stat.S_ISREG(path.lstat().st_mode):
            return path
    return None


def read(path: Path):
    """Raises ValueError and the like."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    return json.loads(content)


def entry(report, name: str, keys, least: float, most: float, small_first: bool) -> dict:
    """Raises ValueError where the figure is missing or cannot be."""
    for key in keys:
        if not isinstance(report, dict) or key not in report:
            raise ValueError(f"no {key}")
        report = report[key]
    if not isinstance(report, float | int) or isinstance(report, bool) or not least <= report <= most:  # NaN is not, either
        raise ValueError(f"{name} is no number from {least} to {most}")
    return {"name": name, "value": round(float(report), 3)} | ({"order": "asc"} if small_first else {})
