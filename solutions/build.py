"""`rlhf-course build`: the lessons that students open and the solved ones, both from `solutions/lessons/`.

A source is a notebook as text, in jupytext's percent format, with marked cells:

    # %% [markdown] section="gae"                                       begins with the title of that section in course.toml
    # %% [markdown] exercise="compute_gae" minutes=20 difficulty=2      what to watch for, then paragraphs "Hint: ..."
    # %% answer="compute_gae"                                           the reference answer, filled in from solutions/answers
    # %% [markdown] question="why_one_side" minutes=8                   to be answered in words, then paragraphs "Rubric: ..."
    # %% result="What the figure shows, in words"                       its figure stands at PICTURE, in the lesson's first part
    # %% tolerance=0.2                                                  the numbers it prints are reproduced within 20 %; within
                                                                        5 % where nothing is said; not at all with "none"
    # %% solved="The mended recipe"                                     run in the solved edition, folded away in the other

The title, the first cell, points, signatures, docstrings and the checks are put in from where they are declared.
"""

import argparse
import base64
import inspect
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from rlhf_core.course import WRITE_HERE, course, lesson_of, notebook_name
from rlhf_core.errors import CourseError, UsageError

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "solutions" / "lessons"
STUDENT = ROOT / "lessons"
SOLVED = ROOT / "solutions" / "notebooks"
TIMES = ROOT / "docs" / "lesson-times.md"
BEGIN, END = "    ### BEGIN SOLUTION", "    ### END SOLUTION"
LAST_CELL = "from rlhf_core.progress import CourseMap\n\nCourseMap()"
PICTURE = "PICTURE"


# The command


def build(subparsers):
    parser = subparsers.add_parser(
        "build",
        help="make the lessons and the solved notebooks from their source",
        description="Make lessons/*.ipynb, and solutions/notebooks/*.ipynb, which are run, from solutions/lessons/*.py.",
        epilog="example: rlhf-course build --lesson 4",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lesson", type=int, metavar="N", help="only lesson N")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file is stale")
    parser.set_defaults(execute=execute_build)


def execute_build(args) -> int:
    lessons = [lesson for lesson in course()["lessons"] if args.lesson in (None, lesson["number"])]
    if not lessons:
        raise UsageError(f"there is no lesson {args.lesson}; the course has 0 to {course()['lessons'][-1]['number']}")
    if args.check:
        stale = [str(path.relative_to(ROOT)) for lesson in lessons for path in stale_files(lesson)]
        for path in stale:
            print(f"stale: {path}")
        print("run rlhf-course build" if stale else f"{len(lessons)} lessons are up to date")
        return 1 if stale else 0
    for lesson in lessons:
        make(lesson)
    TIMES.write_text(table_of_times(), encoding="utf-8")
    return 0


def make(lesson):
    """Write both notebooks of a lesson."""
    import nbformat

    source = source_of(lesson)
    source.write_text(with_answers(source.read_text(encoding="utf-8")), encoding="utf-8")
    student, solved = student_edition(lesson), solved_edition(lesson)
    with tempfile.TemporaryDirectory() as folder:
        run(solved, lesson, folder)
    show_result_first(solved, solved)
    show_result_first(student, solved)
    for notebook, path in ((student, student_path(lesson)), (solved, solved_path(lesson))):
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
    print(f"lesson {lesson['number']}: {seconds_of(solved):.0f} s in its cells", file=sys.stderr)


def stale_files(lesson):
    """The generated files of a lesson that are not what its source makes of them; outputs are not compared here."""
    source = source_of(lesson)
    if with_answers(text := source.read_text(encoding="utf-8")) != text:
        yield source
    for path, edition in ((student_path(lesson), student_edition), (solved_path(lesson), solved_edition)):
        if not path.exists() or cells_of(read(path)) != cells_of(edition(lesson)):
            yield path


def source_of(lesson) -> Path:
    path = SOURCES / notebook_name(lesson).replace(".ipynb", ".py")
    if not path.exists():
        raise CourseError(f"lesson {lesson['number']} has no source {path.relative_to(ROOT)}")
    return path


def student_path(lesson) -> Path:
    return STUDENT / notebook_name(lesson)


