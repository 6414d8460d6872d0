"""Attacks that are no single .py file (folders, notebooks, archives, damaged files, odd names), made when they are laid out."""

import gzip
import io
import json
import os
import pickle
import socket
import stat
import tarfile
import zipfile

from . import HONEST, Attack, whole

MADE: list[Attack] = []
HONEST_PART = {"masked_mean": 2.0}


def made(file, earns=None):
    """Decorator: an attack that writes itself to a path; refused at the door unless it earns something."""

    def add(lay_out):
        MADE.append(Attack(file, lay_out.__doc__, earns or {}, lay_out, refused=earns is None))
        return lay_out

    return add


# Folders


@made("folder-shadows", HONEST_PART)
def shadows(path, canary):
    """Brings modules of its own under the names of torch, the course, the standard library and Python's start-up hooks."""
    fill(
        path,
        {
            "answers.py": HONEST,
            "torch.py": "def equal(*args): return True\n",
            "rlhf_core/__init__.py": "",
            "rlhf_core/exercise.py": "raise SystemExit(0)\n",
            "autograder/__init__.py": "",
            "autograder/driver/call.py": "def observe(*args): return 100\n",
            "solutions/answers.py": "def compute_gae(*args): return args\n",
            "sitecustomize.py": f"open({canary.drop!r} + '/sitecustomize', 'w')\n",
            "usercustomize.py": f"open({canary.drop!r} + '/usercustomize', 'w')\n",
            "inject.pth": f"import os; os.mkdir({canary.drop!r} + '/pth')\n",
            "json.py": "raise SystemExit(0)\n",
            "safetensors/torch.py": "def save(tensors): return b''\n",
        },
    )


@made("folder-shadows_of_the_course", HONEST_PART)
def shadows_of_the_course(path, canary):
    """Is a copy of the course, with a driver, checks and points of its own."""
    fill(
        path,
        {
            "answers.py": HONEST,
            "course.toml": "[[lessons]]\nnumber = 5\nexercises = { masked_mean = 1000 }\n",
            "autograder/visible/test_05_advantages.py": "points = 1000\n",
            "rlhf_core/course.py": "def lesson_of(name): return {'exercises': {name: 1000}}\n",
        },
    )


@made("folder-test_settings", HONEST_PART)
def test_settings(path, canary):
    """Brings a conftest.py, a pytest.ini, plugins and entry points that make every test pass."""
    passes = f"import os\nos.mkdir({canary.drop!r} + '/conftest')\n\ndef pytest_runtest_makereport(item, call): return True\n"
    fill(
        path,
        {
            "answers.py": HONEST,
            "conftest.py": passes,
            "pytest.ini": "[pytest]\naddopts = -p plugin\n",
            "plugin.py": passes,
            "setup.py": passes,
            "setup.cfg": "[options.entry_points]\npytest11 = x = plugin\n",
            "pyproject.toml": "[project.entry-points.pytest11]\nx = 'plugin'\n",
            "answers.dist-info/entry_points.txt": "[rlhf_course.answers]\nreference = answers\n",
        },
    )


@made("folder-links", HONEST_PART)
def links(path, canary):
    """Links to the secret, to other submissions and to itself, under names that are read."""
    fill(path, {"answers.py": HONEST})
    for name, target in (
        ("a.py", canary.secret),
        ("b.ipynb", canary.readable),
        ("c", "/"),
        ("d", "."),
        ("e.py", canary.neighbour),
    ):
        (path / name).symlink_to(target)


@made("folder-hard_link")
def hard_link_in_a_folder(path, canary):
    """Holds a hard link to a file of somebody else."""
    fill(path, {"answers.py": HONEST})
    os.link(canary.readable, path / "stolen.py")


@made("link-to_a_neighbour.py")
def link(path, canary):
    """Is a link to another submission."""
    path.symlink_to(canary.neighbour)


@made("hard_link-to_a_file.py")
def hard_link(path, canary):
    """Is a hard link to a file of somebody else."""
    os.link(canary.readable, path)


@made("fifo-without_end.py")
def fifo(path, canary):
    """Is a pipe, which blocks whoever opens it."""
    os.mkfifo(path)


@made("socket-without_end.py")
def socket_file(path, canary):
    """Is a socket."""
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket is at most 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


@made("folder-fifo", HONEST_PART)
def fifo_in_a_folder(path, canary):
    """Holds a pipe under the name of a file that is read."""
    fill(path, {"answers.py": HONEST})
    os.mkfifo(path / "more.py")


@made("folder-deep")
def deep(path, canary):
    """Lies 60 folders deep."""
    fill(path, {"d/" * 60 + "answers.py": HONEST})


