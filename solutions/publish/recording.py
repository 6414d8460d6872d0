"""Writes down what `autograder.recorded` looks up: each question of the visible checks, the evidence of each known mistake.

An exercise, or the `hunt` of lesson 8, is recorded by running: the reference answer, valid variants and known mistakes go
through its checks, and whatever an oracle is asked on the way is kept.
"""

import contextlib
import functools
import itertools
import random
import signal
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

import solutions.answers
from autograder import hunt, oracles
from autograder.answer import Answer
from autograder.bank import right_answers, wrong_answers
from autograder.diagnosis import SHOWN, remember
from autograder.engine import SEEDS, checks_of
from autograder.recorded import Entry, Question, Truths, leaves_of, save

EQUAL = 1e-12  # what is farther apart, such as float32 and float64 of the same inputs, is another question


def prepare():
    """For a process that records and nothing else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it hears Ctrl-C, and ends it
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def record(name: str, folder: Path) -> str:
    """Write folder/NAME.npz; returns the name."""
    truths = Truths()
    with listening(truths):
        found = of_the_hunt() if name == "hunt" else of_exercise(name)
    save(folder / f"{name}.npz", {"truths": truths.as_data(), "mistakes": found})
    return name


def of_the_hunt() -> list:
    hunt.texts_by_length()
    hunt.mask(SimpleNamespace(mask=lambda tokens: tokens > 0))
    return []


def of_exercise(name: str) -> list[dict]:
    """Put an exercise's checks to right and wrong answers; returns the mistakes as `recorded.mistakes` gives them."""
    reference = getattr(solutions.answers, name)
    for check in checks_of(name):
        for implementation in (reference, *right_answers(name)):
            check.ask(Answer(name, implementation))
        if check.name == "test_ppo_step_minibatches_in_your_order":
            for orders in itertools.product(cuts_in_two(5, 3), repeat=2):
                with mock.patch("torch.randperm", side_effect=orders):
                    check.ask(Answer(name, reference))
        smaller_inputs(name, reference, check)
    return [facts(mistake) for mistake in wrong_answers(name)]


def cuts_in_two(n: int, size: int) -> list[torch.Tensor]:
    """Every way to draw a minibatch of so many rows, and one of the rest; their order does not matter."""
    firsts = itertools.combinations(range(n), size)
    return [torch.tensor([*first, *(row for row in range(n) if row not in first)]) for first in firsts]


def smaller_inputs(name, reference, check):
    """Ask what is right for the smaller inputs that a learner may be shown: those of an answer that is wrong everywhere."""

    def off(*args, **kwargs):
        result = reference(*args, **kwargs)
        return (moved(result[0]), *result[1:]) if isinstance(result, tuple) else moved(result)

    with contextlib.suppress(Exception):
        answer = Answer(name, off)
        check.ask(answer)
        for finding in answer.findings:
            if finding.shrink is not None:
                Answer(name, reference)._smallest(*finding.shrink.args)


def moved(x):
    if not isinstance(x, torch.Tensor):
        return x + 1
    return ~x if x.dtype == torch.bool else x + 1 + x.abs()


def seed_everything():
    """For mistakes that draw from a generator of the whole process."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


def facts(mistake) -> dict:
    checks = checks_of(mistake.exercise)
    evidence = []
    for form in mistake.forms:
        for check in checks:
            seed_everything()
            remember(mistake.exercise, form, check, SEEDS)
        evidence.append({check.name: SHOWN.pop((form, check, str(SEEDS["visible"]))) for check in checks})
    texts = {name: getattr(mistake, name) for name in ("name", "explanation", "hint", "about", "read")}
    return texts | {"forms": evidence}


# Oracles that are listened to


@contextlib.contextmanager
def listening(truths: Truths):
    """Inside, every question to an oracle is kept with its answer."""
    with contextlib.ExitStack() as stack:
        for name in oracles.__all__:
            stack.enter_context(mock.patch.object(oracles, name, heard(name, getattr(oracles, name), truths)))
        yield


def heard(name, oracle, truths):
    @functools.wraps(oracle)
    def ask(*args, **kwargs):
        results = oracle(*args, **kwargs)
        question, leaves = Question.of(name, args, kwargs), leaves_of([*args, *kwargs.values()])
        entry = truths.find(question)
        if entry is None or entry.question.distance(question) > EQUAL:
            entry = Entry(question, plain(results))
            truths.add(entry)
        for place, leaf in enumerate(leaves):
            leaf.register_hook(functools.partial(note, entry, len(leaves), place))
        return results

    return ask


def note(entry, count, place, gradient):
    """Keep a gradient that arrives at the leaf at this place."""
    entry.gradients = entry.gradients or [None] * count
    entry.gradients[place] = gradient.detach().clone()


def plain(results):
    if isinstance(results, torch.Tensor):
        return results.detach().clone()
    if isinstance(results, tuple):
        return tuple(map(plain, results))
    return {key: plain(value) for key, value in results.items()} if isinstance(results, dict) else results
