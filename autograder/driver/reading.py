"""Reads a notebook, a .py file, or a folder or archive of them, as cells of Python and of written answers.

What is read may be hostile: no link is followed, nothing is written, and what a file says of its own size is not believed.
Grading reads in the sandbox; `rlhf-course check` reads the learner's own files where they lie.
"""

import ast
import bz2
import copy
import functools
import gzip
import hashlib
import io
import itertools
import json
import lzma
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rlhf_core.course import WRITE_HERE, questions
from rlhf_core.errors import UsageError

LARGEST = 20 * 2**20  # bytes of source, in all
LONGEST = 400_000  # characters of a cell, or of a .py file
MOST_TEXT = 5_000_000  # characters of all cells together
MOST_CELLS = 2_000
MOST_WRITTEN = 20_000  # characters of the answer to a written question that are kept
MOST_MEMBERS = 2_000  # of an archive
MOST_ARCHIVES = 20
UNPACKED = 64 * 2**20  # bytes of a tar archive, with what is not read of it
ZIP_HEADER = 30  # bytes before a member, at least
RATIO = 200  # of what a member of a zip unpacks to, from 1 MiB on
BROKEN_PIECES = 50  # of a .py file that get a message each

SOURCES = (".py", ".ipynb")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
FOLDERS_OF_THE_COURSE = ("rlhf_core", "autograder", "solutions", "tests", "benchmarks", "docs")
NOTHING_WRITTEN = ("", WRITE_HERE, "YOUR ANSWER HERE")  # the last is what nbgrader puts in the place of an answer
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)  # what parsing any text may raise


@dataclass
class Cell:
    """A piece of source with the name that a message calls it by: 'answers.py' or 'cell 5 of lesson.ipynb'."""

    name: str
    source: str
    notebook: bool
    grade_id: str | None = None  # of a notebook's cell: a lesson gives an answer cell the name of its exercise
    written: bool = False  # the answer to a written question, and no code

    @property
    def file(self) -> str:
        return self.name.partition(" of ")[2] if self.notebook else self.name


class Refused(Exception):
    """A file that holds no answers that could be read, and why."""


# What is read


def require(path: Path):
    """Raises UsageError where there is nothing at that path."""
    if not path.exists():
        raise UsageError(
            f"there is no file or folder {str(path)!r}: name a notebook, a .py file, or a folder or archive of them"
        )


def read_cells(path: Path) -> list[Cell]:
    """Every cell of code of the files at `path`, in the order of their names. Raises Refused."""
    return cells_of_files(files_of(path), path.resolve().name)


def files_of(path: Path) -> dict[str, bytes]:
    """The content of what counts at `path`, by its name below it. It ends a byte over LARGEST: enough to refuse it."""
    below = {file.relative_to(path).as_posix(): file for file in files_below(path)} if path.is_dir() else {path.name: path}
    files, left = {}, LARGEST + 1
    for name in wanted(below) if path.is_dir() else below:
        with open(below[name], "rb") as file:
            files[name] = file.read(left)
        left -= len(files[name])
    return files