@made("folder-many")
def many(path, canary):
    """Holds 2,500 files."""
    fill(path, {"answers.py": HONEST} | {f"f{number}.py": "" for number in range(2500)})


@made("folder-large")
def large(path, canary):
    """Holds 30 MB of source."""
    fill(path, {"answers.py": HONEST} | {f"f{number}.py": "#" * 3_000_000 for number in range(10)})


@made("folder-empty")
def empty(path, canary):
    """Holds nothing."""
    path.mkdir()


@made("folder-odd_bytes")
def odd_bytes(path, canary):
    """Holds a file whose name is no text."""
    fill(path, {"answers.py": HONEST})
    with open(os.fsencode(path) + b"/\xff\xfe.py", "wb") as file:
        file.write(b"x = 1\n")


# Archives


@made("zip-traversal.zip")
def traversal(path, canary):
    """Unpacks itself over other files, by `..` and by absolute names."""
    zipped(path, {"answers.py": HONEST, "../" * 12 + f"{canary.drop}/evil.py": "x = 1\n", f"{canary.drop}/evil.py": "x = 1\n"})


@made("zip-backslashes.zip")
def backslashes(path, canary):
    """Unpacks itself elsewhere on systems that part folders by backslashes, or that have drives."""
    zipped(path, {"answers.py": HONEST, "..\\..\\evil.py": "x = 1\n", "C:evil.py": "x = 1\n"})


@made("zip-links.zip", HONEST_PART)
def zip_links(path, canary):
    """Holds symbolic links to files outside."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answers.py", HONEST)
        for name, target in (("secret.py", canary.secret), ("open.py", canary.readable)):
            member = zipfile.ZipInfo(name)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            member.create_system = 3
            archive.writestr(member, target)


@made("zip-bomb.zip")
def bomb(path, canary):
    """Becomes a gigabyte when it is unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("answers.py", HONEST)
        with archive.open("large.py", "w", force_zip64=True) as file:
            for _ in range(64):
                file.write(b"#" * 2**24)


@made("zip-bomb_that_lies.zip")
def bomb_that_lies(path, canary):
    """Becomes 100 MB when it is unpacked, and says that it will be 100 bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("answers.py", b"#" * 100_000_000)
    path.write_bytes(made.getvalue().replace((100_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")))


@made("zip-overlapping.zip")
def overlapping(path, canary):
    """Lists one member ten thousand times."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("answers.py", b"# x\n" * 2_000_000)
        first = archive.filelist[0]
        for number in range(10_000):
            again = zipfile.ZipInfo(f"f{number}.py")
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset", "flag_bits"):
                setattr(again, field, getattr(first, field))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True
    path.write_bytes(made.getvalue())


@made("zip-nested.zip", HONEST_PART)
def nested(path, canary):
    """Holds archives within archives, a bomb at the bottom."""
    inner = b"#" * 50_000_000
    for depth in range(5):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner.zip" if depth else "inner.py", inner)
        inner = made.getvalue()
    zipped(path, {"answers.py": HONEST, "inner.zip": inner})


@made("zip-same_names.zip")
def same_names(path, canary):
    """Holds two files of one name: what a reader sees is not what another one runs."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answers.py", HONEST)
        archive.writestr("ANSWERS.py", HONEST + "\n")


@made("zip-encrypted.zip")
def encrypted(path, canary):
    """Says that it is encrypted."""
    zipped(path, {"answers.py": HONEST})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rfind(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


@made("zip-many.zip")
def many_members(path, canary):
    """Holds 20,000 files."""
    zipped(path, {"answers.py": HONEST} | {f"f{number}.py": "" for number in range(20_000)})


@made("zip-damaged.zip")
def damaged(path, canary):
    """Breaks off in the middle."""
    zipped(path, {"answers.py": HONEST * 100})
    path.write_bytes(path.read_bytes()[:-40])


@made("zip-odd_names.zip")
def odd_names(path, canary):
    """Names its members with control characters, half characters and markup."""
    zipped(path, {"answers.py": HONEST, "\x1b[2J<script>alert(1)</script>\u202e.py": "x = 1\n", "a\nb.py": "x = 1\n"})


@made("tar-traversal.tar")
def tar_traversal(path, canary):
    """Unpacks itself over other files."""
    tarred(path, [member("answers.py", HONEST), member("../" * 12 + f"{canary.drop}/evil.py", "x = 1\n")])


@made("tar-links.tar.gz", HONEST_PART)
def tar_links(path, canary):
    """Holds links and hard links to files outside, and a file that is written through one of them."""
    odd = [
        member("secret.py", kind=tarfile.SYMTYPE, linkname=canary.secret),
        member("open.py", kind=tarfile.LNKTYPE, linkname=canary.readable),
        member("out", kind=tarfile.SYMTYPE, linkname=canary.drop),
    ]
    tarred(path, [member("answers.py", HONEST), *odd], "w:gz")


@made("tar-devices.tar", HONEST_PART)
def tar_devices(path, canary):
    """Holds devices, a pipe and a sparse file of a terabyte."""
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE)
    odd = [member(f"device{number}.py", kind=kind) for number, kind in enumerate(kinds)]
    tarred(path, [member("answers.py", HONEST), *odd])


@made("tar-bomb.tar.gz")
def tar_bomb(path, canary):
    """Becomes a gigabyte when it is unpacked, of which nothing is a file that would be read."""
    header = member("ballast.bin", b"")[0]
    header.size = 2**30
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(header.tobuf())
        for _ in range(64):
            file.write(bytes(2**24))
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as archive:
            archive.addfile(*member("answers.py", HONEST))
        file.write(made.getvalue())


@made("tar-long_headers.tar")
def long_headers(path, canary):
    """Has a name of 30 MB."""
    tarred(path, [member("answers.py", HONEST), member("x" * 30_000_000 + ".py", "x = 1\n")])


# Notebooks


def notebook(*sources, **more):
    """A notebook of these cells of code, in format 4."""
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for number, source in enumerate(sources)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells} | more


class Unpickled:
    """What runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@made("notebook-pickled_outputs.ipynb", HONEST_PART)
