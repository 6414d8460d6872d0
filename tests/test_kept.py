"""Answers that passed are kept as files that stand alone, and come back in the next kernel."""

import os
import re
import subprocess
import sys

import pytest

from rlhf_core import kept
from rlhf_core.course import exercise_names

NOTEBOOK = """
import math
import torch
from torch.nn import functional as F
from rlhf_core import policy
from rlhf_core.evaluate import sequence_kl, win_rate
from rlhf_core.policy import gather_logprobs
from autograder import check

HALF = 0.5
after = torch.zeros(2)  # as a cell above may well have left it: the parameter of that name has nothing to do with it
model = torch.nn.Linear(1, 1)

def ties(a, b):
    return HALF * (a == b)

@win_rate.implement
def win_rate(after, before):
    return ((after > before).double() + ties(after, before)).mean().to(after.dtype)

@sequence_kl.implement
@torch.no_grad()
def sequence_kl(logprobs, ref_logprobs, mask):
    return torch.where(mask, logprobs - ref_logprobs, 0.0).sum(1)

@gather_logprobs.implement
def gather_logprobs(logits, tokens):
    model
    return F.log_softmax(logits, -1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)

check(win_rate, sequence_kl, gather_logprobs)
"""
AGAIN = """
from rlhf_core.lesson import begin
begin(8)
from autograder import check
check()
"""


@pytest.fixture
def python(tmp_path):
    """python(source): what a script prints, with its kept answers in a folder of their own."""

    def python(source):
        file = tmp_path / "notebook.py"
        file.write_text(source)
        environment = os.environ | {"RLHF_COURSE_ANSWERS": str(tmp_path / "answers")}
        return subprocess.run([sys.executable, file], env=environment, capture_output=True, text=True, check=True).stdout

    return python


def test_what_passed_comes_back(python, tmp_path):
    out = python(NOTEBOOK)
    assert "win_rate: 1 of 1 points" in out and "Not kept for the next lesson: gather_logprobs." in out
    files = sorted(file.name for file in (tmp_path / "answers").iterdir())
    assert files == ["sequence_kl.py", "win_rate.py"], "an answer that needs a model of the notebook cannot stand alone"
    assert "HALF = 0.5\n\n\ndef ties(a, b)" in (tmp_path / "answers/win_rate.py").read_text()
    out = python(AGAIN)
    assert "with 2 of your answers from before" in out
    assert "win_rate: 1 of 1 points" in out and "sequence_kl: 2 of 2 points" in out


def test_the_course_map_counts_what_is_kept(python):
    python(NOTEBOOK)
    out = python("from rlhf_core.progress import CourseMap\nprint(CourseMap())\nprint(CourseMap()._repr_html_())")
    assert re.search(r"7\. The loop, and an honest evaluation +3 of 11   ○ rlhf_loop, ○ bootstrap_ci, ✓ win_rate", out)
    assert f"2 of {len(exercise_names())} exercises are done. Next: gather_logprobs, in lesson 1, A language" in out
    assert "<td>3 of 11</td>" in out and '<a href="07_loop.ipynb">' in out


def test_what_is_wrong_is_not_kept(python, tmp_path):
    assert "0.25 of 1" in python(NOTEBOOK.replace("HALF = 0.5", "HALF = 0.0"))
    assert not (tmp_path / "answers/win_rate.py").exists()


def test_a_kept_file_that_is_broken_is_told(python, tmp_path):
    python(NOTEBOOK)
    (tmp_path / "answers/win_rate.py").write_text("def win_rate(:")
    out = python(AGAIN)
    assert "win_rate.py could not be run, so write win_rate again: SyntaxError" in out and "with 1 of your answers" in out


def test_nothing_is_kept_where_that_is_not_wanted(monkeypatch):
    monkeypatch.setenv("RLHF_COURSE_ANSWERS", os.devnull)
    assert kept.folder() is None and kept.done() == [] and kept.restore() == []