def files_below(folder: Path):
    """The regular files in a folder and below it. Hidden folders and Python environments are not entered."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not hidden(name) and not (Path(parent) / name / "pyvenv.cfg").exists()]
        files = [Path(parent) / name for name in names]
        yield from (file for file in files if file.is_file() and not file.is_symlink())


def hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def wanted(names, suffixes=SOURCES + ARCHIVES) -> list[str]:
    """Those among these paths that count, in order: by their suffix, and without what is the course's own.

    Where `course.toml` lies, the folders of the course lie beside it: a learner's answers are elsewhere.
    """
    courses = [PurePosixPath(name).parent for name in names if PurePosixPath(name).name == "course.toml"]
    ours = {course / folder for course in courses for folder in FOLDERS_OF_THE_COURSE}
    return sorted(
        name
        for name in names
        if name.lower().endswith(suffixes)
        and not any(map(hidden, PurePosixPath(name).parts))
        and not ours.intersection(PurePosixPath(name).parents)
    )


def content_hash(files) -> str:
    """sha256 of names and contents: of {name: bytes}, or of what counts at a path.

    Each is preceded by its length, so that no two sets of files are one and the same run of bytes.
    """
    files = files if isinstance(files, dict) else files_of(files)
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        for part in (name.encode("utf-8", "surrogatepass"), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def cells_of_files(files: dict[str, bytes], called: str = "the submission") -> list[Cell]:
    """Every cell of code of these files, in the order of their names. Raises Refused.

    files: content by name. called: the whole of them, in messages.
    """
    return [cell for cell in all_cells(files, called) if not cell.written]


def written_answers(cells) -> dict[str, str]:
    """By written question, what was written, at most MOST_WRITTEN characters; of several cells the last in which something was.

    A question is left out where its cell is as it was handed out, empty or not there.
    """
    texts = {cell.grade_id: cell.source for cell in cells if cell.written and cell.source.strip() not in NOTHING_WRITTEN}
    return {name: texts[name] for name in questions() if name in texts}


def all_cells(files: dict[str, bytes], called: str = "the submission") -> list[Cell]:
    """`cells_of_files`, and the answers to written questions with them."""
    cells, characters = [], 0
    for name, content in sources(files, called):
        for cell in cells_in(name, content):
            cells.append(cell)
            characters += len(cell.source)
            if len(cells) > MOST_CELLS or characters > MOST_TEXT:
                most = f"{MOST_CELLS:,} cells, or {MOST_TEXT:,} characters of code"
                raise Refused(f"{called} holds more than {most}: hand in what you wrote, and nothing else")
    if not cells:
        raise Refused(f"{called} holds no cell of code and no .py file of yours; the course's own do not count")
    return cells


def sources(files, called):
    """(name, content) of each notebook and .py file, archives opened.

    What lies in an archive has its name there, with that of the archive before it where the archive is not the only file.
    """
    left = LARGEST
    if sum(map(len, files.values())) > LARGEST:
        raise too_large(called)
    if sum(name.lower().endswith(ARCHIVES) for name in files) > MOST_ARCHIVES:
        raise Refused(f"{called} holds more than {MOST_ARCHIVES} archives: unpack them, and hand in the files")
    for name in sorted(files):
        plain_name(name)
        if name.lower().endswith(SOURCES):
            found = [(name, files[name])]
        elif name.lower().endswith(ARCHIVES):
            found = archived(name, files[name])
            found = found if len(files) == 1 else [(f"{name}/{member}", content) for member, content in found]
        else:
            raise Refused(f"{name} is neither a notebook, a .py file, nor an archive (zip, tar) of them")
        left -= sum(len(content) for _, content in found)
        if left < 0:
            raise too_large(called)
        yield from found


def too_large(called) -> Refused:
    return Refused(
        f"{called} holds more than {LARGEST >> 20} MiB of notebooks and .py files: "
        f"clear the outputs of the notebooks, and leave out what is no answer"
    )


def plain_name(name: str) -> str:
    """The name of a file as a path below its folder. Raises Refused for one that leads elsewhere or that no file can have."""
    path = PurePosixPath(name)
    if (
        len(name) > 1000
        or any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name)
        or any(len(part.encode()) > 255 for part in path.parts)
        or "\\" in name
        or ".." in path.parts
        or path.is_absolute()
        or re.match(r"[A-Za-z]:", name)
    ):
        raise Refused(f"a file is named {name[:100]!r}: give it a plain name, in the folder of the submission or below it")
    return path.as_posix()


def folded(name: str) -> str:
    """What is equal for names that some file system takes for one: those that differ by case or by Unicode form."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


# Archives


class Member(NamedTuple):
    """A regular file in an archive."""

    name: str
    size: int  # bytes, as declared
    read: Callable[[], bytes]


def archived(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """(name, content) of the notebooks and .py files in an archive; an archive in it is passed over. Raises Refused."""
    try:
        members = zipped(content) if name.lower().endswith(".zip") else tarred(content)
        names = wanted([member.name for member in members], SOURCES)
        must_differ(names)
        chosen = {member.name: member for member in members if member.name in set(names)}
        if sum(member.size for member in chosen.values()) > LARGEST:
            raise too_large("it")
        return [(each, chosen[each].read()) for each in names]
    except Refused as refusal:
        raise Refused(f"{name} cannot be unpacked: {refusal}") from refusal
    except Exception as error:  # zipfile and tarfile raise all sorts of things on bytes that are made to break them
        raise Refused(f"{name} is a damaged archive ({str(error)[:200]}): make it again") from error


def must_differ(names):
    """Raises Refused for two names that some file system takes for one."""
    seen = {}
    for name in names:
        if (other := seen.get(folded(name))) is not None:
            raise Refused(f"it holds {other!r} and {name!r}, which are one file on many machines: keep one of them")
        seen[folded(name)] = name


def must_be_few(members):
    if len(members) > MOST_MEMBERS:
        raise Refused(f"it holds more than {MOST_MEMBERS:,} files: leave out what is no answer (environments, .git, data)")


def zipped(content: bytes) -> list[Member]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = archive.infolist()
    must_be_few(members)
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise Refused("its members lie upon each other")
        end = member.header_offset + ZIP_HEADER + member.compress_size
    names = [plain_name(member.orig_filename) for member in members]
    return [
        Member(name, member.file_size, functools.partial(inflated, archive, member))
        for name, member in zip(names, members, strict=True)
        if not member.is_dir() and stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG)
    ]


