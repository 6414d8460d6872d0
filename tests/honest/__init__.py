"""Honest submissions of many kinds, right and wrong.  A .py file here is one; `laid_out` makes the others beside them."""

import inspect
import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from autograder.bank import wrong_answers
from rlhf_core.course import exercise_names

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent

# What stands in for the bank, so that its modules can be handed in.
BANK = """
class wrong:
    def __init__(self, **about):
        pass

    def __call__(self, mistake):
        mistake.also = lambda form: form
        return mistake


class WrongAnswer(wrong):
    pass
"""


def laid_out(folder: Path) -> list[str]:
    """Write every submission to a folder; their names there."""
    for path in HERE.glob("*.py"):
        if path.name != "__init__.py":
            shutil.copy(path, folder)
    shutil.copy(HERE / "partial.py", folder / "same_as_partial.py")
    shutil.copy(PROJECT / "autograder" / "example_answers.py", folder / "example.py")
    reference = {
        path.name: path.read_text(encoding="utf-8") for path in sorted((PROJECT / "solutions" / "answers").glob("*.py"))
    }
    del reference["__init__.py"]
    (folder / "reference.py").write_text("\n\n".join(reference.values()), encoding="utf-8")
    fill(
        folder / "solved_lessons",
        {path.name: path.read_bytes() for path in (PROJECT / "solutions" / "notebooks").glob("*.ipynb")},
    )
    fill(folder / "untouched_lessons", {path.name: path.read_bytes() for path in (PROJECT / "lessons").glob("*.ipynb")})
    for number in range(3):
        fill(folder / f"wrong_{number}", mistaken(number))
    parts = {
        "answers.py": "from helpers.masks import kept\n\n"
        "def masked_mean(x, mask, dim=None):\n    args = () if dim is None else (dim,)\n"
        "    return kept(x, mask).sum(*args) / mask.sum(*args).clamp(min=1)\n",
        "helpers/masks.py": "import torch\n\ndef kept(x, mask):\n    return torch.where(mask, x, torch.zeros_like(x))\n",
    }
    fill(folder / "two_files", parts)
    with zipfile.ZipFile(folder / "two_files_zipped.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(f"my work/{name}", text)
    with tarfile.open(folder / "two_files_tarred.tar.gz", "w:gz") as archive:
        archive.add(folder / "two_files", "mine")
    (folder / "empty.py").write_text("")
    (folder / "with_a_bom.py").write_text("\ufeff" + (HERE / "helpers.py").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "syntax_error.py").write_text((HERE / "helpers.py").read_text().replace("columns[::-1], 1)", "columns[::-1], 1"))
    (folder / "empty_notebook.ipynb").write_text(json.dumps(notebook()))
    plain = (HERE / "plain_definitions.py").read_text(encoding="utf-8").split("\n\n\n")
    broken = [
        *plain[:3],
        "def masked_whiten(x, mask:\n    return x",
        "%matplotlib inline\n!pip install nothing\nprint(1)",
        *plain[4:],
    ]
    (folder / "broken_cell.ipynb").write_text(json.dumps(notebook(*broken)))
    graded = notebook("import torch\n%load_ext autoreload", *plain[1:], "check(masked_mean)", "masked_mean?")
    for cell, name in zip(graded["cells"][1:], ("gather_logprobs", "masked_mean", "masked_whiten"), strict=False):
        cell["metadata"]["nbgrader"] = {
            "grade_id": name,
            "grade": False,
            "solution": True,
            "locked": False,
            "schema_version": 3,
        }
    graded["cells"][0]["source"] += "\nimport torch.nn.functional as F"
    (folder / "with_grade_ids.ipynb").write_text(json.dumps(graded))
    return sorted(path.name for path in folder.iterdir())


def mistaken(number: int) -> dict[str, str]:
    """Files of a submission with a known mistake in each exercise."""
    files = {"bank.py": BANK, "answers.py": ""}
    for name in exercise_names():
        known = wrong_answers(name)
        mistake = known[number % len(known)]
        form = mistake.forms[0]
        text = inspect.getsource(sys.modules[f"autograder.wrong.{name}"]).replace("from ..bank", "from bank")
        if f"\ndef {form.__name__}(" in text or f"\nclass {form.__name__}" in text:
            files[f"lib_{name}.py"] = text
            files["answers.py"] += f"import lib_{name}\n{name} = lib_{name}.{form.__name__}\n"
    return files


def fill(folder: Path, files: dict):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def notebook(*sources) -> dict:
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for number, source in enumerate(sources)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
