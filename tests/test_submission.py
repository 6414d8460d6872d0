"""Bad submissions: each gets a message that names the place and says what to do, never a crash, never a point by accident."""

import ast
import io
import json
import random
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest

from autograder.driver import reading
from autograder.driver.loading import defined, read_submission
from autograder.driver.reading import Refused, cells_of_files, is_python, without_magics
from autograder.engine import run_submission
from autograder.report import exercise_data
from autograder.result import as_data
from rlhf_core import use
from rlhf_core.cli import main
from rlhf_core.course import exercise_names
from rlhf_core.errors import UsageError
from rlhf_core.exercise import Exercise

WIN_RATE = """
def win_rate(after, before):
    return ((after > before).double() + 0.5 * (after == before)).mean().to(after.dtype)
"""
SEQUENCE_KL = """
import torch
def sequence_kl(logprobs, ref_logprobs, mask):
    return torch.where(mask, logprobs - ref_logprobs, 0.0).sum(1)
"""


def notebook(*sources):
    """sources: of the cells; of one with a grade_id (grade_id, source)."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Answers"}]
    for source in sources:
        grade_id, source = source if isinstance(source, tuple) else (None, source)
        metadata = {} if grade_id is None else {"nbgrader": {"grade_id": grade_id}}
        cells.append({"cell_type": "code", "metadata": metadata, "outputs": [], "execution_count": None, "source": source})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def hand_in(tmp_path):
    """hand_in(text, name): the submission in a file of that name."""

    def hand_in(text, name="answers.py"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_submission(path)

    return hand_in


def graded(submission, *names):
    return {result.exercise: result for result in run_submission(submission, names)}


def whole(result):
    return result.points == result.max_points


# How answers may be written


@pytest.mark.parametrize(
    "source",
    [
        WIN_RATE,
        "import torch\nfrom rlhf_core.evaluate import win_rate\n@win_rate.implement" + WIN_RATE,
        "from rlhf_core import evaluate\n@evaluate.win_rate.implement" + WIN_RATE,
        WIN_RATE.replace("def win_rate", "def mine") + "\nfrom rlhf_core.evaluate import win_rate\nwin_rate.implement(mine)",
        WIN_RATE.replace("def win_rate", "def mine") + "\nwin_rate = mine",
    ],
)
def test_ways_to_write_an_answer(hand_in, source):
    assert whole(graded(hand_in(source), "win_rate")["win_rate"])
    assert whole(graded(hand_in(notebook(*source.split("\n\n")), "answers.ipynb"), "win_rate")["win_rate"])


def test_reading_leaves_no_implementation_behind(hand_in):
    hand_in("from rlhf_core.evaluate import win_rate\n@win_rate.implement" + WIN_RATE)
    assert all(exercise.mine is None for exercise in Exercise.declared)


def test_a_notebook_runs_what_its_answers_need_and_nothing_else(hand_in):
    submission = hand_in(
        notebook(
            "%matplotlib inline\n!pip install nothing\nimport torch",
            "HALF = {}\nHALF['tie'] = 0.5\nunused = 1 / 0",
            "raise RuntimeError('an experiment')",
            "while True: pass",
            "def points(a, b):\n    return (a > b).double() + HALF['tie'] * (a == b)",
            "def win_rate(after, before):\n    return points(after, before).mean().to(after.dtype)\nwin_rate?",
            "%%timeit\nwin_rate(1, 2)",
        ),
        "answers.ipynb",
    )
    assert whole(graded(submission, "win_rate")["win_rate"])


def test_importing_an_answer_is_not_writing_one(hand_in):
    submission = hand_in("from solutions.answers import win_rate\nfrom rlhf_core.evaluate import sequence_kl\n")
    assert not submission.implementations


def test_folders_and_archives(tmp_path):
    folder = tmp_path / "work"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    (folder / ".ipynb_checkpoints" / "a-checkpoint.ipynb").write_text(notebook("def win_rate(after, before): return 0"))
    (folder / "a.ipynb").write_text(notebook(WIN_RATE))
    (folder / "b.py").write_text(SEQUENCE_KL)
    with zipfile.ZipFile(tmp_path / "work.zip", "w") as archive:
        for file in ("a.ipynb", "b.py"):
            archive.write(folder / file, f"work/{file}")
    with tarfile.open(tmp_path / "work.tar.gz", "w:gz") as archive:
        archive.add(folder, "work")
    for path in (folder, tmp_path / "work.zip", tmp_path / "work.tar.gz"):
        results = graded(read_submission(path), "win_rate", "sequence_kl")
        assert all(map(whole, results.values())), path


def test_the_files_of_the_course_are_nobodys_answers(tmp_path):
    """A learner checks the whole clone, or hands it in: what counts is what they wrote."""
    clone = tmp_path / "clone"
    for name in ("solutions/answers/evaluate.py", "autograder/right/win_rate.py", ".venv/lib/a.py", "env/lib/a.py"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(WIN_RATE)
    (clone / "course.toml").touch()
    (clone / "env" / "pyvenv.cfg").touch()
    assert "clone holds no cell of code and no .py file of yours" in read_submission(clone).refused
    (clone / "mine").mkdir()
    (clone / "mine" / "a.py").write_text(SEQUENCE_KL)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in sorted(clone.rglob("*.*")):
            if "env" not in str(file.relative_to(clone)):
                archive.write(file, f"clone/{file.relative_to(clone)}")
    for path in (clone, tmp_path / "all.zip"):
        assert list(read_submission(path).implementations) == ["sequence_kl"], path
    assert list(read_submission(clone / "solutions").implementations) == ["win_rate"]


def test_a_message_names_a_file_by_its_place_in_the_folder(tmp_path):
    for week in ("week1", "week2"):
        (tmp_path / week).mkdir()
        (tmp_path / week / "a.py").write_text(WIN_RATE)
    assert "line 2 of week1/a.py and line 2 of week2/a.py" in read_submission(tmp_path).notes["win_rate"]


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%prun"])
def test_cells_that_a_magic_only_watches_are_read(hand_in, magic):
    submission = hand_in(notebook(f"{magic}\n{WIN_RATE}"), "answers.ipynb")
    assert whole(graded(submission, "win_rate")["win_rate"])


def test_compiled_code_is_called_without_a_look_at_its_parameters(hand_in):
    compiled = WIN_RATE.replace("(after, before)", "(after: torch.Tensor, before: torch.Tensor)").replace(
        "after.dtype", "torch.float64"
    )
    submission = hand_in("import torch\n@torch.jit.script" + compiled + SEQUENCE_KL)
    assert set(submission.implementations) == {"win_rate", "sequence_kl"}


def test_an_import_that_failed_is_told(hand_in):
    submission = hand_in("import nonesuch as n\n" + WIN_RATE)
    assert "An import of this file failed: ModuleNotFoundError: No module named 'nonesuch'" in submission.notes["win_rate"]


# What can be wrong with the file


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(UsageError, match=r"no file or folder.*nowhere\.py"):
        read_submission(tmp_path / "nowhere.py")


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ('{"cells": [\n oops', "a.ipynb", "line 2 is not JSON"),
        ('["no cells"]', "a.ipynb", "JSON but not a notebook"),
        ("{}", "a.ipynb", "JSON but not a notebook"),
        (b"\xff\xfe\x00x", "a.py", "not UTF-8"),
        ("hello", "a.docx", "neither a notebook"),
        (b"PK\x03\x04 broken", "a.zip", "a.zip"),
        ("", "empty.tar", "empty.tar"),
    ],
)
def test_unreadable_files(hand_in, text, name, says):
    submission = hand_in(text, name)
    assert says in submission.refused
    results = {r.exercise: exercise_data(r) for r in run_submission(submission, exercise_names(7))}
    data = as_data(submission.name, submission.refused, results)
    assert data["state"] == "refused" and data["points"] == 0 and data["max_points"] == 11 and says in data["reason"]


def test_an_archive_that_is_too_large(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", b"#" * (30 << 20))
    assert "more than 20 MiB" in read_submission(tmp_path / "bomb.zip").refused


def test_links_in_an_archive_are_not_followed(tmp_path):
    (tmp_path / "secret.py").write_text(WIN_RATE)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("answers.py")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.py")
        archive.addfile(link)
        member = tarfile.TarInfo("other.py")
        member.size = 6
        archive.addfile(member, io.BytesIO(b"x = 1\n"))
    assert not read_submission(tmp_path / "a.tar").implementations


# Archives that mean harm, or are odd


def zip_of(*members, **options):
    """members: (name or ZipInfo, content)."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", **options) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def tar_of(*members, mode="w"):
    """members: (name, content), or a TarInfo of something without content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def special(name, kind, linkname=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, linkname
    return member


def why(name, content) -> str:
    with pytest.raises(Refused) as refusal:
        cells_of_files({name: content})
    assert str(refusal.value).isprintable()
    return str(refusal.value)


def names_of(files) -> list[str]:
    return [cell.name for cell in cells_of_files(files)]


LEADS_ELSEWHERE = [
    "../x.py",
    "a/../../x.py",
    "/etc/x.py",
    "a\\x.py",
    "C:/x.py",
    "c:x.py",
    "a\x1b[2J.py",
    "a\n.py",
    "x" * 300 + ".py",
]


@pytest.mark.parametrize("name", [*LEADS_ELSEWHERE, "../not_even_wanted.txt", "../folder/"])
def test_names_in_an_archive_that_lead_elsewhere(name):
    assert "a file is named" in why("work.zip", zip_of(("ok.py", WIN_RATE), (name, WIN_RATE)))
    assert "a file is named" in why("work.tar", tar_of(("ok.py", b"x = 1"), (name, b"x = 1")))


def test_names_in_an_archive_that_are_cut_short_by_some():
    """zipfile ends a name at NUL; and the bytes of a tar's names may be no text."""
    content = zip_of(("ok.py", WIN_RATE), ("answers.pyQ.txt", WIN_RATE)).replace(b"answers.pyQ.txt", b"answers.py\0.txt")
    assert "a file is named" in why("work.zip", content)
    assert "a file is named" in why("work.tar", tar_of(("caf\udce9.py", b"x = 1")))


