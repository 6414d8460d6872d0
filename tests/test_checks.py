"""The test of the tests: right answers score everything, wrong ones are caught and named, mutants do not slip through."""

import functools
import inspect

import pytest

import solutions.answers
from autograder.bank import ABOUT, right_answers, wrong_answers
from autograder.diagnosis import PATTERNS, UNHURRIED
from autograder.engine import all_checks, checks_of, run_exercise
from autograder.matrix import page, patterns_of, rows_of
from autograder.report import section
from rlhf_core.course import exercise_names, lesson_of
from rlhf_core.exercise import exercises

from .write_wrong_answers import PAGE, explained, survivors

NAMES = exercise_names()
EACH = pytest.mark.parametrize("name", NAMES)
SEEDS = [{"visible": 0, "hidden": 0}, {"visible": 11, "hidden": 12}, {"visible": "a", "hidden": "secret"}]


def findings(result):
    return [(c.check.name, c.fault or [f.what + f.details for f in c.findings]) for c in result.checks if c.status != "passed"]


def assert_everything(name, implementation, seeds):
    result = run_exercise(name, implementation, hidden=True, seeds=seeds, seconds=UNHURRIED)
    assert result.points == result.max_points and result.state == "graded", findings(result)


# Computed once: the matrix is asked for by several tests.
table = functools.cache(rows_of)
mutated = functools.cache(lambda name: survivors(name, exercises()[name]))


def test_every_exercise_has_checks_of_both_kinds():
    for name in NAMES:
        visible, hidden = checks_of(name), [c for c in checks_of(name, hidden=True) if c.visibility == "hidden"]
        assert visible and hidden, name
    checks = all_checks(hidden=True)
    assert {check.exercise for check in checks} == set(NAMES)
    assert len({check.name for check in checks}) == len(checks), "two checks of one name"
    assert all(check.title and len(check.title) < 90 for check in checks), [c.title for c in checks if len(c.title) >= 90]


@EACH
def test_the_reference_answer_scores_everything(name):
    for seeds in SEEDS:
        assert_everything(name, getattr(solutions.answers, name), seeds)


@EACH
def test_valid_variants_score_everything(name):
    variants = right_answers(name)
    assert len(variants) >= 3
    for variant in variants:
        exercises()[name].check_signature(variant)
        assert variant.__doc__, f"{variant.__name__} does not say what is different"
        for seeds in SEEDS[:2]:
            assert_everything(name, variant, seeds)


@EACH
def test_wrong_answers_are_explained(name):
    mistakes = wrong_answers(name)
    assert len({m.name for m in mistakes}) == len(mistakes)
    sections = lesson_of(name)["sections"]
    for mistake in mistakes:
        assert mistake.exercise == name and mistake.about in ABOUT and mistake.read in sections, mistake.name
        assert mistake.explanation.endswith(".") and mistake.hint[-1] in ".?", mistake.name
        assert mistake.explanation not in (m.explanation for m in mistakes if m is not mistake)
        assert section(name, mistake.read)
        for form in mistake.forms:
            exercises()[name].check_signature(form)


@EACH
def test_every_wrong_answer_is_caught(name):
    rows = table(name)
    assert not [(row.mistake.name, row.form) for row in rows if not row.caught_by]
    assert sum(row.hidden_caught for row in rows) >= 0.6 * len(rows), "the hidden twin lets too much through"


def test_wrong_answers_are_named():
    rows = [row for name in NAMES for row in table(name)]
    assert len({(row.mistake.exercise, row.mistake.name) for row in rows}) >= 150
    unnamed = [(row.mistake.exercise, row.mistake.name, row.form, row.alike) for row in rows if not row.is_named]
    assert len(unnamed) <= 0.05 * len(rows), unnamed
    assert not [row for row in rows if row.named not in (None, row.mistake.name)], "called by the name of another mistake"


@EACH
def test_mutants_are_caught_or_explained(name):
    _, alive = mutated(name)
    assert set(alive) == set(explained().get(name, {}))


def test_the_page_of_wrong_answers_is_fresh():
    changed = {}
    for name in NAMES:
        count, alive = mutated(name)
        changed[name] = (count, [(change, explained()[name][change]) for change in alive])
    fresh = page({name: table(name) for name in NAMES}, changed)
    assert PAGE.read_text(encoding="utf-8") == fresh, "stale: python -m tests.write_wrong_answers"
    patterns = patterns_of({name: table(name) for name in NAMES})
    assert PATTERNS.read_text(encoding="utf-8") == patterns, "stale: python -m tests.write_wrong_answers"


@pytest.mark.parametrize("name", ["masked_mean", "gather_logprobs", "kl_estimate", "policy_loss", "response_mask"])
def test_a_mistake_costs_points_in_no_other_exercise(name, tmp_path):
    """The exercises that call this one are checked with a right one in its place."""
    from autograder.driver.loading import read_submission
    from autograder.engine import run_submission

    mistake = wrong_answers(name)[0].forms[0]
    source = "from solutions.answers import *\n"
    for module in {inspect.getmodule(getattr(solutions.answers, other)) for other in NAMES}:
        source += inspect.getsource(module).replace('"""', "'''")
    file = tmp_path / "answers.py"
    file.write_text(source, encoding="utf-8")
    submission = read_submission(file)
    assert sorted(submission.implementations) == sorted(NAMES)
    submission.implementations[name] = mistake
    users = [other for other in NAMES if lesson_of(other)["number"] >= lesson_of(name)["number"]]
    lost = [result.exercise for result in run_submission(submission, users) if result.points < result.max_points]
    assert lost == [name]
