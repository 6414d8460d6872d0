"""Reads a notebook, a .py file, or a folder or archive of them, as cells of Python."""

import ast
import hashlib
import json
import os
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rlhf_core.errors import UsageError

LARGEST = 20 * 2**20  # bytes of source, in all
FOLDERS_OF_THE_COURSE = ("rlhf_core", "autograder", "solutions", "tests", "benchmarks", "docs")


@dataclass
class Cell:
    """A piece of source with the name that a message calls it by: 'answers.py' or 'cell 5 of lesson.ipynb'."""

    name: str
    source: str
    notebook: bool
    text: str = ""  # the whole file, where the cell is a piece of it


class Refused(Exception):
    """A file that holds no answers that could be read, and why."""


def require(path: Path):
    """Raises UsageError where there is nothing at that path."""
    if not path.exists():
        raise UsageError(
            f"there is no file or folder {str(path)!r}: name a notebook, a .py file, or a folder or archive of them"
        )


def read_cells(path: Path) -> list[Cell]:
    """Every cell of the files at `path`, in the order of their names. Raises Refused."""
    cells = list(cells_of(path))
    if not cells:
        raise Refused(f"{path.resolve().name} holds no cell of code and no .py file of yours; the course's own do not count")
    return cells


def cells_of(path: Path):
    if path.is_dir():
        names = wanted([file.relative_to(path).as_posix() for file in files_below(path)])
        if sum((path / name).stat().st_size for name in names) > LARGEST:
            raise Refused(f"{path.name} holds more than {LARGEST >> 20} MiB of notebooks and .py files")
        for name in names:
            yield from cells_in(name, (path / name).read_bytes())
    elif path.suffix in (".py", ".ipynb"):
        if path.stat().st_size > LARGEST:
            raise Refused(f"{path.name} is larger than {LARGEST >> 20} MiB: clear its outputs and save it again")
        yield from cells_in(path.name, path.read_bytes())
    else:
        for name, content in archived(path):
            yield from cells_in(name, content)


def files_below(folder: Path):
    """The regular files in a folder and below it. Hidden folders and Python environments are not entered."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not hidden(name) and not (Path(parent) / name / "pyvenv.cfg").exists()]
        yield from (Path(parent) / name for name in files if not (Path(parent) / name).is_symlink())


def hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def wanted(names) -> list[str]:
    """The notebooks and .py files among these paths, in order, without those of the course itself.

    Where `course.toml` lies, the folders of the course lie beside it: a learner's answers are elsewhere.
    """
    courses = [PurePosixPath(name).parent for name in names if PurePosixPath(name).name == "course.toml"]
    ours = {course / folder for course in courses for folder in FOLDERS_OF_THE_COURSE}
    return sorted(
        name
        for name in names
        if name.endswith((".py", ".ipynb"))
        and not any(map(hidden, PurePosixPath(name).parts))
        and not ours.intersection(PurePosixPath(name).parents)
    )


def archived(path: Path):
    """(name, content) of the regular files in a zip or tar archive; nothing is written to disk."""
    total = 0
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
                for name in wanted(members):
                    total += members[name].file_size
                    if total > LARGEST:
                        raise Refused(f"{path.name} holds more than {LARGEST >> 20} MiB of notebooks and .py files")
                    yield name, archive.read(members[name])
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                members = {member.name: member for member in archive.getmembers() if member.isfile()}
                for name in wanted(members):
                    total += members[name].size
                    if total > LARGEST:
                        raise Refused(f"{path.name} holds more than {LARGEST >> 20} MiB of notebooks and .py files")
                    yield name, archive.extractfile(members[name]).read()
        else:
            raise Refused(f"{path.name} is neither a notebook, a .py file, nor an archive (zip, tar) of them")
    except (zipfile.BadZipFile, tarfile.TarError, OSError, RuntimeError, EOFError) as error:
        raise Refused(f"{path.name} is a damaged archive ({error}): make it again") from error


def cells_in(name: str, content: bytes):
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not UTF-8 text (byte {error.start}): save it again as UTF-8") from error
    if name.endswith(".py"):
        yield from python_cells(name, text)
        return
    try:
        notebook = json.loads(text)
        sources = [(number, cell["source"]) for number, cell in enumerate(notebook["cells"], 1) if cell["cell_type"] == "code"]
    except json.JSONDecodeError as error:
        raise Refused(
            f"{name} is not a notebook: line {error.lineno} is not JSON ({error.msg}). Download it again, or save it in Jupyter"
        ) from error
    except (KeyError, TypeError, RecursionError) as error:
        raise Refused(f"{name} is JSON but not a notebook of format 4: open it in Jupyter and save it again") from error
    for number, source in sources:
        source = "".join(source) if isinstance(source, list) else str(source)
        yield Cell(f"cell {number} of {name}", without_magics(source), notebook=True)


def python_cells(name: str, text: str):
    """The whole file; one with a syntax error in pieces that begin at a top-level definition, so that one piece is lost."""
    try:
        ast.parse(text)
        yield Cell(name, text, notebook=False)
        return
    except (SyntaxError, ValueError):
        pass
    lines, start, pieces = text.splitlines(keepends=True), 0, []
    for index, line in enumerate(lines):
        begins = re.match(r"@|def |class |async def |# %%|import |from ", line)
        decorated = index > start and lines[index - 1].startswith("@")
        if begins and not decorated and index > start:
            pieces.append((start, index))
            start = index
    for first, last in [*pieces, (start, len(lines))]:
        yield Cell(name, "\n" * first + "".join(lines[first:last]), notebook=False, text=text)


def without_magics(source: str) -> str:
    """A cell as plain Python: lines of IPython's own syntax become comments, so that line numbers stay."""
    source = re.sub(r"\A(\s*)%%(time|capture|prun)\b", r"\1# %\2", source)  # these run the cell as it is
    if source.lstrip().startswith("%%"):
        return "".join(f"# {line}\n" for line in source.splitlines())
    lines = source.splitlines()
    for index, line in enumerate(lines):
        magic = re.match(r"(\s*)(%|!|\?)", line) or re.match(r"(\s*)[\w.]+\?{1,2}\s*$", line)
        if magic:
            lines[index] = f"{magic.group(1)}pass  # {line.strip()}"
    return "\n".join(lines)


def content_hash(path: Path) -> str:
    """sha256 of the file, or of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(files_below(path))
    for file in files:
        digest.update(b"" if path.is_file() else str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
