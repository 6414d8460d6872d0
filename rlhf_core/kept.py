"""Answers that passed all their checks, kept in a folder, so that the next lesson begins with them.

One file an exercise, a plain Python module that stands alone: the imports, constants and helper functions that the answer uses
in its notebook, then the answer.  A folder of such files is also what `rlhf-course check` takes.
"""

import ast
import inspect
import os
import sys
from pathlib import Path

from .exercise import Exercise, exercises
from .source import names_from_around, source_of

DRIVE = Path("/content/drive/MyDrive")  # Google Drive, where Colab has mounted it


def folder() -> Path | None:
    """RLHF_COURSE_ANSWERS where that is set, else in Google Drive where it is mounted, else in the home folder."""
    if "RLHF_COURSE_ANSWERS" in os.environ:
        named = os.environ["RLHF_COURSE_ANSWERS"]
        return None if named == os.devnull else Path(named)
    return (DRIVE if DRIVE.is_dir() else Path.home()) / "rlhf-course-answers"


def keep(exercise: Exercise, implementation) -> bool:
    """Write an answer down.

    False where it cannot be: its source is not at hand (typed into a plain Python shell), or it uses a model of its notebook.
    """
    where = folder()
    if where is None:
        return True  # nobody wants it kept
    text = standing_alone(exercise, implementation)
    if text is None:
        return False
    where.mkdir(parents=True, exist_ok=True)
    partial = where / f".{exercise.name}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(where / f"{exercise.name}.py")
    return True


def done() -> list[str]:
    """The names of the exercises whose answers are kept."""
    where = folder()
    return [name for name in exercises() if where is not None and (where / f"{name}.py").is_file()]


def restore() -> list[str]:
    """Put the kept answers in force where there are none yet, and return their names. One that no longer runs is told."""
    restored = []
    for name in done():
        exercise, file = exercises()[name], folder() / f"{name}.py"
        if exercise.mine is None:
            try:
                exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), {"__name__": f"kept_{name}"})
            except Exception as error:
                print(f"{file} could not be run, so write {name} again: {type(error).__name__}: {error}")
            if exercise.mine is not None:
                restored.append(name)
    return restored


def standing_alone(exercise, implementation) -> str | None:
    """The source of an answer with all that it uses from around it; None where that cannot be found out."""
    try:
        around = dict(needed(implementation))
        answer = definition(implementation)
    except (OSError, TypeError):
        return None
    around[exercise.name] = f"from {exercise.__module__} import {exercise.name}"
    imports = sorted(text for text in around.values() if text.startswith(("import ", "from ")))
    helpers = [text for text in around.values() if text not in imports]
    if answer.startswith("class ") or f"def {exercise.name}(" in answer:
        answer = f"@{exercise.name}.implement\n{answer}"
    else:  # written under another name, and taken by NAME.implement(other)
        answer = f"{answer}\n\n\n{exercise.name}.implement({implementation.__name__})"
    return "\n\n\n".join(["\n".join(imports), *helpers, answer]) + "\n"


def definition(thing) -> str:
    """The source of a function or class, without the decorator that makes it an answer."""
    lines = source_of(thing).rstrip().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(("def ", "class ", "async def ")))
    return "\n".join([*(line for line in lines[:first] if ".implement" not in line), *lines[first:]])


def needed(thing, seen=None):
    """(name, source) of each global that a function or class uses; what those use in turn comes first.

    Raises TypeError for a global that cannot be written down, such as a model.
    """
    seen = set() if seen is None else seen
    for name in sorted(set(names_from_around(definition(thing))) - seen - {thing.__name__}):
        around = globals_of(thing)
        if name not in around:
            continue
        seen.add(name)
        value, home = around[name], getattr(around[name], "__module__", None)
        if isinstance(value, Exercise):
            yield name, f"from {home} import {name}"
        elif inspect.ismodule(value):
            yield name, f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}"
        elif inspect.isroutine(value) or inspect.isclass(value):
            if around.get("__name__") == home:
                yield from needed(value, seen)
                yield name, definition(value)
            else:
                yield name, f"from {home} import {value.__name__}" + f" as {name}" * (name != value.__name__)
        else:
            yield name, f"{name} = {literal(value)}"


def globals_of(thing) -> dict:
    return vars(sys.modules[thing.__module__]) if inspect.isclass(thing) else inspect.unwrap(thing).__globals__


def literal(value) -> str:
    """A constant as it is typed. Raises TypeError for anything else."""
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError) as error:
        raise TypeError(f"{type(value).__name__} is no constant") from error
    return repr(value)