def test_names_that_archives_do_have():
    assert names_of({"work.tgz": tar_of(("./a.py", b"x = 1"), ("./b c/é.py", b"y = 1"), mode="w:gz")}) == ["a.py", "b c/é.py"]


@pytest.mark.parametrize(
    "pair", [("a.py", "a.py"), ("Answers.py", "answers.py"), ("é.py", "e\u0301.py"), ("\ufb01.py", "fi.py"), ("./a.py", "a.py")]
)
def test_two_members_that_are_one_file(pair):
    assert "one file" in why("work.zip", zip_of(*((name, WIN_RATE) for name in pair)))
    assert "one file" in why("work.tar", tar_of(*((name, b"x = 1") for name in pair)))
    unread = pair[1].replace(".py", ".txt")
    assert len(names_of({"work.zip": zip_of((pair[0], WIN_RATE), (unread, ""), (unread, ""))})) == 1


def test_only_regular_files_of_an_archive_are_read():
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
    others = [special(f"{number}.py", kind, "/etc/passwd") for number, kind in enumerate(kinds)]
    sparse = special("sparse.py", tarfile.REGTYPE)
    sparse.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "99999999"}
    assert names_of({"work.tar": tar_of(*others, sparse, ("mine.py", b"x = 1"))}) == ["mine.py"]
    link = zipfile.ZipInfo("link.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert names_of({"work.zip": zip_of((link, "/etc/passwd"), ("mine.py", "x = 1"))}) == ["mine.py"]


def test_a_bomb():
    """What is small and becomes large, in each way of packing."""
    zeros = bytes(10 << 20)
    assert "200 times" in why("work.zip", zip_of(("a.py", zeros), compression=zipfile.ZIP_DEFLATED))
    assert "NUL" in why("work.zip", zip_of(("a.py", bytes(1 << 20)), compression=zipfile.ZIP_DEFLATED))  # not beyond 1 MiB
    for mode in ("w:gz", "w:bz2", "w:xz"):
        many = tar_of(*((f"{number}.dat", zeros) for number in range(7)), ("a.py", b"x = 1"), mode=mode)
        assert len(many) < 100_000 and "unpacks to more than 64 MiB" in why("work.tar.gz", many)
    assert "more than 20 MiB" in why("work.tgz", tar_of(*((f"{number}.py", zeros) for number in range(3)), mode="w:gz"))


def test_archives_are_small_together(monkeypatch):
    monkeypatch.setattr(reading, "LARGEST", 5_000)
    packed = zip_of(("a.py", "#" * 2_000), compression=zipfile.ZIP_DEFLATED)
    assert len(cells_of_files({"a.zip": packed, "b.zip": packed})) == 2
    with pytest.raises(Refused, match="MiB of notebooks"):
        cells_of_files({"a.zip": packed, "b.zip": packed, "c.zip": packed})
    with pytest.raises(Refused, match="MiB of notebooks"):
        cells_of_files({"a.zip": packed, "b.zip": packed, "c.py": b"#" * 2_000})
    with pytest.raises(Refused, match="more than 20 archives"):
        cells_of_files({f"{number}.zip": b"" for number in range(21)})


def test_a_member_that_is_longer_than_it_says():
    """To zipfile it seems whole: what is there beyond the declared size is cut off, and the sum of the rest is right."""
    said, more = b"x = 1\n", b"x = 1\n" * 50
    content = zip_of(("a.py", more), compression=zipfile.ZIP_DEFLATED)
    size, checksum = struct.pack("<L", len(more)), struct.pack("<L", zlib.crc32(more))
    lying = content.replace(checksum, struct.pack("<L", zlib.crc32(said))).replace(size, struct.pack("<L", len(said)))
    with zipfile.ZipFile(io.BytesIO(lying)) as archive:
        assert archive.read("a.py") == said
    assert "work.zip" in why("work.zip", lying)
    assert "the size that it declares" in why("work.zip", content.replace(size, struct.pack("<L", len(more) + 1)))


def test_members_that_lie_upon_each_other():
    """Two names for one run of bytes: how a bomb of a few kilobytes has terabytes in it."""
    content = bytearray(zip_of(("a.py", "x = 1"), ("b.py", "x = 1")))
    second = content.rindex(b"PK\1\2")
    content[second + 42 : second + 46] = bytes(4)  # where it begins: where the first one does
    assert "upon each other" in why("work.zip", bytes(content))


def test_members_that_cannot_be_read():
    content = bytearray(zip_of(("a.py", "x = 1")))
    for header, flags in ((content.index(b"PK\3\4"), 6), (content.index(b"PK\1\2"), 8)):
        content[header + flags] |= 1
    assert "without a password" in why("work.zip", bytes(content))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert "unusual method" in why("work.zip", zip_of(("a.py", "x = 1"), compression=method))


def test_too_many_members():
    many = [(f"{number}.txt", b"") for number in range(2_000)]
    assert names_of({"work.zip": zip_of(*many[1:], ("a.py", "x = 1"))}) == ["a.py"]
    for name, pack in (("work.zip", zip_of), ("work.tar", tar_of)):
        assert "more than 2,000 files" in why(name, pack(*many, ("a.py", b"x = 1")))


def test_an_archive_in_an_archive_is_passed_over():
    inner = zip_of(("inner.py", "x = 1"))
    assert names_of({"work.zip": zip_of(("inner.zip", inner), ("outer.py", "x = 1"))}) == ["outer.py"]
    assert "holds no cell" in why("work.zip", zip_of(("inner.zip", inner)))


def test_archives_beside_other_files():
    packed = zip_of(("a.py", "x = 1"))
    assert names_of({"work.zip": packed}) == ["a.py"]
    beside = {"z.py": b"z = 1", "work.zip": packed, "b.tar": tar_of(("a.py", b""))}
    assert names_of(beside) == ["b.tar/a.py", "work.zip/a.py", "z.py"]


def test_an_archive_in_a_folder_is_opened(tmp_path):
    (tmp_path / "work.zip").write_bytes(zip_of(("week/a.py", WIN_RATE)))
    (tmp_path / "kl.py").write_text(SEQUENCE_KL)
    assert set(read_submission(tmp_path).implementations) == {"win_rate", "sequence_kl"}


@pytest.mark.parametrize("name", ["work.zip", "work.tar", "work.tar.gz", "work.tar.bz2", "work.tar.xz"])
def test_damaged_archives_are_refused_and_nothing_else(name):
    members = ("work/a.py", b"x = 1\n" * 200), ("work/\u00fc.py", b"y = 1\n"), ("data.bin", bytes(300))
    mode = {".zip": None, ".tar": "w", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[Path(name).suffix]
    content = zip_of(*members, compression=zipfile.ZIP_DEFLATED) if mode is None else tar_of(*members, mode=mode)
    assert len(names_of({name: content})) == 2
    draw, refused = random.Random(name), 0
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(draw.choice((1, 2, 5, 20))):
            damaged[draw.randrange(len(damaged))] = draw.choice((0, 128, 255, draw.randrange(256)))
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        try:
            cells_of_files({name: bytes(damaged)})
        except Refused as refusal:
            refused += 1
            assert str(refusal).encode()
    assert refused > 40


# Text that means harm, or is odd


@pytest.mark.parametrize(
    "line", ["# -*- coding: latin-1 -*-", "#!/usr/bin/python\n# vim: set fileencoding=utf-7 :", "#coding=rot13"]
)
def test_another_encoding_is_refused(line):
    assert "its encoding is" in why("a.py", f"{line}\n{WIN_RATE}".encode())


@pytest.mark.parametrize(
    "line", ["# -*- coding: UTF-8 -*-", "# coding: utf_8", "# coding: us-ascii", "\n\n# coding: latin-1", "x = 'coding: x'"]
)
def test_what_is_utf8_is_read(line):
    assert names_of({"a.py": f"{line}\n{WIN_RATE}".encode()}) == ["a.py"]
    assert names_of({"a.py": f"\ufeff{line}\n{WIN_RATE}".encode()}) == ["a.py"]


def test_a_cell_may_say_what_it_likes_about_its_encoding():
    assert names_of({"a.ipynb": notebook("# coding: latin-1\nx = 1").encode()}) == ["cell 2 of a.ipynb"]


def test_nul_and_half_characters(hand_in):
    assert "NUL" in why("a.py", WIN_RATE.encode() + b"\0")
    assert "NUL character" in why("a.ipynb", notebook("x = 1\0").encode())
    assert "UTF-8" in why("a.py", b"x = '\xed\xa0\x80'")
    broken = notebook(f"x = '\ud800'{WIN_RATE}")
    assert r"\ud800" in broken and whole(graded(hand_in(broken, "a.ipynb"), "win_rate")["win_rate"])
    assert "\ufffd" in cells_of_files({"a.ipynb": broken.encode()})[0].source


def test_lines_end_where_python_says(hand_in):
    """Form feeds and the like end lines for str.splitlines, but not for Python."""
    for end in ("\r\n", "\r", "\n"):
        submission = hand_in(f"x = 'a\x0cb\u2028c'{end}{end}def sequence_kl(a:{end}  return 1{end}")
        assert "line 3 of answers.py" in submission.problems["sequence_kl"].message, repr(end)
        source = cells_of_files({"a.ipynb": notebook(f"%magic{end}x = 'a\u2028b'{end}y = 1").encode()})[0].source
        assert ast.parse(source).body[-1].lineno == 3


def test_caps(monkeypatch):
    monkeypatch.setattr(reading, "LONGEST", 100)
    assert "a.py is longer than 100" in why("a.py", b"#" * 101)
    assert "cell 2 of a.ipynb is longer than 100" in why("a.ipynb", notebook("#" * 101).encode())
    assert names_of({"a.py": b"#" * 100})
    monkeypatch.setattr(reading, "MOST_TEXT", 150)
    with pytest.raises(Refused, match="150 characters"):
        cells_of_files({"a.py": b"#" * 100, "b.py": b"#" * 100})
    monkeypatch.setattr(reading, "MOST_CELLS", 3)
    assert "3 cells" in why("a.ipynb", notebook("1", "2", "3", "4").encode())
    monkeypatch.setattr(reading, "LARGEST", 100)
    assert "MiB of notebooks" in why("a.ipynb", notebook("1").encode())


NOT_NOTEBOOKS = {
    "deep": b"[" * 200_000,
    "deep and whole": b"[" * 50_000 + b"]" * 50_000,
    "a long number": b'{"nbformat": ' + b"4" * 10_000 + b"}",
    "no format": b'{"cells": [{"cell_type": "code", "source": "x = 1"}]}',
    "format 5": b'{"nbformat": 5, "cells": []}',
    "no cells": b'{"nbformat": 4}',
    "cells by name": b'{"nbformat": 4, "cells": {"a": 1}}',
    "a cell of text": b'{"nbformat": 4, "cells": ["x = 1"]}',
    "source of numbers": b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1, 2]}]}',
    "no source": b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}',
    "null": b"null",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", NOT_NOTEBOOKS)
