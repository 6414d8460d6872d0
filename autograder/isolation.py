"""One exercise under test at a time: a mistake in one must not cost points in another."""

import contextlib

import torch

from rlhf_core import kept
from rlhf_core.exercise import exercises, use

_under_test = []


def exercise_under_test() -> str | None:
    return _under_test[-1] if _under_test else None


@contextlib.contextmanager
def under_test(name: str, implementation):
    """Inside, exercise `name` runs `implementation` and every other exercise the reference answer.

    In an edition without reference answers the others stay the learner's own.
    """
    everything = exercises()
    before = {exercise: exercise.mine for exercise in everything.values()}
    source = use("mine", otherwise="reference")
    for exercise in before:
        if exercise.reference is not None:
            exercise.mine = None
    everything[name].mine = implementation
    _under_test.append(name)
    try:
        with source, torch.enable_grad():  # whoever calls `check` may have switched gradients off
            yield
    finally:
        _under_test.pop()
        for exercise, mine in before.items():
            exercise.mine = mine


@contextlib.contextmanager
def together(implementations: dict):
    """Inside, the answers of a submission call each other; what it lacks is taken from the answers that were kept.

    That is for an edition without reference answers: `under_test` puts these in their place.
    """
    before = {exercise: exercise.mine for exercise in exercises().values()}
    for name, implementation in implementations.items():
        exercises()[name].mine = implementation
    if any(exercise.reference is None for exercise in before):
        kept.restore()
    try:
        yield
    finally:
        for exercise, mine in before.items():
            exercise.mine = mine
