"""The comment on an answer: what the checks said, as a block of plain text within the comment of whoever grades.

nbgrader shows comments as Markdown and escapes nothing, so that all of it stands in a fenced block, in which nothing is markup.
What a person writes around the block stays when it is replaced.
"""

import re

from autograder.grading.student_page import section
from autograder.result import points
from autograder.show import MARKS, WORDS, indented

TITLE = "Automatic checks of "
BLOCK = re.compile(rf"(?P<fence>`{{3,}})\n{TITLE}.*?\n(?P=fence)(?!`)\n*", re.DOTALL)


def merged(written: str | None, block: str | None) -> str | None:
    """What stands in the comment now, with this block in place of an earlier one."""
    rest = BLOCK.sub("", written or "").strip()
    return "\n\n".join(part for part in (block, rest) if part) or None


def block(name: str, exercise: dict) -> str:
    """exercise: as in result.json."""
    shown = section(name, exercise)
    if shown.state == "not_graded":
        return fenced(name, "not graded yet", ["This is no fault of yours: it will be graded again."])
    lines = indented(shown.problem, "") if shown.problem else []
    if passed := sum(row.status == "passed" for row in shown.rows):
        lines.append(f"{MARKS['passed']} {passed} of {len(shown.rows)} checks passed")
    for words, said in zip(("What it looks like", "Hint", "Read again"), shown.told or (), strict=False):
        lines += indented(f"{words}: {said}", "")
    for row in shown.rows:
        if row.status != "passed":
            hidden = ", hidden" if row.hidden else ""
            worth = f"{points(row.max_points)} point{'s' * (row.max_points != 1)}{hidden}"
            lines += indented(f"{MARKS[row.status]} {WORDS[row.status]}  {row.title} ({worth})", "")
            lines += indented(row.said) if row.said else []
    return fenced(name, f"{points(shown.points)} of {points(shown.max_points)} points", lines)


def not_graded(name: str, reason: str) -> str:
    """For a submission of which nothing was graded."""
    return fenced(name, "not graded", indented(f"Nothing could be graded: {reason}", ""))


def fenced(name: str, verdict: str, lines: list[str]) -> str:
    text = "\n".join([f"{TITLE}{name}: {verdict}", *lines])
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