def test_what_is_no_notebook(kind):
    assert "not a notebook" in why("a.ipynb", NOT_NOTEBOOKS[kind])


def test_a_notebook_of_an_old_format():
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": WIN_RATE}]}]}
    assert "a notebook of format 3, not 4" in why("a.ipynb", json.dumps(old).encode())


def test_of_a_notebook_only_code_and_grade_id_are_looked_at():
    poison = {"image/png": [1], "nbgrader": 5, "\ud800": {}}
    cell = {"cell_type": "code", "source": ["x = 1\n", "y = 2"], "outputs": "none", "attachments": 3, "id": {}}
    names = [7, "x" * 101, "a\x1b", "win_rate"]
    metadata = [poison, None, [], *({"nbgrader": {"grade_id": name, "points": 99}} for name in names)]
    cells = [cell | {"metadata": each} for each in metadata] + [{"cell_type": "odd"}, {"cell_type": "raw", "source": 5}]
    found = cells_of_files({"a.ipynb": json.dumps({"nbformat": 4, "metadata": poison, "cells": cells}).encode()})
    assert [cell.grade_id for cell in found] == [None] * 6 + ["win_rate"]
    assert all(cell.source == "x = 1\ny = 2" for cell in found)


HOSTILE_PYTHON = {
    "parentheses": "x = " + "(" * 100_000,
    "closed parentheses": "x = " + "(" * 100_000 + "1" + ")" * 100_000,
    "signs": "x = " + "-" * 300_000 + "1",
    "sums": "x = " + "1 + " * 90_000 + "1",
    "attributes": "x = a" + ".b" * 190_000,
    "digits": "x = " + "9" * 300_000,
    "elif": "if a:\n  pass\n" + "elif a:\n  b = 1\n" * 5_000,
    "a deep raise": "def sequence_kl(logprobs, ref_logprobs, mask):\n    raise " + "a + " * 900 + "a",
    "nested f-strings": "x = " + "f'{" * 100 + "1" + "}'" * 100,
}