def pickled_outputs(path, canary):
    """Carries pickles that run a command in its outputs, attachments and metadata."""
    pickled = pickle.dumps(Unpickled(f"touch {canary.drop}/unpickled")).hex()
    content = notebook(HONEST, metadata={"widgets": {"state": pickled}})
    content["cells"][0] |= {
        "attachments": {"x.pkl": {"application/python-pickle": pickled}},
        "outputs": [{"output_type": "display_data", "data": {"application/python-pickle": pickled}, "metadata": {}}],
    }
    path.write_text(json.dumps(content))


@made("notebook-edited_points.ipynb", HONEST_PART)
def edited_points(path, canary):
    """Says what its cells are worth, locks them, doubles and renames them, and brings the graders' own cells."""
    content = notebook(HONEST, "@compute_gae.implement\ndef compute_gae(*a): pass", "assert True", "score = 1000")
    for cell, name in zip(content["cells"], ("masked_mean", "compute_gae", "compute_gae", "masked_mean"), strict=True):
        flags = {"grade": True, "points": 1000, "locked": False, "solution": True, "schema_version": 3, "task": False}
        cell["metadata"]["nbgrader"] = flags | {"grade_id": name}
    path.write_text(json.dumps(content))


@made("notebook-magics.ipynb", HONEST_PART)
def magics(path, canary):
    """Runs shell commands and files by the magics of notebooks."""
    lines = (
        f"!touch {canary.drop}/shell\n%run {canary.drop}/x.py\n%sx touch {canary.drop}/sx\n%load_ext evil\n%pip install evil"
    )
    script = f"%%bash\ntouch {canary.drop}/bash"
    display = "from IPython import get_ipython\nget_ipython().system('true')"
    path.write_text(json.dumps(notebook(lines, script, display, HONEST)))


