"""Which submissions there are, and the bytes of one of them: outside the sandbox, so that nothing here looks into a file.

A PATH is one submission where it is a file, and where it is a folder that directly holds answers: a notebook with the name of a
lesson, or a file `answers` or `submission` (.py or .ipynb).  Any other folder is a class: each file and each folder in it is a
submission.  nbgrader's `submitted/`, and what Gradescope, Canvas and Moodle export, are classes.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rlhf_core.course import course, lesson_of, notebook_name
from rlhf_core.errors import UsageError

from ..driver.reading import ARCHIVES, LARGEST, SOURCES, Refused, content_hash, folded, hidden, plain_name, too_large, wanted

__all__ = ["Entry", "NothingHandedIn", "content_hash", "snapshot", "submissions"]

DEEPEST = 12  # folders within each other
MOST_FILES = 2_000  # files and folders of a submission

# In the folder of a class, beside the submissions: what a platform or an instructor keeps there.
KEPT_BY_OTHERS = (".csv", ".tsv", ".xlsx", ".txt", ".md", ".html", ".yml", ".yaml", ".json", ".db", ".ini", ".log")
# doejane_LATE_123_456_answers.txt: whatever its suffix, a student handed it in
CANVAS = re.compile(r"[^_]+_(LATE_)?\d+_(\d+_.+|text\.html)", re.IGNORECASE)

# Names that `grade` and `report` use in the folder of results themselves, and names that Windows gives to devices.
RESERVED = {"class.html", "class.json", "results.csv", "results.json", "index.html", "lost+found"}
RESERVED |= {"canvas.csv", "moodle.csv", "generic.csv", "to_mark.csv"}
DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
LONGEST_NAME = 120  # characters
MOST_BYTES = 200  # of a name: with what is added to it, a file system takes 255
PUNCTUATION = " ._-+@,'\u2019()=~"
# Letters and marks that are not drawn, so that two names with and without them look the same, and some file systems agree.
INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@dataclass(frozen=True)
class Entry:
    """A submission: the name that it is shown by, where it lies, and its folder among the results."""

    name: str
    path: Path
    folder: str
    refused: str | None = None  # why it is not graded


class NothingHandedIn(Refused):
    """There is work in a submission, and none of it is for the lessons that are graded. Nobody's fault, but nothing to read."""


# Which submissions there are


def submissions(paths) -> list[Entry]:
    """The submissions at these paths, in order, each once. Raises UsageError where there is nothing."""
    found = {}
    for path in map(Path, paths):
        for each in entries_of(path):
            found.setdefault(Path(os.path.realpath(each.parent)) / each.name, each)
    if not found:
        raise UsageError("there is no submission at the paths named: name notebooks, .py files, archives, or a folder of them")
    return with_folders([(raw_name(path), path, unfit(path)) for path in found.values()])