@pytest.mark.parametrize("kind", HOSTILE_PYTHON)
def test_python_that_is_hard_to_parse_costs_itself_alone(hand_in, kind):
    source = HOSTILE_PYTHON[kind]
    for text, name in ((f"{source}\n{WIN_RATE}", "a.py"), (notebook(source, WIN_RATE), "a.ipynb")):
        assert set(hand_in(text, name).implementations) - {"sequence_kl"} == {"win_rate"}


def test_names_within_conditions():
    chain = (
        "if a:\n  b1 = 1\n" + "".join(f"elif a:\n  b{number} = 1\n" for number in range(2, 60)) + "else:\n  def c(): d = 1\n"
    )
    assert defined(ast.parse(chain).body[0]) == {f"b{number}" for number in range(1, 60)} | {"c"}
    tried = "try:\n  import a.b\nexcept E:\n  if x: f += 1\nelse:\n  class G: pass\nfinally:\n  h: int = 1\n"
    assert defined(ast.parse(tried).body[0]) == {"a", "f", "G", "h"}


def test_a_file_of_many_syntax_errors():
    broken = "".join(f"def f{number}(:\n    pass\n" for number in range(200)) + WIN_RATE
    cells = cells_of_files({"a.py": broken.encode()})
    assert len(cells) == reading.BROKEN_PIECES + 2 and [is_python(cell.source) for cell in cells].count(True) == 1
    assert sum(cell.source.count("def f") for cell in cells) == 200
    assert ast.parse(cells[-1].source).body[0].lineno == broken[: broken.index("def win_rate")].count("\n") + 1


