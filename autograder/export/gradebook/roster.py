"""The students of a class, in the file that Canvas or Moodle exported."""

import re
from collections import defaultdict
from pathlib import Path

from autograder.grading.table import inert
from rlhf_core.errors import UsageError

from .canvas import CANVAS
from .grades import Grade
from .moodle import MOODLE
from .platform import Platform
from .table import Table, read_table


class Roster:
    """A file as a platform exported it. Rows are counted from 0, below the first line.

    column: that of the grades.  students: by row the number that the platform has for a student.
    """

    def __init__(self, table: Table, platform: Platform, column: int):
        self.table, self.platform, self.column = table, platform, column
        numbers = (re.search(r"[0-9]+$", table.cell(row, platform.number)) for row in table.rows)
        self.students = {place: number[0] for place, number in enumerate(numbers) if number}
        self.by_number, self.by_name = defaultdict(set), defaultdict(set)
        for place, number in self.students.items():
            self.by_number[number].add(place)
            for name in self.cells(place, platform.names):
                self.by_name[name].add(place)

    def cells(self, place: int, columns: tuple[str, ...]) -> list[str]:
        """What stands in these columns of a row, without those that are empty or not there."""
        return list(filter(None, (self.table.cell(self.table.rows[place], column) for column in columns)))

    def person(self, place: int) -> str:
        return " ".join(self.cells(place, self.platform.person)) or self.students[place]

    def grade(self, place: int) -> str:
        """The one that the platform has."""
        return self.table.rows[place][self.column].strip()

    def closed(self, place: int) -> bool:
        """Whether the platform takes no grade for this student."""
        column, words = self.platform.closed
        return (self.table.cell(self.table.rows[place], column) if column else self.grade(place)) in words

    def places(self, submission: str) -> set[int]:
        """The rows that a submission may belong to: by every number in its name that can be a student's, or by all of it."""
        numbers = [found[1] for found in self.platform.in_name.finditer(submission)]
        return set().union(self.by_name.get(submission, ()), *(self.by_number.get(number, ()) for number in numbers))

    def most(self) -> float | None:
        """The points that the platform has for this assignment."""
        return self.platform.most(self.table, self.column)

    def filled_in(self, grades: dict[int, Grade]) -> bytes:
        """The file with the grades. A cell without one stays as it was: for an empty one Canvas would delete what it has."""
        rows = [[still(cell) for cell in row] for row in self.table.rows]
        for place, grade in grades.items():
            if grade.entered and not self.closed(place):
                rows[place][self.column] = grade.entered
        return self.table.written(rows)


def still(cell: str) -> str:
    """The cell of a roster, inert; numbers, and the dash that stands for nothing, are so as they are."""
    return cell if re.fullmatch(r"[-+]?[0-9]+([.,][0-9]+)?%?|-", cell) else inert(cell)


def read_roster(path: Path, assignment: str | None) -> Roster:
    """Raises UsageError for a file that is none, or that has no such assignment."""
    for platform in (CANVAS, MOODLE):
        table = read_table(path, platform.needs)
        if table is not None:
            break
    else:
        raise UsageError(
            f"{path.name} is neither a gradebook of Canvas (columns Student, ID, Section) nor a grading worksheet of Moodle "
            "(Identifier, Grade, Last modified (grade)): export one, in English, and leave its first line as it is"
        )
    roster = Roster(table, platform, platform.column(table, assignment))
    if not roster.students:
        raise UsageError(f"{path.name} has no student: nothing in its column {platform.number} ends with a number")
    return roster
