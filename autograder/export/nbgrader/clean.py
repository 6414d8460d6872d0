"""What formgrader and the feedback show of a submission: the released notebook with the student's answers in its cells.

Everything else that was handed in stays in `submitted/`: outputs, other cells, metadata. nbgrader neither escapes what it shows
nor expects that a cell was doubled, deleted or moved.
"""

import copy
import html
import json
from pathlib import Path

import nbformat
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_solution

from autograder.driver.reading import LONGEST, grade_id
from autograder.show import safe
from rlhf_core.errors import CourseError


class CleanCopy(NbGraderPreprocessor):
    """For nbgrader's own autograde: the same copy, and nothing run."""

    def preprocess(self, nb, resources):
        facts = resources["nbgrader"]
        notebook = released(CourseDirectory(config=self.config), facts["assignment"], facts["notebook"])
        return clean_copy(notebook, texts_in(nbformat.writes(nb).encode())), resources


def released(coursedir, assignment: str, notebook: str):
    """The notebook that students got. Raises CourseError where there is none."""
    path = Path(coursedir.format_path(coursedir.release_directory, ".", assignment)) / f"{notebook}.ipynb"
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise CourseError(f"there is no {path}: run nbgrader generate_assignment {assignment}") from error


def clean_copy(notebook, texts: dict[str, list[str]]):
    """notebook: the released one.  texts: what was handed in, by grade_id.  A written answer is shown as plain text."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if is_solution(cell):
            text = the_answer(texts.get(cell.metadata.nbgrader.grade_id, []), cell.source)
            if text is not None:
                cell.source = safe(text.expandtabs(4)) if cell.cell_type == "code" else plain(text)
    return notebook


def the_answer(texts: list[str], stub: str) -> str | None:
    """The last text that is more than what was released; None where there is none."""
    written = [text for text in texts if text.strip() not in ("", stub.strip())]
    return written[-1] if written else None


def plain(text: str) -> str:
    """Markdown that shows a text as it is: nothing in it is markup, a formula or a script."""
    style = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
    return f'<pre style="{style}">{html.escape(safe(text.expandtabs(4)))}</pre>'


def texts_in(content: bytes) -> dict[str, list[str]]:
    """The texts of the cells of a notebook, by grade_id, in order; none where it is no notebook."""
    try:
        cells = json.loads(content.decode("utf-8-sig"))["cells"]
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return {}
    texts = {}
    for cell in cells if isinstance(cells, list) else []:
        if isinstance(cell, dict) and (name := grade_id(cell)) is not None:
            lines = cell.get("source")
            lines = lines if isinstance(lines, list) else [lines]
            texts.setdefault(name, []).append("".join(line for line in lines if isinstance(line, str))[:LONGEST])
    return texts
