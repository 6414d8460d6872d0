"""The pictures of the guides that show a class:  python -m tests.screenshots

A made-up class of 24 is graded on lesson 5, and what an instructor and a student then open is photographed in Chromium, into
docs/.  (The pictures of widgets and of formgrader are made by test_browser.py and test_formgrader.py.)
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import nbformat.v4 as v4

from autograder.bank import wrong_answers
from benchmarks.submissions import source_of
from rlhf_core.course import exercise_names
from solutions.build import answer_of

from .browser import chromium_page

DOCS = Path(__file__).parent.parent / "docs"
NAMES = "Ada Bea Cem Dan Eva Fay Gus Hal Ida Jan Kim Lea Max Nia Oto Pia Ravi Sol Tom Uma Vic Wen Yara Zoe"
LESSON = exercise_names(5)


def make_class(folder: Path):
    """A folder of notebooks each, one an exercise: most answers right, some with a known mistake, some not handed in."""
    rng = random.Random(5)
    for name in NAMES.split():
        (folder / name).mkdir(parents=True)
        for exercise in LESSON:
            if rng.random() < 0.9:
                cells = [v4.new_code_cell(source) for source in answer_to(exercise, rng)]
                nbformat.write(v4.new_notebook(cells=cells), folder / name / f"{exercise}.ipynb")


def answer_to(exercise, rng) -> list[str]:
    if rng.random() < 0.75:
        return [
            f"import torch\nfrom rlhf_core import advantages\nfrom rlhf_core.advantages import {exercise}",
            answer_of(exercise),
        ]
    return ["import math\nimport torch", source_of(rng.choice(wrong_answers(exercise)).forms[0], exercise)]


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_class(folder / "submissions")
        results = folder / "results"
        for words in (
            ["grade", folder / "submissions", "--out", results, "--lesson", "5", "--seed", "pictures"],
            ["report", results],
        ):
            subprocess.run([sys.executable, "-m", "rlhf_core.cli", *map(str, words)], check=True)
        with chromium_page(height=1000) as page:
            for file, picture in (("class.html", "class-report.png"), ("Cem/feedback.html", "feedback.png")):
                page.goto((results / file).as_uri())
                page.screenshot(path=DOCS / picture)


if __name__ == "__main__":
    main()