def inflated(archive, member) -> bytes:
    """The content of a member of a zip. Raises Refused where it is not what the archive declares, or a bomb."""
    name = member.filename
    if member.flag_bits & 1:
        raise Refused(f"{name} is encrypted: pack it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(f"{name} is packed by an unusual method: pack it with the zip of your system")
    if member.file_size > max(2**20, RATIO * member.compress_size):
        raise Refused(f"{name} unpacks to more than {RATIO} times its size")
    longer = copy.copy(member)
    longer.file_size += 1  # zipfile stops at the declared size: a byte more, if there is one, gives the lie to it
    with archive.open(longer) as file:
        content = file.read()
    if len(content) != member.file_size:
        raise Refused(f"{name} does not have the size that it declares")
    return content


def tarred(content: bytes) -> list[Member]:
    archive = tarfile.TarFile(fileobj=io.BytesIO(without_compression(content)))
    members = list(itertools.islice(archive, MOST_MEMBERS + 1))
    must_be_few(members)
    names = [plain_name(member.name) for member in members]
    return [
        Member(name, member.size, functools.partial(extracted, archive, member))
        for name, member in zip(names, members, strict=True)
        if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.sparse is None
    ]


def extracted(archive, member) -> bytes:
    with archive.extractfile(member) as file:
        return file.read()


def without_compression(content: bytes) -> bytes:
    """A tar archive as it was before gzip, bzip2 or xz. Raises Refused where it is larger than UNPACKED."""
    for magic, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if content.startswith(magic):
            with opened(io.BytesIO(content)) as file:
                content = file.read(UNPACKED + 1)
            break
    if len(content) > UNPACKED:
        raise Refused(f"it unpacks to more than {UNPACKED >> 20} MiB: leave out what is no answer")
    return content


# Files


def cells_in(name: str, content: bytes):
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not UTF-8 text (byte {error.start}): save it again as UTF-8") from error
    text = clean(name, text)
    return python_cells(name, text) if name.lower().endswith(".py") else notebook_cells(name, text)


def clean(name: str, text: str) -> str:
    """Text with the ends of lines that Python sees, and nothing that cannot be written as UTF-8. Raises Refused for a NUL."""
    if "\0" in text:
        raise Refused(f"{name} holds a NUL character, as no text does: save it again")
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # half a character: JSON can hold one, UTF-8 cannot
    return text.replace("\r\n", "\n").replace("\r", "\n")


def must_be_short(name: str, source: str):
    if len(source) > LONGEST:
        raise Refused(f"{name} is longer than {LONGEST:,} characters: take out of it what is no code (data, outputs)")


def notebook_cells(name: str, text: str) -> list[Cell]:
    """The cells of code of a notebook, and those that answer a written question, whatever their type: in Jupyter a slip of the
    finger makes code of a text. Of everything else in it only the `grade_id` of a cell is looked at."""
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused(
            f"{name} is not a notebook: line {error.lineno} is not JSON ({error.msg}). Download it again, or save it in Jupyter"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:  # a number of 5,000 digits, lists in lists in lists
        raise Refused(f"{name} is not a notebook: its JSON cannot be read ({error})") from error
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if version in (1, 2, 3):
        raise Refused(f"{name} is a notebook of format {version}, not 4: open it in Jupyter and save it again")
    not_a_notebook = Refused(f"{name} is JSON but not a notebook of format 4: open it in Jupyter and save it again")
    if version != 4 or not isinstance(notebook.get("cells"), list):
        raise not_a_notebook
    cells, asked = [], questions()
    for number, cell in enumerate(notebook["cells"], 1):
        if not isinstance(cell, dict):
            raise not_a_notebook
        called = f"cell {number} of {name}"
        marked = grade_id(cell)
        written = marked in asked
        if cell.get("cell_type") != "code" and not written:
            continue
        lines = cell.get("source")
        lines = [lines] if isinstance(lines, str) else lines
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise not_a_notebook
        source = "".join(lines)
        if not written:
            must_be_short(called, source)
        source = clean(called, source)
        source = source.strip()[:MOST_WRITTEN] if written else without_magics(source)
        cells.append(Cell(called, source, notebook=True, grade_id=marked, written=written))
    return cells


def grade_id(cell: dict) -> str | None:
    """The name that nbgrader gives a cell."""
    metadata = cell.get("metadata")
    facts = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = facts.get("grade_id") if isinstance(facts, dict) else None
    return name if isinstance(name, str) and len(name) <= 100 and name.isprintable() else None


def python_cells(name: str, text: str) -> list[Cell]:
    """The whole file.

    One with a syntax error is cut into pieces that begin at a top-level definition. Those that are Python are one cell, each
    other one is a cell that cannot be parsed, as a message needs it: what cannot be parsed loses itself alone.
    """
    must_be_short(name, text)
    for line in text.split("\n")[:2]:
        cookie = re.match(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", line)
        if cookie and not re.fullmatch(r"utf-?8(-.*)?|(us-)?ascii", cookie[1].lower().replace("_", "-")):
            raise Refused(f"{name} says that its encoding is {cookie[1]}: save it as UTF-8, and take that line out")
    if is_python(text):
        return [Cell(name, text, notebook=False)]
    lines, start, pieces = text.split("\n"), 0, []
    for index, line in enumerate(lines):
        begins = re.match(r"@|def |class |async def |# %%|import |from ", line)
        decorated = index > start and lines[index - 1].startswith("@")
        if begins and not decorated and index > start:
            pieces.append(range(start, index))
            start = index
    pieces.append(range(start, len(lines)))
    whole, broken = [], []
    for piece in pieces:
        (whole if is_python("\n".join(lines[index] for index in piece)) else broken).append(piece)
    groups = [*([piece] for piece in broken[:BROKEN_PIECES]), broken[BROKEN_PIECES:], whole]
    return [Cell(name, only(lines, group), notebook=False) for group in groups if group]


def only(lines, pieces) -> str:
    """These pieces at the lines where they stand, with nothing between them."""
    kept = {index for piece in pieces for index in piece}
    return "\n".join(line if index in kept else "" for index, line in enumerate(lines[: max(kept) + 1]))


def is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except NOT_PYTHON:
        return False
    return True


# IPython's own syntax

CELL_MAGIC = re.compile(r"\s*%%")
WATCHES = re.compile(r"\s*%%(time|capture|prun)\b")  # these run the cell as it is
MAGIC = re.compile(r"[ \t]*([%!?]|[\w.]+\?\??[ \t]*$|\w[\w.,\[\] \t]*=[ \t]*[%!])", re.MULTILINE)
CONTINUED = re.compile(r"(?:[^\n]*\\\n)*[^\n]*")  # a line, and those that a backslash joins to it
PIECE = re.compile(
    r"""(\"\"\"|''')(?:\\.|(?!\1)[^\\])*(?:\1|\\?\Z)  # strings, which may hold anything
    | "(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'?
    | \#[^\n]* | \\\n | [(\[{] | [)\]}] | \n | [^"'\#\\\n()\[\]{}]+ | .""",
    re.VERBOSE | re.DOTALL,
)


def without_magics(source: str) -> str:
    """A cell as plain Python: lines of IPython's own syntax become comments, so that line numbers stay.

    What is Python as it stands is left alone, and so is what only looks like a magic, within a string or brackets.
    """
    if is_python(source):
        return source
    if CELL_MAGIC.match(source) and not WATCHES.match(source):
        return "".join(f"# {line}\n" for line in source.split("\n"))
    kept, place, depth, begins = [], 0, 0, True
    while place < len(source):
        if begins and MAGIC.match(source, place):
            line = CONTINUED.match(source, place)[0]
            indent = line[: len(line) - len(line.lstrip())]
            kept.append(f"{indent}pass  # " + line.strip().replace("\n", "\n# "))
            place, begins = place + len(line), False
            continue
        piece = PIECE.match(source, place)[0]
        depth = max(0, depth + (piece in "([{") - (piece in ")]}"))
        begins = piece == "\n" and depth == 0
        kept.append(piece)
        place += len(piece)
    return "".join(kept)
