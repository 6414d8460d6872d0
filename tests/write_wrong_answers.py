"""Writes docs/wrong-answers.md and the patterns that go with it:  python -m tests.write_wrong_answers

With names of exercises it prints their part of the page and writes nothing: what you look at while you write one.  Without, it
runs every known mistake and every mechanical mutant through the checks, which takes a few minutes.  Mutants that pass are
explained in `equivalent_mutants.txt`, one a line: exercise | change | why it is not wrong.
"""

import sys
from pathlib import Path

import torch
from tqdm import tqdm

import solutions.answers
from autograder.diagnosis import PATTERNS
from autograder.engine import run_exercise
from autograder.matrix import exercise_lines, page, patterns_of, rows_of
from rlhf_core.course import exercise_names
from rlhf_core.exercise import SignatureMismatch

from .mutants import mutants

PAGE = Path(__file__).parent.parent / "docs" / "wrong-answers.md"
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.txt"


def explained() -> dict[str, dict[str, str]]:
    """exercise -> change -> why it is not wrong."""
    reasons: dict[str, dict[str, str]] = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            exercise, rest = line.split(" | ", 1)
            change, reason = rest.rsplit(" | ", 1)  # a change may hold a | itself
            reasons.setdefault(exercise, {})[change] = reason
    return reasons


def survivors(exercise: str, declared) -> tuple[int, list[str]]:
    """How many mutants the reference answer has, and the changes that neither the signature nor a visible check catches."""
    count, alive = 0, []
    for mutant in mutants(getattr(solutions.answers, exercise)):
        count += 1
        try:
            declared.check_signature(mutant.implementation)
        except SignatureMismatch:
            continue
        result = run_exercise(exercise, mutant.implementation, seconds=3.0, verdict_only=True)
        assert result.state == "graded", (exercise, mutant.change, [check.fault for check in result.checks])
        if not any(check.findings for check in result.checks):
            alive.append(mutant.change)
    return count, alive


def main(names):
    from rlhf_core.exercise import exercises

    torch.set_num_threads(1)
    reasons, table, changed = explained(), {}, {}
    for name in tqdm(names or exercise_names(), desc="mistakes and mutants"):
        table[name] = rows_of(name)
        count, alive = survivors(name, exercises()[name])
        changed[name] = (count, [(change, reasons.get(name, {}).get(change, "UNEXPLAINED")) for change in alive])
    if names:
        for name in names:
            print("\n".join([f"### {name}", "", *exercise_lines(name, table[name], changed[name])]))
        return
    PAGE.write_text(page(table, changed), encoding="utf-8")
    PATTERNS.write_text(patterns_of(table), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
