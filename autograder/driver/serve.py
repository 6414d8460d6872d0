"""What a worker does: it answers the grader's questions about one submission until the grader hangs up.

    read     files -> cells of Python; no code of the submission runs
    load     cells -> which exercises they implement
    observe  one call of the implementation under test
    play     one scenario with it

Questions bring inputs, never what is expected; answers are plain data, of which the grader believes the values alone.
"""

import functools
import importlib
import pkgutil
import random
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from rlhf_core.exercise import exercises, use

from . import scenarios
from .call import Observation, Raised, observe
from .frames import HEAD, BrokenFrame, lengths, pack, unpack
from .likeness import answers_of
from .loading import Loader
from .reading import Cell, Refused, all_cells, written_answers

LONGEST = 500  # characters of what an exception says
TOLD = 2_000  # characters of what is wrong with an answer
SCENARIOS = {
    info.name: importlib.import_module(f"{scenarios.__name__}.{info.name}") for info in pkgutil.iter_modules(scenarios.__path__)
}
FOLDER = Path("submission")  # below the worker's own folder: the files of the submission, for those that import each other


def serve(connection):
    """Answer questions from a connected socket until it is closed."""
    worker = Worker()
    out_of_reach()
    while (question := receive(connection)) is not None:
        reply = getattr(worker, question.pop("do"))(**question)
        try:
            frame = pack(reply)
        except (BrokenFrame, RuntimeError, TypeError, ValueError) as error:
            frame = pack(as_reply(Observation(raised=Raised("TypeError", f"what came back cannot be judged: {error}", None))))
        connection.sendall(frame)


def out_of_reach():
    """Whoever imports the driver from now on gets a copy, and changes that."""
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__.partition(".")[0]]:
        del sys.modules[name]


def receive(connection):
    """The next question; None where there is none any more."""
    parts = [exactly(connection, HEAD.size)]
    if parts[0] is None:
        return None
    return unpack(*(exactly(connection, length) for length in lengths(parts[0])))


def exactly(connection, length) -> bytes | None:
    got = bytearray()
    while len(got) < length:
        piece = connection.recv(min(length - len(got), 2**20))
        if not piece:
            return None
        got += piece
    return bytes(got)


class Worker:
    """The submission, once it is loaded, and the implementation that is under test."""

    def read(self, files: dict) -> dict:
        """files: by name their content. The cells of Python in them, each answer in a form that can be compared, and the
        answers to written questions."""
        try:
            cells = all_cells(files)
        except Refused as refusal:
            return {"refused": str(refusal)}
        code = [cell for cell in cells if not cell.written]
        return {"cells": [asdict(cell) for cell in code], "answers": answers_of(code), "written": written_answers(cells)}

    def load(self, cells: list, seconds: float, exercise: str | None, others: list, seed: int) -> dict:
        """Run the statements of a submission, and put its answer to `exercise` under test.

        others: the reference answers to all other exercises, which an answer may call: [names, source] of each module.
        seed: of every generator that the submission may use without asking for one.
        """
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002  the one that a submission may use
        torch.manual_seed(seed)
        cells = [Cell(**cell) for cell in cells]
        write_modules(cells)
        submission = Loader(FOLDER.resolve(), cells, seconds).load()
        self.files = submission.files
        if exercise is not None:
            self.under_test = submission.implementations.get(exercise)
            put_in_force(exercise, submission.implementations, others)
        return {
            "implemented": list(submission.implementations),
            "problems": {name: [problem.kind, problem.message[:TOLD]] for name, problem in submission.problems.items()},
            "notes": {name: note[:TOLD] for name, note in submission.notes.items()},
        }

    def observe(self, arguments: dict, seconds: float, gradients: list, weights) -> dict:
        return as_reply(observe(self.under_test, arguments, seconds, gradients, weights, self.files))

    def play(self, exercise: str, scenario: str, parameters: dict, seconds: float) -> dict:
        function = functools.partial(getattr(SCENARIOS[exercise], scenario), self.under_test)
        return as_reply(observe(function, parameters, seconds, files=self.files))


def as_reply(seen: Observation) -> dict:
    """An observation as plain data, its texts capped."""
    reply = vars(seen) | {"raised": None}
    if seen.raised is not None:
        raised = seen.raised
        reply["raised"] = [str(raised.type)[:100], str(raised.message)[:LONGEST], raised.where and str(raised.where)[:LONGEST]]
    return reply


def write_modules(cells):
    """The .py files of a submission, where they can import each other."""
    for cell in cells:
        if not cell.notebook:
            path = FOLDER / cell.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(cell.source, encoding="utf-8")


def put_in_force(exercise, implementations, others):
    """The implementation under test, and for every other exercise the reference answer.

    Without reference answers the others are the submission's own.
    """
    answers = {name: Borrowed(source, name) for names, source in others for name in names}
    for name, declared in exercises().items():
        declared.mine = implementations.get(name) if name == exercise or not others else answers.get(name)
    use("mine")


class Borrowed:
    """A reference answer, compiled when it is first called."""

    def __init__(self, source, name):
        self.source, self.name = source, name

    def __call__(self, *args, **kwargs):
        return namespace_of(self.source)[self.name](*args, **kwargs)


@functools.cache
def namespace_of(source: str) -> dict:
    namespace = {"__name__": "reference"}
    exec(compile(source, "<reference answers>", "exec"), namespace)
    return namespace
