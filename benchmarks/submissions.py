"""Made-up classes for the benchmarks: students whose answers are right, wrong in a known way, missing or unreadable."""

import ast
import functools
import inspect
import random
import textwrap
from pathlib import Path

from autograder.bank import wrong_answers
from rlhf_core.exercise import exercises, reference_answers

# Exercises whose answers need nothing but torch and math, so that a class is made of short files.
PLAIN = (
    "masked_mean", "compute_gae", "kl_estimate", "policy_loss", "best_of_n", "pairwise_accuracy", "response_mask", "win_rate",
)  # fmt: skip
HEAD = "import math\n\nimport torch\nimport torch.nn.functional as F\n\n\n"


def make_class(folder: Path, size: int, seed: int = 0, most: int = 2) -> list[Path]:
    """Write `size` submissions of one to `most` exercises into a folder; every tenth is odd. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = random.Random(seed), []
    for number in range(size):
        path = folder / f"student{number:04d}.py"
        content = odd(rng) if number % 10 == 9 else ordinary(rng, rng.randint(1, most), number)
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths


def ordinary(rng, how_many, number) -> str:
    names = rng.sample(PLAIN, how_many)
    return f"# {number}\n" + HEAD + "\n\n".join(rng.choice(answers_to(name)) for name in names)


def odd(rng) -> str:
    return rng.choice(["", "def compute_gae(:\n", HEAD + "exit(3)\n", "# -*- coding: latin-1 -*-\n", "print('x' * 10**5)\n"])


@functools.cache
def answers_to(name) -> list[str]:
    """The reference answer, four times, and each known mistake once, as source under the exercise's name."""
    right = source_of(getattr(reference_answers(), name), name)
    return [right] * 4 + [source_of(mistake.forms[0], name) for mistake in wrong_answers(name)]


def source_of(function, name) -> str:
    """Its definition under the name of the exercise, after what else its module defines for all."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    definition.name, definition.decorator_list = name, []
    module = ast.parse(inspect.getsource(inspect.getmodule(function))).body
    shared = [s for s in module if isinstance(s, ast.Import | ast.ImportFrom | ast.Assign | ast.FunctionDef)]
    shared = [s for s in shared if not getattr(s, "decorator_list", []) and getattr(s, "name", None) != name]
    kept = [s for s in shared if getattr(s, "module", None) != "autograder.bank"]
    return "\n".join(map(ast.unparse, [*kept, definition])) + "\n"


def whole_course() -> str:
    """The reference answers to all exercises in one file."""
    answers = reference_answers()
    modules = dict.fromkeys(getattr(answers, name).__module__ for name in exercises())
    return "\n\n".join(inspect.getsource(inspect.importlib.import_module(module)) for module in modules)