# What IPython adds to Python

LOOKS_LIKE_A_MAGIC = [
    "x = (7\n% 2)",
    'x = """\n%matplotlib inline\n!ls\n? help\n%%time\n"""',
    "x = 7 \\\n% 2",
    "x = f(\n    a\n    % b,\n)",
    "# what is this?\nx = 1",
    "x = [\n'''\n!ls''',\n# a ' in a comment\n1\n% 2]",
]


@pytest.mark.parametrize("source", LOOKS_LIKE_A_MAGIC)
def test_what_only_looks_like_a_magic_is_left_alone(source):
    assert without_magics(source) == source
    mixed = without_magics(f"%matplotlib inline\n{source}\n!echo it's \"\ny = 1")
    first, *middle, fourth, last = ast.parse(mixed).body
    assert [ast.dump(node) for node in middle] == [ast.dump(node) for node in ast.parse(source).body]
    assert isinstance(first, ast.Pass) and isinstance(fourth, ast.Pass) and last.lineno == source.count("\n") + 4


MAGICS = [
    "%timeit f(",
    "!pip install 'x",
    "x = !ls (",
    'files, n = %who "',
    "?print",
    "print??",
    "a.b?",
    "!a \\\n  'b \\\n  (c",
]


@pytest.mark.parametrize("magic", MAGICS)
def test_magics_anywhere_in_real_code(magic):
    """A magic between any two statements of a file changes nothing but itself."""
    draw = random.Random(magic)
    for path in sorted(Path(reading.__file__).parent.parent.glob("*.py")):
        lines = path.read_text(encoding="utf-8").split("\n")
        body = ast.parse("\n".join(lines)).body
        statement = draw.choice(body)
        first = min(node.lineno for node in (statement, *getattr(statement, "decorator_list", []))) - 1
        source = "\n".join([*lines[:first], magic, *lines[first:]])
        plain = without_magics(source)
        left = [ast.dump(node) for node in ast.parse(plain).body]
        left.remove(ast.dump(ast.Pass()))
        assert left == [ast.dump(node) for node in body] and plain.count("\n") == source.count("\n"), path