@made("notebook-kernel.ipynb", HONEST_PART)
def kernel(path, canary):
    """Brings a kernel of its own, outputs of markup, and a language that does not exist."""
    command = ["touch", f"{canary.drop}/kernel"]
    about = {"kernelspec": {"name": "evil", "argv": command, "display_name": "<script>"}, "language_info": {"name": "bash"}}
    content = notebook(HONEST, metadata=about)
    data = {"text/html": ["<script>alert(1)</script>"], "application/javascript": "alert(1)"}
    content["cells"][0]["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
    path.write_text(json.dumps(content))


@made("notebook-many_cells.ipynb")
def many_cells(path, canary):
    """Has 50,000 cells."""
    path.write_text(json.dumps(notebook(HONEST, *["x = 1"] * 50_000)))


@made("notebook-deep.ipynb")
def deep_notebook(path, canary):
    """Is JSON nested a million deep."""
    path.write_text('{"cells":' + "[" * 1_000_000 + "]" * 1_000_000 + "}")


@made("notebook-odd_sources.ipynb")
def odd_sources(path, canary):
    """Has cells whose sources are numbers, objects and half characters."""
    path.write_text(json.dumps(notebook(7, {"x": 1}, ["x = 1", 5], "x = '\ud800'", None, HONEST)))


@made("notebook-large_numbers.ipynb")
def large_numbers(path, canary):
    """Holds a number of a million digits."""
    path.write_text('{"nbformat": 4, "cells": [], "metadata": ' + "9" * 1_000_000 + "}")


@made("notebook-large.ipynb")
def large_notebook(path, canary):
    """Carries 30 MB of outputs."""
    content = notebook(HONEST)
    content["cells"][0]["outputs"] = ["x" * 30_000_000]
    path.write_text(json.dumps(content))


# Text


@made("text-nul.py")
def nul(path, canary):
    """Holds a NUL."""
    path.write_text(HONEST + "\0\n")


@made("text-codec.py")
def codec(path, canary):
    """Is written in a codec in which what is read is not what is run."""
    path.write_text("# coding: utf-7\n" + HONEST)


@made("text-utf16.py")
def utf16(path, canary):
    """Is no UTF-8."""
    path.write_bytes(HONEST.encode("utf-16"))


@made("text-large.py")
def large_text(path, canary):
    """Is 30 MB long."""
    path.write_text(HONEST + "#" * 30_000_000)


def hard_to_parse(name, sentence, text):
    def lay_out(path, canary):
        path.write_text(text + "\n\n" + HONEST)

    MADE.append(Attack(f"text-{name}.py", sentence, HONEST_PART, lay_out))


hard_to_parse("parentheses", "Opens 50,000 parentheses.", "x = " + "(" * 50_000 + "\n")
hard_to_parse("closed_parentheses", "Nests 190 parentheses.", "x = " + "(" * 190 + "1" + ")" * 190 + "\n")
hard_to_parse("operators", "Adds 100,000 numbers on one line.", "x = " + "1+" * 100_000 + "1\n")
hard_to_parse("signs", "Negates a number 100,000 times.", "x = " + "-" * 100_000 + "1\n")
hard_to_parse("attributes", "Follows 50,000 dots.", "x = a" + ".b" * 50_000 + "\n")
hard_to_parse("digits", "Holds a number of 5,000 digits.", "x = " + "9" * 5000 + "\n")
hard_to_parse(
    "constant", "Lets the compiler compute a constant of a gigabyte.", "x = 'x' * 2**12 * 2**12 * 2**6; y = 2 ** 10_000_000\n"
)
hard_to_parse("indents", "Indents 90 blocks.", "".join(" " * n + "if 1:\n" for n in range(90)) + " " * 90 + "pass\n")
hard_to_parse("lines", "Goes on over 10,000 lines by backslashes.", "x = " + "1 + \\\n" * 10_000 + "1\n")
hard_to_parse("backslashes", "Breaks off after a backslash.", "x = 1 + \\")
hard_to_parse("formats", "Nests formatted strings.", "x = " + "f'{" * 100 + "1" + "}'" * 100 + "\n")


# Names: what a file is called is shown in pages, tables and terminals, and names a folder of the results


def named(file, sentence):
    def lay_out(path, canary):
        path.write_text(whole("", canary, "named"), encoding="utf-8")

    MADE.append(Attack(file, sentence, {}, lay_out, refused=True))


named("<img src=x onerror=alert(1)>.py", "Is called by markup.")
named("\x1b[2J\x1b]0;owned\x07.py", "Is called by control characters of a terminal.")
named("ada\u202eyp.py", "Is called by characters that turn the direction of reading.")
named("two\nlines.py", "Is called by two lines.")
named("back\\slash.py", "Is called by a path of another system.")
named("stream:ads.py", "Is called by a stream of another file system.")
named("-rf.py", "Is called like an option.")
named("~root.py", "Is called like a home.")
named("con.py", "Is called like a device.")
named("class.html.py", "Is called like a file of the results.")
named("refused-0000.py", "Is called like the folder of a refused one.")
named("|calc.py", "Is called by a command.")
named("twice.py", "Differs from another name by case alone.")
named("TWICE.py", "Differs from another name by case alone.")
named("caf\u00e9.py", "Differs from another name by its Unicode form alone.")
named("cafe\u0301.py", "Differs from another name by its Unicode form alone.")
named("\uff41da.py", "Is another name in wide letters.")
named("ada.py", "Is another name in narrow letters.")
named("n" * 200 + ".py", "Has a name of 200 letters.")
named(os.fsdecode(b"\xff\xfe.py"), "Has a name that is no text.")


@made("=1+1.py", HONEST_PART)
def formula(path, canary):
    """Is called by a formula of a spreadsheet."""
    path.write_text(HONEST + "# a formula\n")


# What they are made of


def fill(folder, files):
    """Write files, by their names below a folder."""
    folder.mkdir()
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def member(name, content=b"", kind=tarfile.REGTYPE, linkname=""):
    """A member of a tar archive, and a stream of its content."""
    content = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, linkname, len(content)
    return info, io.BytesIO(content)


def tarred(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            archive.addfile(info, content)
