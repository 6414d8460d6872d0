"""The gradebook of Canvas."""

import re

from autograder.grading.table import inert
from autograder.result import points
from autograder.show import safe
from rlhf_core.errors import UsageError

from .platform import Platform
from .table import Table, as_csv, number_of

POINTS_POSSIBLE = "Points Possible"  # begins the row that has the points of the assignments
TOTALS = re.compile(r"(Current|Final|Override) (Score|Points|Grade|Status)")  # columns that are no assignments
IN_NAME = re.compile(r"(?=_([0-9]+)_(?:[0-9]+_|text\.))")  # doejane_123_456_answers


def assignment_column(table: Table, assignment: str | None) -> int:
    """The first line calls it 'Title (id)': the title, the id or both name it. Raises UsageError."""
    titles = {
        place: re.fullmatch(r"(.*\S)\s+\(([0-9]+)\)", name)
        for place, name in enumerate(table.header)
        if not TOTALS.search(name)
    }
    titles = {place: (title[0], title[1], title[2]) for place, title in titles.items() if title}
    fit = [place for place, title in titles.items() if assignment is None or assignment in title]
    if len(fit) != 1:
        there = ", ".join(repr(safe(title[0])) for title in titles.values()) or "none: make it in Canvas and export again"
        asked = f"--assignment {assignment!r} names {len(fit)} of" if assignment else "say by --assignment which one of"
        raise UsageError(f"{table.name}: {asked} its assignments ({there})")
    return fit[0]


def points_possible(table: Table, column: int) -> float | None:
    above = (row for row in table.rows if POINTS_POSSIBLE in row[0] and not table.cell(row, "ID"))
    return next((number_of(row[column]) for row in above), None)


def new_gradebook(grades: list[tuple[str, str]], title: str, most: float) -> bytes:
    """No byte order mark, which Canvas may read as part of the first column. The row of points is known by its first cell,
    which no student has therefore."""
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]]
    rows.append([f"    {POINTS_POSSIBLE}", "", "", "", "", points(most)])
    for submission, grade in grades:
        number, name = IN_NAME.search(submission), inert(submission)
        identity = [number[1], "", "", ""] if number else ["", "", name, ""]
        rows.append(["" if POINTS_POSSIBLE in name else name, *identity, grade])
    return as_csv(rows, bom=False)


CANVAS = Platform(
    name="canvas",
    needs=frozenset({"ID", "Section"}),
    number="ID",
    in_name=IN_NAME,
    names=("SIS Login ID", "SIS User ID"),
    person=("Student", "LastName", "FirstName"),
    closed=(None, ("EX", "N/A")),  # excused, not assigned to this student
    column=assignment_column,
    most=points_possible,
    new=new_gradebook,
)
