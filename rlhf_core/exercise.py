"""The contract of an exercise: declared once, implemented by the learner, called by everybody.

    @exercise                                           # in a textbook module of rlhf_core
    def kl_estimate(logprobs, ref_logprobs, estimator):
        '''Per-token estimate of KL(policy || reference) ...'''

    @kl_estimate.implement                              # in the learner's notebook
    def kl_estimate(logprobs, ref_logprobs, estimator):
        ...

A declaration is callable.  It runs the implementation in force, so the learner's own functions train the model.  `use` says
which one that is.
"""

import functools
import importlib
import importlib.metadata
import inspect
from typing import ClassVar

from .course import exercise_names, lesson_of
from .source import definition_of, is_stub


class NotImplementedYet(NotImplementedError):
    """An exercise was called that has no implementation in force."""


class SignatureMismatch(TypeError):
    """An implementation does not have the signature of its exercise."""


BORROW = ', or call rlhf_core.use("mine", otherwise="reference") to borrow the reference answer for now.'
NO_REFERENCE = (
    "The reference answer to {} is not part of this edition of the course. "
    'Implement the exercise yourself and keep rlhf_core.use("mine"), or install the solutions edition.'
)
MODULES = (
    "policy", "rewards", "preferences", "kl", "advantages", "ppo", "loop", "evaluate", "best_of_n", "alternatives",
)  # fmt: skip


class Exercise:
    """A declared exercise: `name`, `lesson`, `points`, `signature`, docstring, and the learner's implementation if any."""

    declared: ClassVar[list] = []  # every exercise whose module has been imported

    def __init__(self, declaration):
        self.declaration = declaration
        self.name = self.__name__ = declaration.__name__
        self.__doc__ = inspect.getdoc(declaration)
        self.__module__ = declaration.__module__
        self.__wrapped__ = declaration
        self.signature = self.__signature__ = inspect.signature(declaration)
        self.lesson = lesson_of(self.name)
        self.points = self.lesson["exercises"][self.name]
        self.mine = None
        Exercise.declared.append(self)

    def implement(self, implementation):
        """Decorator: take `implementation` (a function or class) as the learner's answer.

        Returns the exercise, so that the name in the notebook goes on meaning "whatever is in force" and the cell can be run
        again.  Raises SignatureMismatch when parameters differ from the declaration's.
        """
        name = getattr(implementation, "__name__", "")
        if name != self.name and any(other.name == name for other in Exercise.declared):
            raise SignatureMismatch(f"The decorator above {name} is that of {self.name}: it has to be @{name}.implement")
        self.check_signature(implementation)
        self.mine = implementation
        return self

    def __call__(self, *args, **kwargs):
        return self.in_force()(*args, **kwargs)

    def in_force(self):
        """The implementation that a call runs now.

        Raises NotImplementedYet when there is none, LookupError where the reference is asked for and left out of this edition.
        """
        for source in _mode:
            implementation = self.mine if source == "mine" else self.reference
            last_resort = source == _mode[-1]
            if implementation is not None and (last_resort or not is_unwritten(implementation)):
                return implementation
        if _mode == ["reference"]:
            raise LookupError(NO_REFERENCE.format(self.name))
        raise NotImplementedYet(
            f"{self.name} has no implementation yet. It is an exercise of lesson {self.lesson['number']}, "
            f'"{self.lesson["title"]}": write it in the cell that begins with @{self.name}.implement and run that cell'
            + (BORROW if self.reference is not None else ".")
        )

    @property
    def reference(self):
        """The reference answer; None in an edition without it."""
        answers = reference_answers()
        return None if answers is None else getattr(answers, self.name, None)

    @property
    def kind(self) -> str:
        return "class" if inspect.isclass(self.declaration) else "function"

    def check_signature(self, implementation):
        """Raises SignatureMismatch, with the difference, where `implementation` cannot stand in for the declaration."""
        wanted = _parameters(self.declaration)
        if inspect.isclass(implementation) != inspect.isclass(self.declaration):
            got = "class" if inspect.isclass(implementation) else "function"
            raise SignatureMismatch(f"{self.name} has to be a {self.kind}, but yours is a {got}")
        try:
            given = _parameters(implementation)
        except ValueError:  # compiled code, whose parameters only a call can tell
            return
        for method, expected in wanted.items():
            got = given.get(method)
            if got is None:
                raise SignatureMismatch(f"{self.name} has to define the method {method}{_show(expected)}")
            if not _fits(got, expected):
                where = self.name if method == "" else f"{self.name}.{method}"
                raise SignatureMismatch(f"{where} takes {_show(expected)}, but yours takes {_show(got)}")

    def __repr__(self):
        return f"<exercise {self.name}{self.signature} of lesson {self.lesson['number']}>"


def _parameters(thing) -> dict[str, list[inspect.Parameter]]:
    """The parameters of a function, keyed by ""; of a class, those of each method it defines itself."""
    if not inspect.isclass(thing):
        return {"": list(inspect.signature(thing).parameters.values())}
    methods = inspect.getmembers(thing, inspect.isfunction)
    public = [(name, f) for name, f in methods if not name.startswith("_") or name in ("__init__", "__call__")]
    return {name: list(inspect.signature(f).parameters.values())[1:] for name, f in public}


def _fits(got, expected) -> bool:
    """Whether parameters are the expected ones by name, kind and default.

    A default where none is asked for does no harm, and neither does a further parameter that has one.
    """
    own, further = got[: len(expected)], got[len(expected) :]
    return (
        [(p.name, p.kind) for p in own] == [(p.name, p.kind) for p in expected]
        and all(e.default in (e.empty, g.default) for g, e in zip(own, expected, strict=True))
        and all(p.default is not p.empty for p in further)
    )


def _show(parameters) -> str:
    return str(inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in parameters]))


def exercise(declaration) -> Exercise:
    """Declare an exercise: its name, signature and docstring are those of `declaration`."""
    return Exercise(declaration)


@functools.cache
def exercises() -> dict[str, Exercise]:
    """Every exercise of the course by its name, in the order of the lessons."""
    for module in MODULES:
        importlib.import_module(f"rlhf_core.{module}")
    by_name = {exercise.name: exercise for exercise in Exercise.declared}
    return {name: by_name[name] for name in exercise_names()}


@functools.cache  # looking through all that is installed takes longer than most exercises
def reference_answers():
    """The module of reference answers, found by entry point; None in the student edition, which has none."""
    for entry in importlib.metadata.entry_points(group="rlhf_course.answers"):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("solutions"):
                raise
    return None


@functools.cache
def is_unwritten(implementation) -> bool:
    """Whether it is still the stub of a lesson."""
    definition = definition_of(implementation)
    return definition is not None and is_stub(definition)


_mode = ["mine"]


class use:
    """Choose whose implementations are called from now on, or inside a `with` block.

    use("mine")                         the learner's; an exercise not done yet raises NotImplementedYet (the default)
    use("mine", otherwise="reference")  the learner's where there is one that is more than a stub, else the reference answer
    use("reference")                    the reference answers, also where the learner has written one
    """

    def __init__(self, source: str, otherwise: str | None = None):
        for name in (source, otherwise):
            if name not in ("mine", "reference", None):
                raise ValueError(f'use() takes "mine" or "reference", not {name!r}')
        self.before = list(_mode)
        _mode[:] = [source] + ([otherwise] if otherwise else [])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _mode[:] = self.before


def in_use() -> tuple[str, ...]:
    """What `use` has been told: `use(*in_use())` brings it back later, as in the callback of a button."""
    return tuple(_mode)
