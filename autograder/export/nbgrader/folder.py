"""The folder of an nbgrader course: its configuration, and a source notebook for each lesson.

A source is the lesson as students open it, without its folded solutions. In an answer cell the reference answer follows the
stub, between markers that `nbgrader generate_assignment` takes out with what is between them; in the cell of a written question
stands the rubric, which it replaces.
"""

import hashlib
import json
from pathlib import Path

from rlhf_core.course import WRITE_HERE, notebook_name
from rlhf_core.errors import CourseError, UsageError

from ...grading.journal import as_json, atomic_write

REPOSITORY = Path(__file__).parents[3]
MADE = ".rlhf-course.json"  # what was written here, as sha256 by path: how a change of the instructor's is told
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"

CONFIG = """\
# Made by rlhf-course export nbgrader; change what you like: a file that you have changed is never overwritten.
c = get_config()
c.CourseDirectory.course_id = {course_id!r}
c.CourseDirectory.root = {root!r}
{exchange}
# The released answer cell is the lesson's own stub, so that nothing stands in the place of what is taken out of it.
c.ClearSolutions.code_stub = {{"python": ""}}
c.ClearSolutions.text_stub = {text_stub!r}

# Points come from rlhf-course grade. nbgrader never runs what a student wrote: its autograde, also behind formgrader's button,
# only copies the answers into the released notebook, without outputs, and leaves points and comments as they are.
c.Autograde.sanitize_preprocessors = ["autograder.export.nbgrader.clean.CleanCopy"]
c.Autograde.autograde_preprocessors = []

# What is handed in as a symbolic link would be read as you: the reference answers, say.
c.ExchangeFactory.collect = "autograder.export.nbgrader.collect.Collect"
"""


def make(folder: Path, lessons: list[dict], course_id: str, exchange: Path | None) -> int:
    """Write the course, or bring it up to date. A file that the instructor has changed is left alone, and named; exit code."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is a file: name a folder for the course")
    root = folder.resolve()
    names = [f"lesson-{lesson['number']:02d}" for lesson in lessons]
    files = {"nbgrader_config.py": config(root, course_id, exchange).encode()}
    for name, lesson in zip(names, lessons, strict=True):
        files[f"source/{name}/{notebook_name(lesson)}"] = source(lesson)
    kept = update(root, files)
    print(f"{len(names)} assignments in {folder}: {', '.join(names)}")
    if kept:
        print("Left as they are, since they were changed or are not from here; move them away for the newer ones:")
        print("\n".join(f"  {name}" for name in kept))
        return 1
    print(f"Next, in {folder}: nbgrader generate_assignment {names[0]}")
    return 0


def config(root: Path, course_id: str, exchange: Path | None) -> str:
    line = "" if exchange is None else f"c.Exchange.root = {str(exchange.resolve())!r}\n"
    return CONFIG.format(course_id=course_id, root=str(root), exchange=line, text_stub=WRITE_HERE)


def update(root: Path, files: dict[str, bytes]) -> list[str]:
    """Write the files whose place is free or holds what was written before. Returns the names of the others.

    Where there is nothing newer than what was written before, what the instructor made of it stands, and is not named.
    """
    made = json.loads((root / MADE).read_bytes()) if (root / MADE).exists() else {}
    kept = []
    for name, content in files.items():
        path, new = root / name, digest(content)
        now = digest(path.read_bytes()) if path.exists() else None
        if now not in (None, new, made.get(name)):
            kept += [name] if made.get(name) != new else []
            continue
        if now != new:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content)
        made[name] = new
    atomic_write(root / MADE, as_json(made))
    return kept


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# A source


def source(lesson: dict) -> bytes:
    """The source notebook of a lesson. Raises CourseError in an edition of the course without answers."""
    import nbformat

    folders = [REPOSITORY / "lessons", REPOSITORY / "solutions" / "notebooks"]
    try:
        lesson_, solved = (nbformat.read(folder / notebook_name(lesson), as_version=4) for folder in folders)
    except FileNotFoundError as error:
        raise CourseError(
            f"there is no {error.filename}: an nbgrader course is made from a clone of the solutions edition, pip's is without"
        ) from error
    return (nbformat.writes(with_solutions(lesson_, solved)) + "\n").encode()


def with_solutions(lesson, solved):
    """lesson, solved: both editions of one notebook. Returns what nbgrader makes the released one from."""
    shown = {cell.source for cell in lesson.cells}
    both = shown.intersection(cell.source for cell in solved.cells)
    answers = {grade_id(cell): cell.source for cell in solved.cells if is_solution(cell)}
    rubrics = {
        grade_id(cell): after.source
        for cell, after in zip(solved.cells, solved.cells[1:], strict=False)
        if is_solution(cell) and cell.cell_type == "markdown" and after.source not in shown
    }
    cells = []
    for cell in lesson.cells:
        if is_solution(cell) and cell.cell_type == "code":
            cell.source = f"{cell.source}\n{marked(answers[grade_id(cell)])}"
        elif is_solution(cell):
            cell.source = rubrics.get(grade_id(cell), cell.source)
        elif "nbgrader" not in cell.metadata and folded_away(cell, both):
            continue
        cells.append(cell)
    lesson.cells = cells
    return lesson


def folded_away(cell, both) -> bool:
    """A solution that the lesson of those who learn alone folds away; `both`: the texts that stand in both editions."""
    return cell.source not in both or cell.source.startswith("<details><summary>")


def marked(answer: str) -> str:
    """A reference answer between nbgrader's markers, without those of the solved lesson."""
    lines = [line for line in answer.splitlines() if line.strip() not in (BEGIN, END)]
    return "\n".join([BEGIN, *lines, END])


def is_solution(cell) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def grade_id(cell) -> str:
    return cell.metadata["nbgrader"]["grade_id"]
