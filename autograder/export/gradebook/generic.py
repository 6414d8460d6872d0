"""generic.csv: all that is known, for a spreadsheet."""

from autograder.grading.table import inert
from autograder.result import points
from rlhf_core.course import questions

from .grades import ABSENT, GRADED, TO_MARK, Grade
from .matching import Match, absent
from .roster import Roster
from .table import as_csv


def generic(grades: list[Grade], roster: Roster | None, found: Match, gradebook: bool) -> bytes:
    """A row for each submission, and for each student of the roster without one; gradebook: with what only formgrader gives."""
    asked = asked_of(grades)
    columns = [column for name in asked for column in (name, f"{name}_comment")]
    header = ["submission", "student", "id", "state", "reason", "automatic_points", "automatic_max_points", *columns]
    rows = [[*header, *(["by_hand", "late_penalty"] if gradebook else []), "total", "max_total"]]
    place_of = {id(grade): place for place, grade in found.rows.items()}
    for grade in grades:
        person = who(roster, place_of[id(grade)]) if id(grade) in place_of else ["", ""]
        marks = [cell for name in asked for cell in cells(grade, name)]
        row = [inert(grade.submission), *person, grade.state, inert(grade.reason), grade.automatic_points]
        row += [points(grade.automatic_max), *marks]
        if gradebook:
            given = (grade.given.by_hand, grade.given.late_penalty)
            row += [points(each) if grade.state in (GRADED, TO_MARK) else "" for each in given]
        row += [grade.total, points(grade.automatic_max + sum(asked.values()))]
        rows.append(row)
    for place in absent(roster, found) if roster else ():
        rows.append(["", *who(roster, place), ABSENT, *[""] * (len(rows[0]) - 4)])
    return as_csv(rows)


def asked_of(grades: list[Grade]) -> dict[str, float]:
    """The written questions of a class, as the course orders them, and their points."""
    found = {name: worth for grade in grades for name, worth in grade.asked.items()}
    return {name: found[name] for name in questions() if name in found}


def cells(grade: Grade, question: str) -> tuple[str, str]:
    mark = grade.marks.get(question)
    return (points(mark.points), inert(mark.comment)) if mark else ("", "")


def who(roster: Roster, place: int) -> list[str]:
    return [inert(roster.person(place)), roster.students[place]]