def test_a_magic_within_a_function():
    assert ast.unparse(ast.parse(without_magics("def f():\n    %time x\n    return 1"))) == "def f():\n    pass\n    return 1"


# Which definition counts

WRONG = "def win_rate(after, before):\n    return (after > before).double().mean().to(after.dtype)\n"
STUB = "def win_rate(after, before):\n    raise NotImplementedError\n"
IMPORT = "from rlhf_core.evaluate import win_rate\n"
COUNTS = {
    "the answer cell before a later scratch cell": [("win_rate", WIN_RATE), WRONG],
    "the answer cell before an earlier scratch cell": [WRONG, ("win_rate", WIN_RATE)],
    "and before a call of implement": [
        ("win_rate", WIN_RATE),
        f"{IMPORT}def mine(after, before): return 0\nwin_rate.implement(mine)",
    ],
    "of doubled answer cells the last": [("win_rate", WRONG), ("win_rate", WIN_RATE)],
    "also with a scratch cell between": [("win_rate", WRONG), WRONG, ("win_rate", WIN_RATE)],
    "also with a scratch cell after": [("win_rate", WRONG), ("win_rate", WIN_RATE), WRONG],
    "without an answer cell the last": [WRONG, WIN_RATE],
    "another's answer cell is any cell": [("sequence_kl", WRONG), ("check_win_rate", WIN_RATE)],
    "a stub is no answer": [("win_rate", STUB), WIN_RATE],
    "and rules nothing": [("win_rate", STUB), WRONG, WIN_RATE],
    "wherever it stands": [WIN_RATE, ("win_rate", STUB)],
    "also at the end": [("win_rate", WIN_RATE), ("win_rate", STUB)],
    "an answer cell that is no Python": [("win_rate", "def win_rate(:"), WIN_RATE],
    "an answer cell with something else in it": [("win_rate", "x = 1"), WIN_RATE],
}


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("decorated", [False, True])
def test_which_cell_counts(hand_in, kind, decorated):
    cells = [cell if isinstance(cell, tuple) else (None, cell) for cell in COUNTS[kind]]
    if decorated:
        cells = [
            (grade_id, source.replace("def win_rate", f"{IMPORT}@win_rate.implement\ndef win_rate"))
            for grade_id, source in cells
        ]
    calls_it = "TIE = win_rate(torch.ones(2), torch.ones(2))\ndef sequence_kl(logprobs, ref_logprobs, mask):\n    return TIE"
    with use("mine"):
        submission = hand_in(notebook("import torch", *cells, calls_it), "a.ipynb")
    result = graded(submission, "win_rate")["win_rate"]
    assert whole(result), result.note
    assert submission.implementations["sequence_kl"](0, 0, 0) == 0.5  # the one that counts is also the one that others call