def solved_path(lesson) -> Path:
    return SOLVED / notebook_name(lesson)


def read(path):
    import nbformat

    return nbformat.read(path, as_version=4)


def cells_of(notebook):
    """What has to agree with the source: everything but outputs, times, and the picture that comes from an output."""
    return [
        (cell.cell_type, re.sub(r"!\[.*\]\(data:.*\)", PICTURE, cell.source), cell.metadata.get("nbgrader"), cell.id)
        for cell in notebook.cells
    ]


# The editions


def student_edition(lesson):
    """The lesson with a stub in place of each answer, without outputs."""
    return edition(lesson, lambda name, answer: stub_of(name, lesson), folded_solution, folded, folded_rubric)


def solved_edition(lesson):
    import nbformat.v4 as v4

    return edition(
        lesson,
        lambda name, answer: answer,
        lambda answer: [],
        lambda name, code: [v4.new_code_cell(code)],
        lambda rubric: [v4.new_markdown_cell(f"*For the one who marks.*\n\n{rubric}")],
    )


def edition(lesson, answer_cell, after_check, solved_cells, rubric_cells=lambda rubric: [], repository=None, branch=None):
    """The notebook of a lesson; answer_cell(name, reference answer) is the text of the cell of an answer, after_check(reference
    answer) are the cells that follow its check, solved_cells(title, code) those that stand for a cell marked `solved`,
    rubric_cells(rubric) those that follow the cell for the answer to a written question. repository, branch: where Colab and
    the first cell find the course, by default that of course.toml."""
    import jupytext
    import nbformat.v4 as v4

    source = jupytext.reads(source_of(lesson).read_text(encoding="utf-8"), fmt="py:percent")
    repository, branch = repository or course()["repository"], branch or course().get("branch", "main")
    cells = [v4.new_markdown_cell(title(lesson, repository, branch)), v4.new_code_cell(first_cell(lesson, repository, branch))]
    for cell in source.cells:
        exercise, answer, question = (cell.metadata.get(mark) for mark in ("exercise", "answer", "question"))
        if exercise is not None:
            cells.append(v4.new_markdown_cell(exercise_text(lesson, cell)))
        elif answer is not None:
            cells.append(v4.new_code_cell(answer_cell(answer, cell.source), metadata=nbgrader(answer, solution=True)))
            cells.append(v4.new_code_cell(f"check({answer})", metadata=nbgrader(answer, solution=False)))
            cells += after_check(cell.source)
        elif question is not None:
            text, rubric = question_and_rubric(lesson, cell)
            cells.append(v4.new_markdown_cell(text))
            cells.append(v4.new_markdown_cell(WRITE_HERE, metadata=nbgrader_of_question(question, lesson)))
            cells += rubric_cells(rubric)
        elif cell.cell_type == "markdown":
            heading = f"## {lesson['sections'][cell.metadata['section']]}\n\n" if "section" in cell.metadata else ""
            cells.append(v4.new_markdown_cell(with_pictures(heading + with_details(cell.source))))
        elif "solved" in cell.metadata:
            cells += solved_cells(cell.metadata["solved"], cell.source)
        else:
            marks = {name: cell.metadata[name] for name in ("tolerance", "result") if name in cell.metadata}
            cells.append(v4.new_code_cell(cell.source, metadata=marks))
    cells += [v4.new_markdown_cell("## Where you are"), v4.new_code_cell(LAST_CELL)]
    for number, cell in enumerate(cells):
        cell.id = f"lesson-{lesson['number']:02d}-{number:03d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def title(lesson, repository, branch) -> str:
    link = f"https://colab.research.google.com/github/{repository}/blob/{branch}/lessons/{notebook_name(lesson)}"
    badge = f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})"
    points = sum(lesson["exercises"].values())
    graded = f" · {len(lesson['exercises'])} exercises, {points} points" if points else ""
    for worth in lesson.get("questions", {}).values():
        graded += f" · a written question, {worth} points"
    return f"# Lesson {lesson['number']}. {lesson['title']}\n\n{badge}\n\nAbout {lesson['minutes']} minutes{graded}."


