"""How checks become results: points, states, evidence, diagnosis, and what a learner is told."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import solutions.answers
from autograder import engine
from autograder.answer import Answer, EndOfCheck
from autograder.bank import wrong_answers
from autograder.compare import close, pattern, same
from autograder.draw import Draw
from autograder.engine import Check, checks_of, run_exercise
from autograder.report import exercise_data, message, what
from autograder.show import as_text

ROOT = Path(__file__).parent.parent
F64 = torch.float64


def mean_of_all(x, mask, dim=None):
    return x.mean() if dim is None else x.mean(dim)


def known(exercise, name):
    return next(mistake for mistake in wrong_answers(exercise) if mistake.name == name)


# Points and states


def test_points_are_those_of_the_course_whatever_is_run():
    for hidden in (False, True):
        result = run_exercise("compute_gae", known("compute_gae", "bootstraps_past_eos").forms[0], hidden=hidden)
        data = exercise_data(result)
        assert data["max_points"] == 6 and 0 < data["points"] < 6
        assert sum(check["max_points"] for check in data["checks"]) == pytest.approx(6, abs=1e-4)
        assert sum(check["points"] for check in data["checks"]) == pytest.approx(data["points"], abs=1e-4)
        assert {check["visibility"] for check in data["checks"]} == ({"visible", "hidden"} if hidden else {"visible"})


def test_after_a_time_out_the_rest_is_not_run():
    def asleep(x, mask, dim=None):
        time.sleep(60)

    start = time.monotonic()
    result = run_exercise("masked_mean", asleep, seconds=0.3)
    assert time.monotonic() - start < 5
    assert result.points == 0 and result.state == "graded"
    assert "did not return" in what(result.checks[0]) and "Not run" in what(result.checks[1])


def test_a_fault_of_a_check_is_not_graded_and_not_held_against_the_learner(monkeypatch):
    def broken(answer, draw):
        raise RuntimeError("the check's own")

    good = checks_of("win_rate")
    bad = Check("win_rate", "test_broken", 1, "visible", broken)
    monkeypatch.setattr(engine, "checks_of", lambda exercise, hidden=False: [*good, bad])
    result = run_exercise("win_rate", lambda after, before: torch.tensor(0.0))
    assert result.state == "not_graded" and result.checks[-1].status == "not_graded"
    assert "not graded" in what(result.checks[-1])


def test_a_check_that_only_this_answer_breaks_is_failed(monkeypatch):
    def picky(answer, draw):
        seen = answer.call({"after": torch.ones(2), "before": torch.zeros(2)})
        assert seen.returned == 1

    monkeypatch.setattr(engine, "checks_of", lambda e, hidden=False: [Check(e, "test_picky", 1, "visible", picky)])
    right = run_exercise("win_rate", lambda after, before: torch.tensor(1.0))
    wrong = run_exercise("win_rate", lambda after, before: torch.tensor(0.0))
    assert right.points == 1 and wrong.points == 0 and wrong.state == "graded"
    assert "cannot be judged" in what(wrong.checks[0])


def test_hidden_checks_tell_their_name_and_the_diagnosis_alone():
    def secretive(x, mask, dim=None):
        raise ValueError(f"the input is {x.tolist()}")

    for implementation in (secretive, mean_of_all, lambda x, mask, dim=None: x.sum() * 0.123):
        result = run_exercise("masked_mean", implementation, hidden=True)
        hidden = [check for check in result.checks if check.check.visibility == "hidden"]
        assert hidden and all(check.status == "failed" for check in hidden)
        for check in hidden:
            assert what(check) == "Your answer fails on inputs that are not shown."
            assert "expected" not in message(result, check) and "the input is" not in message(result, check)


def test_a_learner_cannot_reach_the_arguments_of_the_check():
    """What one call changes in place is not what the next one gets, and it is reported."""

    def vandal(x, mask, dim=None):
        kept = torch.where(mask, x, torch.zeros_like(x))
        result = kept.sum() / mask.sum().clamp(min=1) if dim is None else kept.sum(dim) / mask.sum(dim).clamp(min=1)
        mask.zero_()
        return result

    result = run_exercise("masked_mean", vandal)
    assert result.points < result.max_points / 2
    failed = [check for check in result.checks if check.findings]
    told = [any("changed its input mask in place" in finding.what for finding in check.findings) for check in failed]
    assert told.count(False) <= 1, "a mask without a True place is not changed by it"
    assert not any(finding.kind == "value" for check in failed for finding in check.findings)


# Evidence and diagnosis


def test_one_mistake_is_named():
    result = run_exercise("compute_gae", known("compute_gae", "bootstraps_past_eos").forms[0])
    assert result.diagnosis.name == "bootstraps_past_eos"
    assert exercise_data(result)["checks"][0]["diagnosis"] == "bootstraps_past_eos"
    text = as_text([result])
    assert "What it looks like:" in text and 'Read again: lesson 5, "The end of an episode"' in text


def test_a_dtype_beside_a_mistake_does_not_hide_it():
    mistake = known("compute_gae", "bootstraps_past_eos").forms[0]

    def in_float32(rewards, values, mask, gamma, lam):
        return tuple(x.float() for x in mistake(rewards, values, mask, gamma, lam))

    result = run_exercise("compute_gae", in_float32)
    assert result.diagnosis.name == "bootstraps_past_eos"
    assert "torch.float32" in as_text([result])


def test_an_edge_beside_a_mistake_does_not_hide_it():
    mistake = known("compute_gae", "bootstraps_past_eos").forms[0]

    def fails_on_one_row(rewards, values, mask, gamma, lam):
        advantages, returns = mistake(rewards, values, mask, gamma, lam)
        return (advantages, returns) if len(mask) > 1 else (advantages * 2 + 1, returns)

    result = run_exercise("compute_gae", fails_on_one_row)
    assert result.diagnosis.name == "bootstraps_past_eos" and not result.diagnosis.everywhere
    assert "In most of the checks that fail" in as_text([result])


def test_a_slip_that_always_raises_gets_no_name():
    def slip(attention_mask):
        return attention_mask.nonsense()

    result = run_exercise("last_token_index", slip)
    assert result.points == 0 and result.diagnosis is None
    assert "has no attribute 'nonsense'" in as_text([result])


def test_an_unknown_mistake_gets_no_name():
    def strange(rewards, values, mask, gamma, lam):
        return (rewards * 0.123).masked_fill(~mask, 0).detach(), (values * 0.3).masked_fill(~mask, 0).detach()

    result = run_exercise("compute_gae", strange)
    assert result.diagnosis is None
    assert exercise_data(result)["checks"][0]["diagnosis"] == "value"


def test_answers_are_asked_the_same_again(monkeypatch):
    """The inputs of a check follow from its seed and its name alone."""
    assert torch.equal(Draw(3, "a").normal(4), Draw(3, "a").normal(4))
    assert not torch.equal(Draw(3, "a").normal(4), Draw(4, "a").normal(4))
    assert not torch.equal(Draw(3, "a").normal(4), Draw(3, "b").normal(4))
    x = Draw("secret", "a").normal(500)
    assert (x != 0).all() and torch.equal(x, x.round(decimals=2))


def test_junk_lies_where_the_mask_is_false():
    draw = Draw(0, "junk")
    mask = draw.mask(3, 0, 2, width=4)
    assert sorted(mask.sum(1).tolist()) == [0, 2, 3]
    x = torch.zeros(3, 4, 2, dtype=F64)
    junk = draw.junk(x, mask)
    assert not junk[mask].any() and (junk[~mask].abs() >= 15).all()


def test_close_knows_nan_dtype_and_scale():
    x = torch.tensor([1.0, 100.0], dtype=F64)
    assert close(x.float() * (1 + 5e-5), x).all() and not close(x * 1.01, x).any()
    assert not close(x * torch.nan, x).any()
    assert close(torch.tensor([1, 2]), torch.tensor([1, 3])).tolist() == [True, False]
    assert same(torch.tensor([torch.nan, torch.inf]), torch.tensor([torch.nan, torch.inf]))
    assert not same(torch.zeros(2), torch.zeros(3)) and not same({"a": 1.0}, {"a": 2.0}) and not same(True, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, m: -x, "minus"),
        (lambda x, m: 2 * x, "2 times"),
        (lambda x, m: x + 0.5, "a constant is added"),
        (lambda x, m: x * 0, "Every number is 0"),
        (lambda x, m: x * torch.nan, "6 of 6 numbers are NaN"),
        (lambda x, m: x.masked_fill(~m, 9.0), "Only places where the mask is False"),
        (lambda x, m: torch.where(m & ~m.roll(-1, 1).index_fill(1, torch.tensor(2), False), x + 1, x), "only the last one"),
    ],
)
def test_patterns(change, says):
    mask = torch.tensor([[True, True, False], [True, True, True]])
    x = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.25, -1.5]], dtype=F64)
    assert says in pattern(change(x, mask), x, mask)
    assert pattern(x * torch.tensor([[1.3, 0.2, 4.0]]), x, mask) is None


def test_soft_checks_go_on_after_a_finding():
    answer = Answer("masked_mean", mean_of_all)
    x, mask = torch.tensor([[1.0, 5.0]], dtype=F64), torch.tensor([[True, False]])
    answer.agrees(x, mask)
    answer.agrees(2 * x, mask)
    assert len(answer.findings) >= 4 and len(answer.evidence) > 4
    with pytest.raises(EndOfCheck):
        Answer("masked_mean", lambda x, mask, dim=None: None).agrees(x, mask)


@pytest.mark.parametrize("exercise", ["normalize_scores", "shape_rewards", "masked_whiten", "compute_gae", "policy_loss"])
def test_zeros_earn_nothing(exercise):
    """Where the right result is 0 or a constant at an edge, code that always gives that shows nothing."""
    reference = getattr(solutions.answers, exercise)

    def zeros(*arguments, **named):
        results = reference(*arguments, **named)
        several = isinstance(results, tuple)
        zero = tuple(torch.zeros_like(x) if isinstance(x, torch.Tensor) else x for x in (results if several else (results,)))
        return zero if several else zero[0]

    assert run_exercise(exercise, zeros, hidden=True).points == 0


@pytest.mark.parametrize("exercise", ["kl_estimate", "positive_logit", "rloo_advantages"])
def test_an_error_that_is_always_raised_earns_nothing(exercise):
    def raises(*arguments, **named):
        raise ValueError(str((arguments, named)))

    assert run_exercise(exercise, raises, hidden=True).points == 0


def test_the_smallest_input_may_need_two_rows():
    def mean_of_means(x, mask, dim=None):
        rows = (x * mask).sum(-1) / mask.sum(-1).clamp(min=1)
        return rows.mean() if dim is None else (x * mask).sum(dim) / mask.sum(dim).clamp(min=1)

    text = as_text([run_exercise("masked_mean", mean_of_means)])
    assert "mask = [[True], [False]]" in text


def test_the_smallest_input_of_a_gradient_says_what_is_wrong():
    cut_off = lambda x, mask, dim=None: solutions.answers.masked_mean(x, mask, dim).detach()  # noqa: E731
    assert "gives: No gradient reaches x" in as_text([run_exercise("masked_mean", cut_off)])


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("rloo_advantages", lambda scores: scores - scores.mean(1, keepdim=True)),
        ("positive_logit", lambda logits, id2label: logits[:, [x.lower() for x in id2label.values()].index("positive")]),
        ("last_token_index", lambda attention_mask: attention_mask.sum(1) - 1),
    ],
)
def test_the_smallest_input_keeps_what_the_exercise_promises(exercise, answer):
    """A group has two samples, a logit stands for each label, a row of a mask has a token: smaller ones are no example."""
    text = as_text([run_exercise(exercise, answer)])
    shown = text.split("The smallest input that shows it:\n")[1]
    rows = re.search(r"= \[\[(.*)\]\]", shown)[1].split("], [")
    if exercise == "last_token_index":
        assert all("1" in row for row in rows)
    else:
        assert all("," in row for row in rows)
    assert exercise != "positive_logit" or len(rows[0].split(", ")) == shown.split("id2label")[1].count(":") - 1


def test_torch_may_raise_not_implemented_error_too():
    def softmax_of_bools(tokens, eos_token_id):
        return torch.softmax(tokens == eos_token_id, dim=1)

    result = run_exercise("response_mask", softmax_of_bools, files=(__file__,))
    assert "is not written yet" not in what(result.checks[0])
    assert "Your code raised NotImplementedError" in what(result.checks[0]) and "torch.softmax" in what(result.checks[0])


def test_gradients_are_judged_where_they_are_switched_off():
    with torch.no_grad():
        assert run_exercise("kl_exact", solutions.answers.kl_exact, hidden=True).points == 3


def test_numbers_of_numpy_are_numbers():
    def bootstrap_ci(x, level=0.95, n_resamples=2000, generator=None):
        low, high = solutions.answers.bootstrap_ci(x, level, n_resamples, generator)
        return np.float32(low), np.float64(high)

    assert run_exercise("bootstrap_ci", bootstrap_ci).points == 2


def test_long_output_is_cut_and_says_so():
    def talks(x, mask, dim=None):
        print("x" * 5000)
        print("never shown")
        return solutions.answers.masked_mean(x, mask, dim)

    printed = run_exercise("masked_mean", talks).printed
    assert printed.startswith("xxx") and printed.endswith("... (cut here)") and len(printed) < 2100


# pytest


def pytest_of(*arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_checks_run_with_plain_pytest(tmp_path):
    results = tmp_path / "results.json"
    done = pytest_of(
        "autograder/visible/test_05_advantages.py", "autograder/hidden/test_05_advantages.py", "-k", "gae or masked_mean",
        "--submission", "autograder/example_answers.py", "--results", results, "--check-seed", "secret",
    )  # fmt: skip
    assert done.returncode == 1
    assert "Wrong advantages" in done.stdout and "The end of an episode" in done.stdout
    failures = done.stdout.partition("short test summary info")[0]  # which pytest cuts short, but not where CI is set
    assert failures.count("masked_mean was not handed in") == 7, "every check of that name, as it says nothing of inputs"
    assert "def test_gae" not in done.stdout, "lines of the check are shown"
    data = json.loads(results.read_text())
    assert data["exercises"]["compute_gae"]["state"] == "graded" and 0 < data["points"] < data["max_points"] == 8
    assert data["exercises"]["masked_mean"]["state"] == "missing" and data["seed_id"] == "secret"


def test_pytest_without_a_submission_says_what_to_do():
    done = pytest_of("autograder/visible/test_05_advantages.py")
    assert done.returncode == 4 and "--submission FILE" in done.stderr
    done = pytest_of("autograder/visible/test_05_advantages.py", "--submission", "nowhere.py")
    assert done.returncode == 4 and "no file or folder 'nowhere.py'" in done.stderr


def test_every_exercise_can_be_selected_by_its_name():
    done = pytest_of("autograder/visible", "--collect-only", "-q", "-k", "compute_gae")
    names = re.findall(r"::(\w+)$", done.stdout, re.MULTILINE)
    assert names == [check.name for check in checks_of("compute_gae")]


def test_pytest_ends_with_code_that_cannot_be_interrupted(tmp_path):
    (tmp_path / "answers.py").write_text("def win_rate(after, before):\n    return sum(range(10**12))\n")
    done = pytest_of("autograder/visible", "--submission", tmp_path / "answers.py", "-k", "win_rate")
    assert done.returncode == 1 and "Timeout" in done.stderr and 'answers.py", line 2 in win_rate' in done.stderr