def test_which_class_counts(hand_in):
    controller = """
class AdaptiveKLController:
    def __init__(self, init_kl_coef, target, horizon):
        self.value = {}
    def update(self, kl, n_steps):
        return self.value
"""
    uses_it = "def sequence_kl(logprobs, ref_logprobs, mask):\n    return AdaptiveKLController(0, 0, 0).value"
    name = "AdaptiveKLController"
    submission = hand_in(notebook((name, controller.format(1)), controller.format(2), (None, uses_it)), "a.ipynb")
    assert submission.implementations[name](0, 0, 0).value == submission.implementations["sequence_kl"](0, 0, 0) == 1


def test_a_definition_that_does_not_count_is_told(hand_in):
    note = hand_in(notebook(("win_rate", WIN_RATE), WRONG), "a.ipynb").notes["win_rate"]
    assert "line 1 of cell 3 of a.ipynb" in note and "line 2 of cell 2 of a.ipynb" in note and "does not count" in note


def test_an_answer_cell_rules_in_its_own_notebook_only(tmp_path):
    (tmp_path / "a.ipynb").write_text(notebook(("win_rate", WRONG)))
    (tmp_path / "b.ipynb").write_text(notebook(WIN_RATE))
    assert whole(graded(read_submission(tmp_path), "win_rate")["win_rate"])


def test_a_cell_that_was_deleted_is_missing(hand_in):
    submission = hand_in(notebook(("win_rate", "# deleted"), "x = 1"), "a.ipynb")
    assert submission.problem("win_rate").kind == "missing"


def test_the_lessons_name_their_answer_cells():
    for path in sorted((Path(reading.__file__).parents[2] / "lessons").glob("*.ipynb")):
        cells = cells_of_files({path.name: path.read_bytes()})
        named = {cell.grade_id: cell.source for cell in cells if cell.grade_id in exercise_names()}
        assert set(named) == set(exercise_names(int(path.name[:2])))
        assert all(f"def {name}(" in source or f"class {name}" in source for name, source in named.items())


# What can be wrong with the code: the other exercise is graded all the same


def body(code):
    return f"def sequence_kl(logprobs, ref_logprobs, mask):\n    {code}"


