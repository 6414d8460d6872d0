"""What a person gave in formgrader, read from nbgrader's gradebook and not written there.

A gradebook knows scores by cell: `check_<exercise>` has the points of an exercise, `<question>` those of a written question.
"""

import contextlib
from collections import defaultdict
from pathlib import Path

from nbgrader.api import Gradebook
from sqlalchemy import URL
from sqlalchemy.exc import DatabaseError

from autograder.export.nbgrader.comment import merged
from autograder.export.nbgrader.push import CHECK
from autograder.grading.results import standing
from autograder.show import safe
from rlhf_core.course import lesson_of, notebook_name
from rlhf_core.errors import CourseError, UsageError

from .grades import Given, Mark


def read_gradebook(path: Path, results: list[dict]) -> dict[str, Given | None]:
    """By graded submission what was given; None where the gradebook does not have these results.

    What was given is for the answers that were graded then, and so is a penalty. Raises UsageError where a student has one
    lesson in two assignments.
    """
    if not path.is_file():
        raise UsageError(f"there is no {str(path)!r}: name the gradebook.db in the folder of the nbgrader course")
    graded = {result["submission"]: result for result in results if standing(result) == "graded"}
    lessons = {notebook_name(lesson_of(name)).removesuffix(".ipynb") for each in graded.values() for name in each["exercises"]}
    with opened(path) as gradebook:
        submitted = submitted_notebooks(gradebook, lessons)
        pairs = {name: (submitted.get(name, []), result) for name, result in graded.items()}
        return {name: given_in(*pair) if holds(*pair) else None for name, pair in pairs.items()}


@contextlib.contextmanager
def opened(path: Path):
    """Raises CourseError for a file that is no gradebook, or is one that cannot be read now."""
    url = URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    try:
        with Gradebook(url, course_id="") as gradebook:  # "": it would add the course
            yield gradebook
    except DatabaseError as error:
        raise CourseError(
            f"{str(path)!r} cannot be read as a gradebook ({error.orig}): name nbgrader's gradebook.db, try again where it is "
            "locked, or run nbgrader db upgrade where it is older"
        ) from error


def submitted_notebooks(gradebook, lessons) -> dict[str, list]:
    """The notebooks of these lessons by student."""
    found = defaultdict(dict)
    for assignment in gradebook.assignments:
        for notebook in assignment.notebooks:
            for each in gradebook.notebook_submissions(notebook.name, assignment.name) if notebook.name in lessons else ():
                other = found[each.student.id].setdefault(notebook.name, each)
                if other is not each:
                    raise UsageError(
                        f"{safe(each.student.id)} has {notebook.name} in two assignments of the gradebook, "
                        f"{other.assignment.assignment.name} and {assignment.name}, and which one counts is not known: "
                        "leave --gradebook out, and give the marks with --marks"
                    )
    return {student: list(notebooks.values()) for student, notebooks in found.items()}


def holds(notebooks: list, result: dict) -> bool:
    """Whether `export nbgrader --results` has put this result into the gradebook, and none after it."""
    expected = {CHECK + name: each["points"] for name, each in result["exercises"].items()}
    expected |= {name: 0.0 if each["state"] == "missing" else None for name, each in result["questions"].items()}
    cells = [(each.name, each.auto_score) for notebook in notebooks for each in notebook.grades if each.name in expected]
    return bool(cells) and all(score == expected[name] for name, score in cells)


def given_in(notebooks: list, result: dict) -> Given:
    cells = {grade.name: grade for notebook in notebooks for grade in notebook.grades}
    comments = {each.name: merged(each.manual_comment, None) or "" for notebook in notebooks for each in notebook.comments}
    exercises = {name: cells[CHECK + name] for name in result["exercises"] if CHECK + name in cells}
    questions = {name: cells[name] for name in result["questions"] if name in cells}
    return Given(
        marks={
            name: Mark(cell.score, comments.get(name, "")) for name, cell in questions.items() if not cell.needs_manual_grade
        },
        by_hand=sum(cell.score - cell.auto_score for cell in exercises.values()),
        late_penalty=sum(notebook.late_submission_penalty or 0.0 for notebook in notebooks),
        again=tuple(name for name, cell in exercises.items() if cell.needs_manual_grade),
    )
