"""Marks for the written questions: the list of what waits for one, and what a person filled in."""

from collections import defaultdict
from pathlib import Path

from autograder.grading.results import NotOurs, read_written
from autograder.grading.table import inert
from autograder.result import points
from autograder.show import safe
from rlhf_core.errors import UsageError

from .grades import BEHIND, TO_MARK, Given, Grade, Mark
from .summary import counted
from .table import as_csv, number_of, read_table, write

LIST = "to_mark.csv"


def read_marks(path: Path, results: list[dict]) -> dict[str, Given]:
    """By submission. A row without points is one that is still to be marked. Raises UsageError."""
    table = read_table(path, {"submission", "question", "points"})
    if table is None:
        raise UsageError(f"{path.name} has no columns submission, question, points (and comment): its first line names them")
    asked = {result["submission"]: result["questions"] for result in results if result["state"] == "graded"}
    names = {inert(name): name for name in asked} | {name: name for name in asked}  # inert: as LIST spells them
    marks = defaultdict(dict)
    for number, row in enumerate(table.rows, 2):
        where, worth = f"{path.name}, row {number}", table.cell(row, "points")
        if not worth:
            continue
        name, question = names.get(table.cell(row, "submission")), table.cell(row, "question")
        if name is None:
            raise UsageError(f"{where}: no graded submission is called {safe(table.cell(row, 'submission'))!r}")
        if question not in asked[name]:
            there = ", ".join(asked[name]) or "none"
            raise UsageError(f"{where}: {safe(question)!r} is no written question of {safe(name)}; there are: {there}")
        if question in marks[name]:
            raise UsageError(f"{where}: {safe(name)} has a mark for {question} already: keep one of the two rows")
        given, most = number_of(worth), asked[name][question]["max_points"]
        if given is None or given > most:
            raise UsageError(f"{where}: {safe(worth)!r} is not a number of points from 0 to {points(most)}")
        marks[name][question] = Mark(given, table.cell(row, "comment"))
    return {name: Given(each) for name, each in marks.items()}


def list_what_is_to_be_marked(out: Path, grades: list[Grade]):
    """Write the answers that wait for a mark into a file to be filled in. One that is there may have been, so it stays."""
    waiting = [grade for grade in grades if grade.state == TO_MARK]
    if not waiting:
        return
    rows = [["submission", "question", "points", "max_points", "comment", "answer"]]
    for grade in waiting:
        try:
            written = read_written(grade.folder)
        except NotOurs as why:
            written = dict.fromkeys(grade.to_mark, f"({why})")
        for name in grade.to_mark:
            rows.append([inert(grade.submission), name, "", points(grade.asked[name]), "", inert(written.get(name, ""))])
    print(f"To be marked by a person: {counted(len(rows) - 1, 'answer')} of {counted(len(waiting), 'submission')}.")
    if (out / LIST).exists():
        print(f"{out / LIST} is there already, and was left as it is: fill in its points and give it with --marks.")
        print("For a new list of what is still to be marked, rename it.")
    else:
        write(out, {LIST: as_csv(rows)})
        print(f"They are listed in {out / LIST}: fill in the points, then give it with --marks.")


def waiting_in_formgrader(grades: list[Grade]):
    """Say what is still to be done there."""
    waiting = [grade for grade in grades if grade.state == TO_MARK]
    if waiting:
        answers = counted(sum(len(grade.to_mark) for grade in waiting), "answer")
        print(f"To be marked in formgrader: {answers} of {counted(len(waiting), 'submission')}. Then export again.")
    if any(grade.state == BEHIND for grade in grades):
        print("Put these results into the gradebook first: rlhf-course export nbgrader COURSE_DIR --results RESULTS.")