def first_cell(lesson, repository, branch) -> str:
    """What every lesson begins with: it has to work where nothing of the course is there yet."""
    text = (SOURCES / "first_cell.py").read_text(encoding="utf-8").strip()
    if branch != "main":
        text = text.replace('"--depth", "1"', f'"--depth", "1", "--branch", "{branch}"')
    return text.replace("OWNER/NAME", repository).replace("begin(0)", f"begin({lesson['number']})")


def folded_solution(answer: str) -> list:
    return folded("The solution", "\n".join(line for line in answer.splitlines() if line not in (BEGIN, END)))


def folded(title: str, code: str) -> list:
    import nbformat.v4 as v4

    return [v4.new_markdown_cell(unfolded(title, f"```python\n{code}\n```"))]


def folded_rubric(rubric: str) -> list:
    import nbformat.v4 as v4

    return [v4.new_markdown_cell(unfolded("Learning alone? Compare with this once you have written yours", rubric))]


def show_result_first(notebook, solved):
    """Put the figure that a lesson ends with at its beginning, inside the text, so that the notebook alone has it."""
    pictures = [
        f"![{cell.metadata['result']}](data:image/png;base64,{output.data['image/png'].strip()})"
        for cell in solved.cells if "result" in cell.metadata
        for output in cell.outputs if "image/png" in output.get("data", {})
    ]  # fmt: skip
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and PICTURE in cell.source.splitlines() and pictures:
            cell.source = cell.source.replace(f"\n{PICTURE}\n", f"\n{pictures[0]}\n")


def number_of(name, lesson) -> str:
    return f"{lesson['number']}.{list(lesson['exercises']).index(name) + 1}"


def exercise_text(lesson, cell) -> str:
    """The heading of an exercise, what to watch for, and the hints, each to be unfolded."""
    name, meta = cell.metadata["exercise"], cell.metadata
    points = lesson["exercises"][name]
    stars = "●" * int(meta["difficulty"]) + "○" * (3 - int(meta["difficulty"]))
    head = f"### Exercise {number_of(name, lesson)}: `{name}`\n\n"
    head += f"{points} point{'s' * (points > 1)} · about {meta['minutes']} minutes · difficulty {stars}"
    paragraphs = re.split(r"\n\s*\n(?=Hint: )", cell.source.strip())
    hints = [paragraph.removeprefix("Hint: ") for paragraph in paragraphs if paragraph.startswith("Hint: ")]
    told = [paragraph for paragraph in paragraphs if not paragraph.startswith("Hint: ")]
    folded = [unfolded(f"Hint {number}", hint) for number, hint in enumerate(hints, 1)]
    return "\n\n".join([head, *told, *folded])


def question_and_rubric(lesson, cell) -> tuple[str, str]:
    """The heading and text of a written question, and what the one who marks it goes by."""
    name, minutes = cell.metadata["question"], cell.metadata["minutes"]
    points = lesson["questions"][name]
    head = f"### Written question: {name.replace('_', ' ')}\n\n"
    head += f"{points} point{'s' * (points > 1)} · about {minutes} minutes · marked by a person, in a class"
    told, *rubric = re.split(r"\n\s*\n(?=Rubric: )", cell.source.strip())
    return f"{head}\n\n{told}", "\n\n".join(paragraph.removeprefix("Rubric: ") for paragraph in rubric)


def with_details(markdown: str) -> str:
    """A paragraph "Answer: ..." is folded away."""
    parts = re.split(r"\n\s*\n", markdown)
    return "\n\n".join(unfolded("Answer", p.removeprefix("Answer: ")) if p.startswith("Answer: ") else p for p in parts)


def with_pictures(markdown: str) -> str:
    """`![words](docs/NAME.png)` becomes the picture itself: a lesson that is opened in Colab has no files beside it."""
    return re.sub(r"(!\[[^\]]*\])\((docs/[\w/-]+\.png)\)", lambda link: f"{link[1]}({data_of(ROOT / link[2])})", markdown)