KL = "((logprobs - ref_logprobs) * mask).sum(1)"
BROKEN = {
    "syntax error": (body("return logprobs +* 2"), "line 2 of cell 4"),
    "wrong signature": ("def sequence_kl(logprobs, mask):\n    return logprobs", "takes (logprobs, ref_logprobs, mask)"),
    "another's decorator": (
        "from rlhf_core.kl import kl_estimate\n@kl_estimate.implement\n" + body("return logprobs"),
        "has to be @sequence_kl.implement",
    ),
    "a number": ("sequence_kl = 5", "yours is of type int (line 1 of cell 4"),
    "another case": (body("return logprobs").replace("sequence_kl", "Sequence_KL"), "there is a Sequence_KL"),
    "wrong names": ("def sequence_kl(a, b, mask):\n    return a - b", "yours takes (a, b, mask)"),
    "a class": ("class sequence_kl:\n    pass", "has to be a function"),
    "stub": (body('"Later."\n    raise NotImplementedError'), "still the stub"),
    "ellipsis": (body("..."), "still the stub"),
    "stub that begins": (body("x = 1\n    raise NotImplementedError('write me')"), "write me"),
    "missing": ("sequence = 1", "was not handed in"),
    "raises while loading": (
        f"import nonesuch\n@nonesuch.x\n{body('return 1')}",
        "line 1 of cell 4 of answers.ipynb: import nonesuch",
    ),
    "nothing": (body("logprobs.sum()"), "returned None"),
    "numpy": (body(f"return {KL}.numpy()"), "numpy.ndarray"),
    "a list": (body("return [1.0]"), "yours is a list of 1"),
    "shape": (body("return logprobs"), "has shape"),
    "dtype": (body(f"return {KL}.float()"), "torch.float32"),
    "nan": (body(f"return {KL} * float('nan')"), "NaN"),
    "exception": (
        body("d = logprobs - ref_logprobs\n    return d / 0 + None"),
        "line 3 of cell 4 of answers.ipynb: return d / 0 + None",
    ),
    "exit": (body("import sys\n    sys.exit(0)"), "SystemExit"),
    "in place": (body(f"logprobs += 1\n    return {KL} - mask.sum(1)"), "changed its input logprobs in place"),
    "endless": (body("while True: pass"), "never ends"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer(hand_in, kind):
    source, says = BROKEN[kind]
    submission = hand_in(notebook("import torch", WIN_RATE, source), "answers.ipynb")
    results = {r.exercise: r for r in run_submission(submission, ["win_rate", "sequence_kl"], seconds=0.5)}
    assert whole(results["win_rate"])
    exercise = exercise_data(results["sequence_kl"])
    assert exercise["points"] == 0 or kind in ("dtype", "in place")
    messages = [check["message"] for check in exercise["checks"] if check["status"] == "failed"]
    assert messages and any(says in message for message in messages), messages[:1]
    assert exercise["state"] == ("missing" if kind in ("stub", "ellipsis", "missing", "another case") else "graded")


def test_a_result_in_the_wrong_order(hand_in):
    source = "def policy_loss(logprobs, old_logprobs, advantages, mask, clip_range):\n    return {'a': 1.0}, logprobs.sum()"
    exercise = exercise_data(graded(hand_in(source), "policy_loss")["policy_loss"])
    assert exercise["points"] == 0
    assert "results are swapped" in exercise["checks"][0]["message"]


def test_the_same_exercise_twice(hand_in):
    right, wrong = WIN_RATE, "def win_rate(after, before):\n    return (after > before).double().mean().to(after.dtype)"
    last_is_right = graded(hand_in(notebook(wrong, right), "a.ipynb"), "win_rate")["win_rate"]
    last_is_wrong = graded(hand_in(notebook(right, wrong), "a.ipynb"), "win_rate")["win_rate"]
    assert whole(last_is_right) and not whole(last_is_wrong)
    assert "cell 2 of a.ipynb" in last_is_wrong.note and "cell 3 of a.ipynb" in last_is_wrong.note


def test_a_python_file_with_a_syntax_error_loses_one_function(hand_in):
    broken = "@torch.no_grad()\ndef masked_mean(x, mask, dim=None):\n    return (\n"
    submission = hand_in(f"import torch\n{SEQUENCE_KL}\n{broken}\n{WIN_RATE}")
    results = graded(submission, "sequence_kl", "masked_mean", "win_rate")
    assert whole(results["sequence_kl"]) and whole(results["win_rate"])
    assert "line 9 of answers.py" in results["masked_mean"].problem


def test_a_file_that_never_ends(hand_in, monkeypatch):
    monkeypatch.setattr("autograder.driver.loading.SECONDS", 0.3)
    submission = hand_in("while True:\n    pass\n" + WIN_RATE)
    assert "had not been read" in graded(submission, "win_rate")["win_rate"].problem


# The command


def test_check_command(tmp_path, capsys):
    path = tmp_path / "answers.py"
    path.write_text(WIN_RATE + SEQUENCE_KL)
    assert main(["check", str(path), "--exercise", "win_rate", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == 1 and data["state"] == "graded" and data["points"] == data["max_points"] == 1.0
    assert data["submission"] == "answers" and len(data["submission_hash"]) == 64
    check = data["exercises"]["win_rate"]["checks"][0]
    assert set(check) >= {"name", "status", "points", "max_points", "visibility", "message", "diagnosis"}
    assert main(["check", str(path), "--lesson", "7"]) == 1
    text = capsys.readouterr().out
    assert "All checks passed: win_rate, sequence_kl" in text and "Not handed in: rlhf_loop, bootstrap_ci" in text
    assert "3 of 11 points" in text


@pytest.mark.parametrize("scope", [["--lesson", "12"], ["--exercise", "gae"]])
def test_check_command_of_an_unknown_part(tmp_path, capsys, scope):
    path = tmp_path / "answers.py"
    path.write_text(WIN_RATE)
    assert main(["check", str(path), *scope]) == 2
    assert scope[1] in capsys.readouterr().err


def test_each_notebook_has_names_of_its_own_and_only_what_its_answers_look_up_is_run(tmp_path):
    """In one notebook `mask` is a number that takes for ever to compute, in the other `mean` is something else."""

    def notebook(*sources):
        cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
        return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    answer = "def masked_mean(x, mask, dim=None):\n    return mean(x, mask)"
    (tmp_path / "a.ipynb").write_text(notebook("def mean(x, mask):\n    return 'of a'", "mask = 9**9**9**9", answer))
    (tmp_path / "b.ipynb").write_text(notebook("mean = 'of b'", "def best_of_n_kl(n):\n    return mean"))
    answers = read_submission(tmp_path).implementations
    assert answers["masked_mean"](1, 2) == "of a" and answers["best_of_n_kl"](1) == "of b"
