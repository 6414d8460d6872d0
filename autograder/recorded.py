"""What is right, and what known mistakes show, written down beforehand: for an edition without oracles and without the bank.

The visible checks draw their inputs from a fixed seed, so what they ask an oracle is known before anybody answers.
`rlhf-course publish` puts them all to right and to wrong answers once, and writes down every question with its answer, and
every mistake with the evidence that it leaves: numbers, no code. In the student edition `autograder.oracles` is `oracle` below,
and `bank.wrong_answers` gives `mistakes`.

What depends on what the learner's code gave, such as the tokens that it drew, nobody can ask beforehand. Such a question goes
to the learner's own answer to that exercise; never to the one under test, which would then be compared with itself.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from rlhf_core.exercise import NotImplementedYet, exercises

from .driver.call import observe
from .driver.scenarios.AdaptiveKLController import values
from .isolation import exercise_under_test

FOLDER = Path(__file__).parent / "record"
ROUNDING = 1e-6  # of the sum of all numbers: inputs may differ so much from one computer to another
SECONDS = 20.0  # that a learner's own answer may take in place of an oracle


class NotRecorded(Exception):
    """A check asked what nobody had asked before: this edition does not belong to these checks, or to these versions."""


class WriteFirst(Exception):
    """A check compares with another exercise of the learner's, which is not there or does not work."""


# Records: nested plain data with tensors, in a file


def save(path: Path, data):
    """Write nested lists, tuples, dicts with names, plain values and tensors, as float32 where that holds them. The same bytes
    each time."""
    numbers, places = {torch.float32: [], torch.float64: []}, {}

    def packed(value):
        if isinstance(value, torch.Tensor):
            flat = value.detach().cpu().reshape(-1)
            kind = torch.float32 if torch.equal(flat.float().isinf(), flat.isinf()) else torch.float64
            flat = flat.to(kind).numpy()
            name = (kind, flat.tobytes())
            if name not in places:
                places[name] = sum(map(len, numbers[kind]))
                numbers[kind].append(flat)
            return {
                "tensor": [*(str(each).removeprefix("torch.") for each in (value.dtype, kind)), list(value.shape), places[name]]
            }
        if isinstance(value, dict):
            return {"dict": {key: packed(item) for key, item in value.items()}}
        if isinstance(value, tuple):
            return {"tuple": [packed(item) for item in value]}
        return [packed(item) for item in value] if isinstance(value, list) else value

    index = np.frombuffer(json.dumps(packed(data), separators=(",", ":")).encode(), np.uint8)
    np.savez_compressed(
        path,
        index=index,
        float32=np.concatenate([np.zeros(0, np.float32), *numbers[torch.float32]]),
        float64=np.concatenate([np.zeros(0, np.float64), *numbers[torch.float64]]),
    )


