"""Attacks on the grader, each a submission: what it tries, and the points that its honest part earns.

A file `<family>/<name>.py` is one attack.  When it is laid out, `prelude.py` stands before it and `honest_part.py` behind it.
Its docstring says what it tries, and with `Earns:` what it must get, no more and no less.  What is no single .py file (folders,
notebooks, archives, odd names) is made by `made.py`.

    Earns: nothing                          the attack costs its author the honest part
    Earns: masked_mean 2                    every other exercise 0
    Earns: at most masked_mean 2            whether the honest part survives is a matter of luck
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
FAMILIES = ("reading", "forging", "cheating", "processes", "bombs", "network", "files", "texts", "state")


@dataclass(frozen=True)
class Attack:
    """file: what it is called in the folder of a class.  lay_out: writes it to a path, for these canaries."""

    file: str
    tries: str
    earns: dict[str, float]
    lay_out: Callable[[Path, SimpleNamespace], None]
    at_most: bool = False
    refused: bool = False  # at the door, before anything is run


def corpus() -> list[Attack]:
    from .made import MADE

    return [*written(), *MADE]


def written() -> list[Attack]:
    found = []
    for path in sorted(path for family in FAMILIES for path in (HERE / family).glob("*.py")):
        tries, earns, at_most = described(path)
        found.append(Attack(f"{path.parent.name}-{path.stem}.py", tries, earns, writer(path), at_most))
    return found


def described(path: Path) -> tuple[str, dict[str, float], bool]:
    """What an attack tries, what it earns, and whether that is a bound. Raises ValueError where its docstring does not say."""
    tries, _, earns = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\nEarns: ")
    if not earns:
        raise ValueError(f"{path.name} does not say what it earns")
    points = {} if earns == "nothing" else {name: float(n) for name, n in re.findall(r"(\w+) ([\d.]+)", earns)}
    return tries, points, earns.startswith("at most")


def writer(path: Path):
    return lambda to, canary: to.write_text(whole(path.read_text(encoding="utf-8"), canary, to.stem), encoding="utf-8")


def whole(attack: str, canary: SimpleNamespace, name: str) -> str:
    """An attack as it is handed in. name: so that no two are equal, which would be graded once."""
    told = ", ".join(f"{key}={value!r}" for key, value in vars(canary).items())
    first = f"import types\n\nCANARY = types.SimpleNamespace(name={name!r}, {told})\n"
    return "\n\n".join([first, (HERE / "prelude.py").read_text(encoding="utf-8"), attack, HONEST])


HONEST = (HERE / "honest_part.py").read_text(encoding="utf-8")
