"""A submission as the checks see it: they put their questions, and a worker in the sandbox answers.

`Answer` asks a `Remote` just as it asks a function beside it (`driver.call`), so that one check serves both.
"""

import ast
import functools
import inspect
import math
import re
import sys
from dataclasses import dataclass, field

import torch

from autograder.driver.call import Observation, Raised
from autograder.driver.frames import BrokenFrame
from rlhf_core.exercise import exercises, reference_answers

from .sandbox import WorkerLost

LONGEST = 3_000  # characters of a text
GRACE = 5.0  # seconds after a call's limit, until the worker that could not interrupt it is killed


@dataclass
class Remote:
    """A submission's implementation of one exercise; the worker is forked when it is first asked.

    budget: of the submission, all its exercises together.  cells: of the submission.  seed: for the generators of the
    submission's own code, and for nothing else.
    """

    exercise: str
    sandbox: object
    budget: object
    cells: list
    seed: int
    worker: object = field(default=None, repr=False)
    output: bytearray = field(default_factory=bytearray, repr=False)

    def observe(self, arguments: dict, seconds: float, gradients=(), weights=None) -> Observation:
        question = {"do": "observe", "arguments": arguments, "gradients": list(gradients), "weights": weights}
        return self.ask(question, seconds)

    def play(self, scenario: str, parameters: dict, seconds: float) -> Observation:
        question = {"do": "play", "exercise": self.exercise, "scenario": scenario, "parameters": parameters}
        return self.ask(question, seconds)

    def ask(self, question, seconds) -> Observation:
        if self.worker is None:
            self.load()
        seconds = min(seconds, self.budget.left())
        reply = self.worker.ask(question | {"seconds": seconds}, seconds + GRACE)
        try:
            seen = observation(reply, question.get("arguments", {}))
        except (ValueError, TypeError, AttributeError, KeyError, BrokenFrame):
            self.close()
            raise WorkerLost("broken_frame", "ended without a result that can be read.") from None
        self.output += seen.printed.encode("utf-8", "replace")
        return seen

    def load(self):
        limits = self.sandbox.limits
        self.worker = self.sandbox.worker()
        seconds = min(limits.import_seconds, self.budget.left())
        question = {
            "do": "load", "cells": self.cells, "exercise": self.exercise, "others": self.others(), "seed": self.seed,
            "seconds": seconds,
        }  # fmt: skip
        loaded = self.worker.ask(question, seconds + GRACE)
        if self.exercise not in loaded["implemented"]:
            self.close()
            raise WorkerLost(
                "raises", "was there when the submission was read for the first time, and not when it was read again."
            )

    def others(self) -> list:
        """The reference answers that the submission may call: of exercises that it names, and of those that these name."""
        texts, answers, found = [cell["source"] for cell in self.cells], others(self.exercise), []
        while True:
            more = [a for a in answers if a not in found and any(re.search(rf"\b{a[0][0]}\b", text) for text in texts)]
            if not more:
                return found
            found += more
            texts = [source for _, source in more]

    def close(self):
        if self.worker is not None:
            self.worker.end()
            self.output += self.worker.printed
            self.worker = None


def observation(reply, arguments) -> Observation:
    """What a worker says of a call, its form looked at: it can be forged. Raises ValueError and the like where it is wrong."""
    if not isinstance(reply, dict):
        raise BrokenFrame("an observation was expected")
    raised = reply["raised"]
    if raised is not None:
        kind, message, where = raised
        raised = Raised(text(kind), text(message), None if where is None else text(where))
    gradients = reply["gradients"]
    if not all(isinstance(g, torch.Tensor | None) for g in gradients.values()):
        raise BrokenFrame("gradients are tensors")
    return Observation(
        reply["returned"], reply["requires_grad"] is True, {name: g for name, g in gradients.items() if name in arguments},
        [name for name in arguments if name in reply["changed"]], reply["moved_random_state"] is True, raised,
        text(reply["printed"]),
    )  # fmt: skip


def text(value) -> str:
    if not isinstance(value, str):
        raise BrokenFrame("a text was expected")
    return value[:LONGEST]


@functools.cache
def others(exercise: str) -> list:
    """The reference answers to all exercises but one, as [[name], source] of each; none in an edition without them.

    The one under test is in none of them: what a worker does not have, nobody can find in it.
    """
    try:
        answers = reference_answers()
    except LookupError:
        return []
    return [[[name], alone(name, getattr(answers, name).__module__)] for name in exercises() if name != exercise]


def alone(exercise: str, module: str) -> str:
    """The source of a module of answers with this answer alone; in place of the others the import of their declarations."""
    source = inspect.getsource(sys.modules[module])
    lines = source.splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        name = getattr(node, "name", None)
        if name in exercises() and name != exercise:
            first = min(part.lineno for part in (node, *node.decorator_list))
            lines[first - 1 : node.end_lineno] = [f"from {exercises()[name].__module__} import {name}\n"]
    return "".join(lines)


@dataclass
class Budget:
    """The wall time that a submission has, from its start."""

    seconds: float
    clock: object
    started: float = math.nan

    def __post_init__(self):
        self.started = self.clock()

    def left(self) -> float:
        """Seconds. Raises WorkerLost where there are none."""
        left = self.started + self.seconds - self.clock()
        if left <= 0:
            raise WorkerLost("time_out", f"was not run: the submission had used up its {self.seconds:g} s.")
        return left