def load(path: Path):
    """What `save` has written."""
    with np.load(path, allow_pickle=False) as file:
        index = json.loads(file["index"].tobytes())
        numbers = {kind: torch.from_numpy(file[kind]) for kind in ("float32", "float64")}

    def unpacked(value):
        if isinstance(value, list):
            return [unpacked(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "tensor":
            dtype, stored, shape, start = content
            return numbers[stored][start : start + int(np.prod(shape))].reshape(shape).to(getattr(torch, dtype))
        return {key: unpacked(item) for key, item in content.items()} if kind == "dict" else tuple(map(unpacked, content))

    return unpacked(index)


# Questions: what tells one call of an oracle from another


@dataclass(frozen=True)
class Question:
    """The arguments of a call: what has to be equal, and sums over all floats, which may differ by rounding."""

    exact: str
    sums: torch.Tensor  # float64 (4,), the first of them of absolute values

    @classmethod
    def of(cls, oracle: str, args, kwargs):
        equal, floats = [oracle], []
        for name, value in [*enumerate(args), *sorted(kwargs.items())]:
            equal.append(f"{name}={described(value, floats)}")
        x = torch.cat([torch.zeros(0, dtype=torch.float64), *floats])
        places = torch.arange(len(x), dtype=torch.float64)
        sums = torch.stack([x.abs().sum(), *((x * (places * step + 1).cos()).sum() for step in (0.7, 1.3, 2.9))])
        return cls(hashlib.sha256("\n".join(equal).encode()).hexdigest()[:16], sums)

    def distance(self, other: "Question") -> float:
        """How far apart the sums are, as a share of all."""
        return ((self.sums - other.sums).abs().max() / self.sums[0].clamp(min=1e-12)).item()


def described(value, floats: list) -> str:
    """All of an argument that has to be equal; its floats, in float64, are added to `floats`."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        floats.append(value.detach().double().cpu().reshape(-1))
        return f"floats{tuple(value.shape)}"
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)}{value.long().tolist()}"
    if isinstance(value, nn.Module | SimpleNamespace):
        parts = value.state_dict() if isinstance(value, nn.Module) else vars(value)
        return str({name: described(part, floats) for name, part in sorted(parts.items())})
    if isinstance(value, str | int | float | list | tuple | dict | None) or is_dataclass(value):
        return repr(value)
    return type(value).__name__ if type(value).__module__.startswith("autograder.") else ""  # others may be renamed


@dataclass
class Entry:
    """A question and its answer; gradients: of what the check weighs the results by, to each tensor that has one."""

    question: Question
    results: object
    gradients: list | None = None


@dataclass
class Truths:
    """Answers to the questions that the checks of an exercise ask."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)

    def find(self, question: Question) -> Entry | None:
        near = [(entry.question.distance(question), entry) for entry in self.entries.get(question.exact, ())]
        distance, entry = min(near, key=lambda pair: pair[0], default=(1.0, None))
        return entry if distance <= ROUNDING else None

    def add(self, entry: Entry):
        self.entries.setdefault(entry.question.exact, []).append(entry)

    def as_data(self) -> dict:
        def row(entry):
            return [[float(f"{x:.13g}") for x in entry.question.sums.tolist()], entry.results, entry.gradients]

        return {exact: [row(entry) for entry in entries] for exact, entries in self.entries.items()}

    @classmethod
    def of(cls, data: dict):
        def entry(exact, row):
            return Entry(Question(exact, torch.tensor(row[0], dtype=torch.float64)), *row[1:])

        return cls({exact: [entry(exact, row) for row in rows] for exact, rows in data.items()})


@functools.cache
def truths(exercise: str | None) -> Truths:
    """Those of an exercise; None: of the bug hunt, which belongs to none."""
    return Truths.of(record_of(exercise or "hunt")["truths"])


@functools.cache
def record_of(name: str) -> dict:
    """What was recorded of an exercise, or of the `hunt`: its truths, and its known mistakes."""
    path = FOLDER / f"{name}.npz"
    return load(path) if path.exists() else {"truths": {}, "mistakes": []}


# In place of the oracles


def oracle(name: str):
    """What stands in for the oracle of this name: it looks the answer up, or asks the learner's own exercises."""

    def ask(*args, **kwargs):
        entry = truths(exercise_under_test()).find(Question.of(name, args, kwargs))
        if entry is None:
            return own(name, *args, **kwargs)
        leaves = leaves_of([*args, *kwargs.values()])
        if not leaves or entry.gradients is None:
            return entry.results
        results = entry.results if isinstance(entry.results, tuple) else (entry.results,)
        results = LookedUp.apply(results, entry.gradients, *leaves)
        return results if isinstance(entry.results, tuple) else results[0]

    return ask


def leaves_of(values) -> list[torch.Tensor]:
    """The tensors and parameters that take a gradient, in order."""
    tensors = [x for value in values for x in (value.parameters() if isinstance(value, nn.Module) else [value])]
    return [x for x in tensors if isinstance(x, torch.Tensor) and x.requires_grad]


class LookedUp(torch.autograd.Function):
    """Results whose gradients are known."""

    @staticmethod
    def forward(context, results, gradients, *leaves):
        context.gradients = gradients
        return tuple(x.clone() for x in results)

    @staticmethod
    def backward(context, *_):
        return None, None, *context.gradients


def own(name: str, *args, **kwargs):
    """The answer of the learner's own exercises, in float64, to what no table can hold. Raises NotRecorded, WriteFirst."""
    exercise, ask = {
        "adaptive_kl_values": ("AdaptiveKLController", controller_values),
        "reward_scores": ("RewardWrapper", wrapper_scores),
    }.get(name, (name, None))
    if exercise not in exercises() or exercise == exercise_under_test():
        raise NotRecorded(f"the answer to a question about {name} is not part of this edition")
    kwargs.pop("unbiased", None)  # either variance will do, so the learner's one does
    declared = exercises()[exercise]
    try:
        implementation = declared.in_force()
    except (NotImplementedYet, LookupError):
        lesson = declared.lesson["number"]
        raise WriteFirst(f"This check compares with your {exercise}: write that first (lesson {lesson}).") from None
    if ask is None:
        given = declared.signature.bind(*args, **kwargs).arguments
    else:
        given, implementation = {"args": args}, functools.partial(ask, implementation)
    seen = observe(implementation, {key: as_double(value) for key, value in given.items()}, SECONDS)
    if seen.raised is not None:
        said = f"{seen.raised.type}: {seen.raised.message}".rstrip(": .")
        raise WriteFirst(f"This check compares with your {exercise}, which raised {said}: check that first.")
    return seen.returned


def as_double(value):
    return value.detach().double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def controller_values(implementation, args) -> list:
    return values(implementation, *args)["values"][1:]


def wrapper_scores(implementation, args):
    model, tokenizer, texts, max_length = args
    return implementation(model, tokenizer, len(texts), max_length)(texts).double()


# In place of the bank


@dataclass(eq=False)
class Form:
    """One way to make a known mistake, of which only the evidence is left: by check, what it showed and whether that is all."""

    evidence: dict[str, tuple[list, bool]]


def mistakes(exercise: str) -> list[dict]:
    """The known mistakes of an exercise, as the arguments of a `bank.WrongAnswer`; none where nothing was recorded."""
    found = record_of(exercise)["mistakes"]
    return [facts | {"forms": [Form(evidence) for evidence in facts["forms"]]} for facts in found]
