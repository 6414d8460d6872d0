"""The folder of an nbgrader course: its configuration, and a source notebook for each lesson.

A source is the lesson as students open it, without its folded solutions. In an answer cell the reference answer follows the
stub, between markers that `nbgrader generate_assignment` takes out with what is between them; in the cell of a written question
stands the rubric, which it replaces.
"""

import hashlib
import json
import re
from pathlib import Path

from rlhf_core.course import WRITE_HERE, course, notebook_name
from rlhf_core.errors import CourseError, UsageError

from ...grading.journal import as_json, atomic_write
from . import lessons_in

REPOSITORY = Path(__file__).parents[3]
# What the course was made with, for the next time, and what was written, as sha256 by path: how a change of the instructor's
# is told.
MADE = ".rlhf-course.json"
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


def make(folder: Path, lessons: list[dict] | None, **chosen) -> int:
    """Write the course, or bring it up to date. A file that the instructor has changed is left alone, and named; exit code.

    lessons: those that are wanted beside those in the folder; None: these alone, and all in a new folder.  chosen: course_id,
    exchange, repository; what is None is as it was the last time.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is a file: name a folder for the course")
    root = folder.resolve()
    made = {"options": {}, "files": {}} | (json.loads((root / MADE).read_bytes()) if (root / MADE).exists() else {})
    options = {"course_id": "rlhf", "exchange": None, "repository": None} | made["options"]
    options |= {name: value for name, value in chosen.items() if value is not None}

    there = [each for each in lessons_in(None) if source_name(each) in made["files"] and (root / source_name(each)).exists()]
    wanted = [each for each in lessons_in(None) if each in there or each in (lessons or [])] or lessons_in(None)
    files = {"nbgrader_config.py": config(root, options["course_id"], options["exchange"]).encode()}
    files |= {source_name(lesson): source(lesson, options["repository"]) for lesson in wanted}
    kept = update(root, files, made["files"])
    atomic_write(root / MADE, as_json({"options": options, "files": made["files"]}))

    names = [assignment_name(lesson) for lesson in wanted]
    print(f"{len(names)} assignment{'s' * (len(names) != 1)} in {folder}: {', '.join(names)}")
    print(told_of_first_cell(options["repository"]))
    if kept:
        print("Left as they are, since they were changed or are not from here; move them away for the newer ones:")
        print("\n".join(f"  {name}" for name in kept))
        return 1
    print(f"Next, in {folder}: nbgrader generate_assignment {names[0]}")
    return 0


def assignment_name(lesson: dict) -> str:
    return f"lesson-{lesson['number']:02d}"


def source_name(lesson: dict) -> str:
    return f"source/{assignment_name(lesson)}/{notebook_name(lesson)}"


def config(root: Path, course_id: str, exchange: str | None) -> str:
    line = "" if exchange is None else f"c.Exchange.root = {exchange!r}\n"
    return CONFIG.format(course_id=course_id, root=str(root), exchange=line, text_stub=WRITE_HERE)


def told_of_first_cell(repository: str | None) -> str:
    if repository is not None:
        return f"The first cell of the lessons installs the branch student of {repository}."
    branch = course().get("branch", "main")
    return (
        f"The first cell of the lessons installs {course()['repository']} (branch {branch}), which has the answers in it: "
        "for your student edition (rlhf-course publish) run this again with --repository OWNER/NAME."
    )


def update(root: Path, files: dict[str, bytes], made: dict[str, str]) -> list[str]:
    """Write the files whose place is free or holds what was written before. Returns the names of the others.

    made: by name the sha256 of what was written before, brought up to date here. Where there is nothing newer than that, what
    the instructor made of it stands, and is not named.
    """
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
    return kept


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# A source


def source(lesson: dict, repository: str | None = None) -> bytes:
    """The source notebook of a lesson, which leads to the student edition in this repository, or to where the course is from.
    Raises CourseError in an edition of the course without answers."""
    import nbformat

    folders = [REPOSITORY / "lessons", REPOSITORY / "solutions" / "notebooks"]
    try:
        lesson_, solved = (nbformat.read(folder / notebook_name(lesson), as_version=4) for folder in folders)
    except FileNotFoundError as error:
        raise CourseError(
            f"there is no {error.filename}: an nbgrader course is made from a clone of the solutions edition, pip's is without"
        ) from error
    notebook = with_solutions(lesson_, solved)
    if repository is not None:
        for cell in notebook.cells[:2]:  # the badge, and what installs the course
            cell.source = led_to(cell.source, repository)
    return (nbformat.writes(notebook) + "\n").encode()


def led_to(text: str, repository: str) -> str:
    """The text of one of the first two cells with the branch `student` of a repository in the place of the course's own."""
    text = re.sub(r"/github/[\w.-]+/[\w.-]+/blob/[^/]+/", f"/github/{repository}/blob/student/", text)
    cloned = r'"--depth", "1",( "--branch", "[^"]+",)? "https://github\.com/[^"]+"'
    return re.sub(cloned, f'"--depth", "1", "--branch", "student", "https://github.com/{repository}"', text)


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
