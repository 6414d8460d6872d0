"""The grading worksheet of a Moodle assignment, and the file that Moodle's import of grades takes."""

import re

from autograder.grading.table import inert

from .platform import Platform
from .table import Table, as_csv, number_of


def grade_column(table: Table, assignment: str | None) -> int:
    """A worksheet is of one assignment, whatever it is called."""
    return table.place("Grade")


def maximum_grade(table: Table, column: int) -> float | None:
    """Every row says it."""
    return next((number_of(table.cell(row, "Maximum grade")) for row in table.rows), None)


def new_import(grades: list[tuple[str, str]], title: str, most: float) -> bytes:
    """The columns are mapped by hand, and Moodle knows the points of the assignment."""
    return as_csv([["Username", title], *([inert(submission), grade] for submission, grade in grades)])


MOODLE = Platform(
    name="moodle",
    needs=frozenset({"Identifier", "Grade", "Last modified (grade)"}),
    number="Identifier",
    in_name=re.compile(r"(?=_([0-9]+)_assignsubmission_)"),  # Jane Doe_123_assignsubmission_file
    names=("Email address", "Username", "ID number"),
    person=("Full name",),
    closed=("Grade can be changed", ("No",)),
    column=grade_column,
    most=maximum_grade,
    new=new_import,
)