def entries_of(path: Path) -> list[Path]:
    """The submissions at a PATH: itself, or what lies in the folder of a class. Raises UsageError."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):  # a symbolic link to a folder, too: not followed
            return [path]
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        files = {entry.name.casefold() for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if files & answer_files():
        return [path]
    return [path / entry.name for entry in entries if not left_aside(entry)]


def answer_files() -> set[str]:
    """The names of files that make a folder one submission."""
    plain = {f"{stem}{suffix}" for stem in ("answers", "submission") for suffix in SOURCES}
    return plain | {notebook_name(lesson) for lesson in course()["lessons"]}


def left_aside(entry: os.DirEntry) -> bool:
    """Whether it is no submission but something else that lies in the folder of a class."""
    if hidden(entry.name):
        return True
    return (
        entry.name.lower().endswith(KEPT_BY_OTHERS)
        and entry.is_file(follow_symlinks=False)
        and not CANVAS.fullmatch(entry.name)
    )


def raw_name(path: Path) -> str:
    """What a submission is called: its folder's name, or its file's without the suffix."""
    name = unicodedata.normalize("NFC", path.name if path.name not in ("", "..") else path.resolve().name)
    suffixes = [suffix for suffix in ARCHIVES + SOURCES if name.lower().endswith(suffix)]
    if not suffixes or stat.S_ISDIR(os.lstat(path).st_mode):
        return name
    return name[: -len(max(suffixes, key=len))]


def unfit(path: Path) -> str | None:
    """Why what lies there is not opened; None for a folder, and for a file of a kind that is read."""
    facts = os.lstat(path)
    if stat.S_ISLNK(facts.st_mode):
        return "it is a symbolic link, and those are not followed: hand in the file or folder itself"
    if stat.S_ISDIR(facts.st_mode):
        return None
    if not stat.S_ISREG(facts.st_mode):
        return "it is neither a file nor a folder"
    if not path.name.lower().endswith(SOURCES + ARCHIVES):
        return "it is neither a notebook, a .py file, nor an archive (zip, tar) of them"
    return hard_link(facts)


def hard_link(facts: os.stat_result) -> str | None:
    if facts.st_nlink == 1:
        return None
    return "it is a hard link, and may be a file of somebody else: copy the submissions with cp -r, and grade the copy"


# Names


def with_folders(found) -> list[Entry]:
    """found: (name, path, why it is refused). A name that cannot be, or that two have, is refused, and gets another folder."""
    reasons = [unfit_name(name) for name, _, _ in found]
    owners = {}
    for index, (name, _, _) in enumerate(found):
        if reasons[index] is None:
            owners.setdefault(folded(name), []).append(index)
    for same in owners.values():
        for index in same:
            others = [found[other][1] for other in same if other != index]
            if others:
                other = f"{others[0].parent.name}/{others[0].name}"
                reasons[index] = f"its name is also that of {shown(other)}, for some computers at least: rename one of them"
    entries, taken = [], set()
    for (name, path, refused), reason in zip(found, reasons, strict=True):
        folder = name if reason is None else free(f"refused-{short_hash(name)}", taken)
        entries.append(Entry(shown(name), path, folder, reason or refused))
    return entries


def short_hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def free(folder: str, taken: set[str]) -> str:
    """This name, or where it is taken, one with a number. Takes it."""
    count, name = 1, folder
    while name in taken:
        count += 1
        name = f"{folder}-{count}"
    taken.add(name)
    return name


def unfit_name(name: str) -> str | None:
    """Why a name (in Unicode form C) cannot be that of a submission and of a folder; None where it can."""
    key = folded(name)
    if not 1 <= len(name) <= LONGEST_NAME or len(name.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        return f"its name is not of 1 to {LONGEST_NAME} characters, and {MOST_BYTES} bytes at most: rename it"
    if odd := [character for character in name if not allowed(character)]:
        return f"its name holds {odd[0]!a}: a name is of letters, digits, spaces and {PUNCTUATION.strip()}"
    if name[0] in ".-~ " or unicodedata.category(name[0])[0] == "M" or name[-1] in ". ":
        return "its name begins with a dot, a hyphen, a tilde, a space or a mark, or ends with a dot or a space: rename it"
    if key.split(".")[0].strip() in DEVICES or key in RESERVED or key.startswith("refused-"):
        return "its name has a meaning of its own, to Windows or in the folder of results: rename it"
    return None


def allowed(character: str) -> bool:
    if character in PUNCTUATION:
        return True
    category = unicodedata.category(character)
    return (category[0] in "LM" or category == "Nd") and not INVISIBLE.match(character)


def shown(name: str) -> str:
    """A name that can be shown anywhere: what is not allowed in one is spelled out."""
    spelled = (character if allowed(character) or character == "/" else f"\\u{{{ord(character):x}}}" for character in name)
    return "".join(spelled)[:LONGEST_NAME] or "(no name)"


# The bytes of one submission


def snapshot(entry: Entry, exercises=()) -> dict[str, bytes]:
    """What counts in a submission: content by name below it; a submission that is a file has its own name.

    exercises: those that are graded; folders with the notebooks of other lessons are left out, as those of nbgrader's other
    assignments, so that what is handed in there later changes nothing here.  Without any,
    all files count.

    Links and what is neither file nor folder are passed over; where one takes the place of a file while this reads, it is not
    followed.  Raises Refused for what whoever handed it in can mend, NothingHandedIn where all of it is of other lessons, and
    OSError for a fault of this machine.
    """
    if entry.refused is not None:
        raise Refused(entry.refused)
    with opened(entry.path) as top:
        if not stat.S_ISDIR(os.fstat(top).st_mode):
            return {entry.path.name: content_of(top, entry.path.name, LARGEST)}
        files, left = {}, LARGEST
        there = wanted(list(names_below(top, itertools.count(1))))
        counted = of_lessons(there, exercises)
        if there and not counted:
            raise NothingHandedIn(f"nothing for {told(exercises)}, only notebooks of other lessons")
        for name in counted:
            plain_name(name)
            files[name] = content_below(top, name, left)
            left -= len(files[name])
        return files


def of_lessons(names: list[str], exercises) -> list[str]:
    """The names without those in folders that hold notebooks of lessons, but of none with one of these exercises; none at all
    where notebooks of other lessons are all that is left. Beside another file they stay: whose answers are in it is not known.
    """
    asked = {notebook_name(lesson_of(name)) for name in exercises}
    lessons = {notebook_name(lesson) for lesson in course()["lessons"]}
    found: dict[str, set] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        found.setdefault(folder, set()).add(file)
    others = {folder for folder, files in found.items() if folder and asked and files & lessons and not files & asked}
    left = [name for name in names if not others & {str(above) for above in PurePosixPath(name).parents}]
    return left if not asked or set(left) - (lessons - asked) else []


def told(exercises) -> str:
    lessons = sorted({lesson_of(name)["number"] for name in exercises})
    return f"lesson {lessons[0]}" if len(lessons) == 1 else "the lessons that are graded"


def names_below(folder: int, count, prefix: str = "", depth: int = 1):
    """The names of the regular files below an open folder; hidden folders and Python environments are not entered."""
    with os.scandir(folder) as scan:
        entries = [entry for entry in scan if few_enough(count)]
    if depth > DEEPEST:
        raise Refused(f"its folders lie more than {DEEPEST} deep within each other: hand in the files that you wrote")
    if depth > 1 and any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in sorted(entries, key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False):
            yield prefix + entry.name
        elif entry.is_dir(follow_symlinks=False) and not hidden(entry.name):
            with opened(entry.name, folder, os.O_DIRECTORY) as inner:
                yield from names_below(inner, count, f"{prefix}{entry.name}/", depth + 1)


def few_enough(count) -> bool:
    """Counts one more file. Raises Refused where that is one too many."""
    if next(count) > MOST_FILES:
        raise Refused(f"it holds more than {MOST_FILES:,} files: leave out what is no answer (environments, data)")
    return True


def content_below(top: int, name: str, left: int) -> bytes:
    """The content of a file, each folder on the way to it opened by itself, so that no link is followed."""
    *folders, last = name.split("/")
    with contextlib.ExitStack() as stack:
        for each in folders:
            top = stack.enter_context(opened(each, top, os.O_DIRECTORY))
        return content_of(stack.enter_context(opened(last, top)), name, left)


def content_of(handle: int, name: str, left: int) -> bytes:
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        raise Refused(f"{name} is no regular file any more")
    if reason := hard_link(facts):
        raise Refused(f"{name}: {reason}")
    with os.fdopen(handle, "rb", closefd=False) as file:
        content = file.read(left + 1)
    if len(content) > left:
        raise too_large("it")
    return content


# What opening a file may fail by that its owner has brought about; anything else is this machine's fault.
THEIRS = {errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def opened(name, folder: int | None = None, flags: int = 0):
    """A file or folder, by its name in an open folder. A link is not followed, and a pipe is not waited for."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, dir_fd=folder)
    except OSError as error:
        if error.errno in THEIRS:
            raise Refused(f"{shown(Path(name).name)} cannot be read ({error.strerror})") from error
        raise
    try:
        yield handle
    finally:
        os.close(handle)