def data_of(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def unfolded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def nbgrader(name, solution: bool) -> dict:
    facts = {"schema_version": 3, "task": False, "locked": not solution, "solution": solution, "grade": not solution}
    if solution:
        return {"nbgrader": facts | {"grade_id": name}}
    return {"nbgrader": facts | {"grade_id": f"check_{name}", "points": lesson_of(name)["exercises"][name]}}


def nbgrader_of_question(name, lesson) -> dict:
    facts = {"schema_version": 3, "task": False, "locked": False, "solution": True, "grade": True}
    return {"nbgrader": facts | {"grade_id": name, "points": lesson["questions"][name]}}


# Answers and stubs


def with_answers(text: str) -> str:
    """A source whose answer cells hold what stands in solutions/answers: they are written there, and nowhere else."""
    return re.sub(r'(# %% answer="(\w+)"\n)(?:(?!# %%).*\n)*', lambda cell: f"{cell[1]}{answer_of(cell[2])}\n\n", text)


def answer_of(name) -> str:
    """The reference answer as the cell of a lesson, its body between the markers."""
    import solutions.answers

    lines = inspect.getsource(getattr(solutions.answers, name)).rstrip().splitlines()
    head = next(number for number, line in enumerate(lines) if line.endswith(":")) + 1
    return "\n".join([f"@{name}.implement", *lines[:head], BEGIN, *lines[head:], END])


def stub_of(name, lesson) -> str:
    """The declaration, with its docstring, and an error that says what is to be done."""
    from rlhf_core.exercise import exercises

    lines = inspect.getsource(exercises()[name].declaration).rstrip().splitlines()[1:]  # without @exercise
    say = f'raise NotImplementedError("{name} is exercise {number_of(name, lesson)}: write it here")'
    if lines[0].startswith("class "):
        lines = [re.sub(r": \.\.\.$", f":\n        {say}", line) for line in lines]
    else:
        lines.append(f"    {say}")
    return "\n".join([f"@{name}.implement", *lines])


# Running


def run(notebook, lesson, folder, go_on=False):
    """Execute a lesson in a clean kernel, in a folder of its own, and keep its outputs. What passes is kept in folder/answers.

    Raises CourseError where a cell raises, unless told to go on.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from tqdm.auto import tqdm

    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", allow_errors=go_on, resources={"metadata": {"path": str(folder)}}
    )
    try:
        with client.setup_kernel(env=os.environ | {"RLHF_COURSE_ANSWERS": f"{folder}/answers", "OMP_NUM_THREADS": "1"}):
            for index, cell in enumerate(tqdm(notebook.cells, desc=notebook_name(lesson), leave=False)):
                started = time.perf_counter()
                client.execute_cell(cell, index)
                if cell.cell_type == "code":
                    cell.metadata["seconds"] = round(time.perf_counter() - started, 1)
                    cell.metadata.pop("execution", None)
    except CellExecutionError as error:
        raise CourseError(f"lesson {lesson['number']}, cell {index}: {error}") from error


def seconds_of(notebook) -> float:
    return sum(cell.metadata.get("seconds", 0.0) for cell in notebook.cells)


def table_of_times() -> str:
    """docs/lesson-times.md: minutes and points from course.toml, seconds from the solved notebooks when they were made."""
    rows = []
    for lesson in course()["lessons"]:
        if solved_path(lesson).exists():
            notebook = read(solved_path(lesson))
            slowest = max(cell.metadata.get("seconds", 0.0) for cell in notebook.cells)
            limit = 240 if lesson["number"] == 7 else 120
            kinds = [lesson[kind].values() for kind in ("exercises", "questions") if lesson.get(kind)]
            worth = " + ".join(str(sum(points)) for points in kinds) or "0"
            work = f"{lesson['title']} | {lesson['minutes']} | {len(lesson['exercises'])} | {worth}"
            rows.append(f"| {lesson['number']} | {work} | {seconds_of(notebook):.0f} s | {slowest:.0f} s | {limit} s |")
    return TABLE_OF_TIMES + "\n".join(rows) + "\n"


TABLE_OF_TIMES = """# The lessons: minutes, points, and how long they compute

Made by `rlhf-course build`. Minutes are those of a learner. Points are of the exercises, after the plus of written questions.
Seconds were measured on two CPU cores, one thread.

| lesson | title | minutes | exercises | points | all code cells | the slowest | at most |
|---|---|---|---|---|---|---|---|
"""
