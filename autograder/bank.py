"""The bank: named mistakes (`autograder/wrong/`) and valid variants (`autograder/right/`), one module an exercise.

    @wrong(about="time", read="gae-end", hint="What is a state worth from which nothing can be earned any more?")
    def bootstraps_past_eos(rewards, values, mask, gamma, lam):
        '''The value after the last token of a response is read from the padding, though the episode is over there.'''

The name of the function is the name of the mistake, its docstring the one sentence that explains it.  Another way to write
the same mistake is added by `@bootstraps_past_eos.also`.
"""

import functools
import importlib
import importlib.util
import inspect
from dataclasses import dataclass, field

from . import recorded

# What several mistakes that leave the same evidence can have in common.
ABOUT = {
    "mask": "the mask: which tokens count",
    "sign": "a sign, or the order of a difference",
    "gradient": "the gradient: where it flows and where it must not",
    "mean": "the mean: what is summed, and by how much it is divided",
    "clip": "the clip: of what, and on which side",
    "numerics": "the way a number is computed, not which: it overflows, or digits cancel",
    "time": "the time step that a number belongs to",
    "scale": "a factor, or a unit",
    "formula": "the formula itself: compare yours with the docstring, term by term",
    "shape": "the shape, order or type of what is returned",
    "sampling": "the distribution that tokens are drawn from, or that is reported",
    "state": "what is kept from one step to the next, or changed on the way",
    "reading": "what is read from the input",
}


@dataclass
class WrongAnswer:
    """A named mistake."""

    exercise: str
    name: str
    explanation: str
    hint: str
    about: str
    read: str  # a section of the exercise's lesson, by its key in course.toml
    forms: list = field(default_factory=list)  # implementations that make it, or what was recorded of them

    def also(self, implementation):
        """Decorator: another way to write the same mistake."""
        self.forms.append(implementation)
        return self


def wrong(about: str, read: str, hint: str):
    """Decorator: declare a mistake in a module of `autograder/wrong/`."""

    def declare(implementation):
        exercise = implementation.__module__.rpartition(".")[2]
        sentence = " ".join(inspect.getdoc(implementation).split())
        return WrongAnswer(exercise, implementation.__name__, sentence, hint, about, read, [implementation])

    return declare


def right(implementation):
    """Decorator: mark a valid variant in a module of `autograder/right/`; its docstring says what is different."""
    implementation.is_right = True
    return implementation


@functools.cache
def wrong_answers(exercise: str) -> list[WrongAnswer]:
    """The mistakes that are known for an exercise; in an edition without the bank, as they were recorded."""
    found = [thing for thing in _members("wrong", exercise) if isinstance(thing, WrongAnswer)]
    found = list({thing.name: thing for thing in found}.values())  # `also` binds a mistake to a second name
    return found or [WrongAnswer(exercise, **facts) for facts in recorded.mistakes(exercise)]


@functools.cache
def right_answers(exercise: str) -> list:
    """The valid variants of an exercise."""
    return [thing for thing in _members("right", exercise) if getattr(thing, "is_right", False)]


def _members(kind, exercise):
    module = f"autograder.{kind}.{exercise}"
    if importlib.util.find_spec(f"autograder.{kind}") is None or importlib.util.find_spec(module) is None:
        return []
    return list(vars(importlib.import_module(module)).values())
