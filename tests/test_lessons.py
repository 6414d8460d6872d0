"""The lessons: fresh, complete, solved from top to bottom, and friendly to somebody who has written nothing yet."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbgrader.preprocessors import CheckCellMetadata
from nbgrader.validator import Validator

from rlhf_core.course import course
from solutions.build import (
    cells_of,
    read,
    run,
    solved_edition,
    solved_path,
    source_of,
    stale_files,
    student_edition,
    student_path,
)

LESSONS = [lesson for lesson in course()["lessons"] if solved_path(lesson).exists()]
by_number = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson["name"])
with_exercises = pytest.mark.parametrize(
    "lesson", [lesson for lesson in LESSONS if lesson["exercises"]], ids=lambda lesson: lesson["name"]
)


def text_of(cell) -> str:
    """What a cell prints and shows as text."""
    return "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)


def printed(cell) -> str:
    """What a cell prints: no progress bars, whose numbers are seconds."""
    return "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout")


def numbers(text) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", text)]


@by_number
def test_what_is_generated_is_fresh(lesson):
    assert list(stale_files(lesson)) == [], "run rlhf-course build"


@by_number
def test_every_section_and_exercise_has_its_place(lesson):
    source = source_of(lesson).read_text()
    assert set(re.findall(r'section="([\w-]+)"', source)) == set(lesson.get("sections", {}))
    assert re.findall(r'exercise="(\w+)"', source) == re.findall(r'answer="(\w+)"', source) == list(lesson["exercises"])
    for exercise in re.split(r"\n# %%", source):
        if 'exercise="' in exercise.splitlines()[0]:
            assert exercise.count("\n# Hint: ") == 3, exercise.splitlines()[0]


@by_number
def test_the_picture_comes_first(lesson):
    first = next(cell for cell in read(student_path(lesson)).cells if "data:image/png" in cell.source)
    assert re.search(r"!\[[^\]]{20,}\]\(data:image/png", first.source), "with words for those who cannot see it"


@by_number
def test_a_solved_lesson_runs_and_prints_what_it_printed(lesson, tmp_path):
    before, again = read(solved_path(lesson)), solved_edition(lesson)
    run(again, lesson, tmp_path)
    assert {file.stem for file in tmp_path.glob("answers/*")} == set(lesson["exercises"]), (
        "what passed is kept for the next lesson"
    )
    for old, new in zip(before.cells, again.cells, strict=True):
        tolerance = old.metadata.get("tolerance", 0.05)
        if old.cell_type == "code" and tolerance != "none":
            expected, got = numbers(printed(old)), numbers(printed(new))
            assert got == pytest.approx(expected, rel=tolerance, abs=1e-5, nan_ok=True), old.source[:200]
        if old.cell_type == "code" and (old.metadata.get("nbgrader") or {}).get("grade"):
            points = old.metadata["nbgrader"]["points"]
            assert f"{points} of {points} points" in text_of(new)
    nbformat.write(again, tmp_path / "solved.ipynb")
    nbgrader = Validator(preprocessors=[CheckCellMetadata])  # what `nbgrader validate` says, without running it all once more
    assert nbgrader.validate(str(tmp_path / "solved.ipynb")) == {}


def test_nbgrader_validates_a_lesson_by_running_it(tmp_path):
    lesson = next(lesson for lesson in LESSONS if lesson["name"] == "policy")
    nbformat.write(solved_edition(lesson), tmp_path / "lesson.ipynb")
    command = [sys.executable, "-m", "nbgrader", "validate", "lesson.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "Success! Your notebook passes all the tests." in done.stdout, done.stdout + done.stderr


@with_exercises
def test_a_lesson_with_nothing_written_yet_says_what_to_do(lesson, tmp_path):
    notebook = student_edition(lesson)
    run(notebook, lesson, tmp_path, go_on=True)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    checks = [cell for cell in code if (cell.metadata.get("nbgrader") or {}).get("grade")]
    assert all("is still the stub: write its body, run the cell, check again" in text_of(cell) for cell in checks)
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert not errors or (
        errors[0].ename == "NotImplementedError" and re.search(r"is exercise \d\.\d: write it here", errors[0].evalue)
    )


@with_exercises
def test_a_lesson_runs_to_its_end_with_borrowed_answers(lesson, tmp_path):
    notebook = student_edition(lesson)
    borrow = nbformat.v4.new_code_cell('import rlhf_core\nrlhf_core.use("reference")')
    notebook.cells.insert(2, borrow)
    run(notebook, lesson, tmp_path)


def test_staleness_is_seen():
    lesson = LESSONS[0]
    notebook = read(student_path(lesson))
    notebook.cells[-1].source += " "
    assert cells_of(notebook) != cells_of(student_edition(lesson))
