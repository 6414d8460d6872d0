"""Which submissions there are, by what names, and the bytes of each: no link followed, no name shared, nothing lost."""

import contextlib
import hashlib
import os
import socket
import unicodedata

import pytest

from autograder.driver import reading
from autograder.driver.reading import Refused, cells_of_files
from autograder.grading import intake
from autograder.grading.intake import RESERVED, Entry, NothingHandedIn, content_hash, snapshot, submissions
from rlhf_core.errors import UsageError

ANSWER = "def win_rate(after, before):\n    return 1\n"
SECRET = "a secret of the instructor"

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes as Unix has them")


def write(path, text=ANSWER):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(*paths):
    return [entry.name for entry in submissions(paths)]


def only_entry(path) -> Entry:
    (entry,) = submissions([path])
    return entry


# What a PATH is


@pytest.mark.parametrize("suffix", [".py", ".ipynb", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".PY", ".TaR"])
def test_a_file_is_a_submission_named_by_its_stem(tmp_path, suffix):
    assert only_entry(write(tmp_path / f"alice.b{suffix}")) == Entry("alice.b", tmp_path / f"alice.b{suffix}", "alice.b")


def test_nbgraders_folder_of_what_was_submitted(tmp_path):
    write(tmp_path / "submitted" / "alice" / "ps5" / "05_advantages.ipynb")
    write(tmp_path / "submitted" / "bob" / "ps5" / "05_advantages.ipynb")
    write(tmp_path / "submitted" / "bob" / "ps5" / "timestamp.txt")
    assert names(tmp_path / "submitted") == ["alice", "bob"]
    assert [list(snapshot(entry)) for entry in submissions([tmp_path / "submitted"])] == [["ps5/05_advantages.ipynb"]] * 2


def test_of_nbgraders_assignments_only_that_of_the_lesson_counts(tmp_path):
    for name in ("lesson-04/04_kl.ipynb", "lesson-05/05_advantages.ipynb", "lesson-05/helpers.py", "notes/helpers.py"):
        write(tmp_path / "submitted" / "alice" / name)
    (entry,) = submissions([tmp_path / "submitted"])
    assert set(snapshot(entry, ["kl_exact"])) == {"lesson-04/04_kl.ipynb", "notes/helpers.py"}
    assert set(snapshot(entry, ["compute_gae"])) == {
        "lesson-05/05_advantages.ipynb",
        "lesson-05/helpers.py",
        "notes/helpers.py",
    }
    assert len(snapshot(entry, ["compute_gae", "kl_exact"])) == len(snapshot(entry)) == 4
    assert set(snapshot(entry, ["win_rate"])) == {"notes/helpers.py"}  # lesson 7 was not handed in


def test_notebooks_side_by_side_are_all_read(tmp_path):
    for name in ("04_kl.ipynb", "05_advantages.ipynb"):
        write(tmp_path / "class" / "alice" / name)
    (entry,) = submissions([tmp_path / "class"])
    assert len(snapshot(entry, ["compute_gae"])) == 2


OTHERS = [
    ["05_advantages.ipynb"],
    ["00_tour.ipynb", "05_advantages.ipynb", "plot.png", "README.md"],
    ["lesson-05/05_advantages.ipynb"],
    ["05_advantages.ipynb", "lesson-06/06_ppo.ipynb", "lesson-06/helpers.py", "lesson-06/more/work.zip"],
]


@pytest.mark.parametrize("files", OTHERS)
def test_work_for_other_lessons_alone_is_nothing_for_this_one(tmp_path, files):
    for name in files:
        write(tmp_path / "class" / "alice" / name)
    (entry,) = submissions([tmp_path / "class"])
    with pytest.raises(NothingHandedIn, match=r"^nothing for lesson 4, only notebooks of other lessons$"):
        snapshot(entry, ["kl_exact", "kl_estimate"])
    with pytest.raises(NothingHandedIn, match=r"^nothing for the lessons that are graded, "):
        snapshot(entry, ["kl_exact", "win_rate"])
    assert snapshot(entry, ["compute_gae", "policy_loss"]) and snapshot(entry)


@pytest.mark.parametrize("beside", ["answers.py", "kl.py", "Untitled.ipynb", "work.zip", "lesson-04/work.ipynb", "04_kl.ipynb"])
def test_beside_another_file_of_answers_it_is_read(tmp_path, beside):
    """Whoever renamed the notebook of the lesson, or wrote a .py file, loses nothing."""
    for name in ("05_advantages.ipynb", "lesson-06/06_ppo.ipynb", beside):
        write(tmp_path / "class" / "alice" / name)
    (entry,) = submissions([tmp_path / "class"])
    assert set(snapshot(entry, ["kl_exact"])) == {"05_advantages.ipynb", beside}


def test_what_holds_no_answers_at_all_is_not_excused(tmp_path):
    """It is refused where it is read."""
    for name in ("alice/essay.docx", "bob/lesson-04/kl.txt"):
        write(tmp_path / "class" / name)
    (tmp_path / "class" / "carol").mkdir()
    for entry in submissions([tmp_path / "class"]):
        assert snapshot(entry, ["kl_exact"]) == {}
    with pytest.raises(Refused, match="holds no cell of code"):
        cells_of_files({})


def test_gradescopes_export(tmp_path):
    write(tmp_path / "export" / "submission_metadata.yml", "submission_1: {}")
    write(tmp_path / "export" / "submission_1" / "answers.py")
    write(tmp_path / "export" / "submission_22" / "05_advantages.ipynb")
    assert names(tmp_path / "export") == ["submission_1", "submission_22"]


def test_canvas_export(tmp_path):
    write(tmp_path / "canvas" / "gradebook.csv")
    for name in ("doejane_123_456_05_advantages.ipynb", "doejohn_LATE_124_457_answers-1.py"):
        write(tmp_path / "canvas" / name)
    for name in ("roe_125_458_answers.txt", "poe_126_text.html"):
        write(tmp_path / "canvas" / name)
    entries = {entry.name: entry.refused for entry in submissions([tmp_path / "canvas"])}
    assert entries["doejane_123_456_05_advantages"] is None and entries["doejohn_LATE_124_457_answers-1"] is None
    # a text file and a text entry are no answers, but they are from students: they are not passed over in silence
    assert "neither a notebook" in entries["roe_125_458_answers.txt"] and "neither a notebook" in entries["poe_126_text.html"]
    assert len(entries) == 4


def test_moodles_export(tmp_path):
    write(tmp_path / "moodle" / "Jane Doe_123_assignsubmission_file" / "05_advantages.ipynb")
    write(tmp_path / "moodle" / "José O'Neill_124_assignsubmission_file_" / "work.py")
    assert names(tmp_path / "moodle") == ["Jane Doe_123_assignsubmission_file", "José O'Neill_124_assignsubmission_file_"]


@pytest.mark.parametrize("name", ["05_advantages.ipynb", "answers.py", "answers.ipynb", "submission.py", "Submission.ipynb"])
def test_a_folder_with_answers_in_it_is_one_submission(tmp_path, name):
    write(tmp_path / "alice" / name)
    write(tmp_path / "alice" / "helpers.py")
    assert names(tmp_path / "alice") == ["alice"]
    assert set(snapshot(only_entry(tmp_path / "alice"))) == {name, "helpers.py"}


def test_a_folder_without_is_a_class(tmp_path):
    for name in ("alice.ipynb", "bob.py", "carol/whatever.ipynb", "dave.zip", ".hidden/a.py", ".DS_Store", "__MACOSX/b.py"):
        write(tmp_path / name)
    for name in ("grades.csv", "README.md", "gradebook.db", "list.txt", "index.html", "config.yml", "data.json"):
        write(tmp_path / name)
    assert names(tmp_path) == ["alice", "bob", "carol", "dave"]


def test_another_file_in_a_class_is_a_refused_submission(tmp_path):
    write(tmp_path / "alice.docx")
    write(tmp_path / "alice.ipynb")
    docx, notebook = submissions([tmp_path])
    assert docx.name == "alice.docx" and "neither a notebook" in docx.refused
    assert notebook == Entry("alice", tmp_path / "alice.ipynb", "alice")
    with pytest.raises(Refused, match="neither a notebook"):
        snapshot(docx)


def test_a_path_twice_counts_once(tmp_path, monkeypatch):
    write(tmp_path / "class" / "alice" / "answers.py")
    write(tmp_path / "class" / "bob.py")
    monkeypatch.chdir(tmp_path / "class")
    paths = [tmp_path / "class", "alice", "./bob.py", tmp_path / "class" / ".." / "class" / "bob.py"]
    assert names(*paths) == ["alice", "bob"]


def test_the_folder_one_stands_in(tmp_path, monkeypatch):
    write(tmp_path / "alice" / "answers.py")
    monkeypatch.chdir(tmp_path / "alice")
    assert names(".") == ["alice"] and set(snapshot(only_entry("."))) == {"answers.py"}


def test_nothing_to_grade(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "metadata" / "grades.csv")
    with pytest.raises(UsageError, match=r"nowhere.*No such file"):
        submissions([tmp_path / "nowhere"])
    for name in ("empty", "metadata"):
        with pytest.raises(UsageError, match="no submission"):
            submissions([tmp_path / name])


# Names


GOOD = [
    "alice", "Zoë Łuczak", "李雷", "अनिता", "doe, jane (2)", "o'neill", "a=b+c@d~e", "x" * 120, "=1+1", "@home", "+49", "com",
    "con1",
]  # fmt: skip
BAD = [
    "<script>alert(1)<", "a`id`", "a$b", "a;b", "a&b", 'a"b', "a%2fb", "a\\b", "a:b", "a|b", "a*b", "a?b", "a😀",  # characters
    "a\x1b[31mred", "a\u202ecod", "a\nb", "a\u200bb", "a\u034fb", "\u3164", "a\u2028b", "a\x7fb",  # that are not seen
    "-rf", "~root", " alice", "alice ", "alice.", "\u0301alice", "x" * 121, "李" * 70,  # at either end
    "con", "NUL", "com1.answers", "Lpt9", "class.html", "RESULTS.csv", "refused-12345678", "\uff41\uff0e\uff42",  # in use
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_names_that_are_taken_as_they_are(tmp_path, name):
    entry = only_entry(write(tmp_path / f"{name}.py"))
    assert (entry.name, entry.folder, entry.refused) == (name, name, None)


def test_a_name_has_one_unicode_form(tmp_path):
    entry = only_entry(write(tmp_path / unicodedata.normalize("NFD", "Zoë.py")))
    assert entry.name == entry.folder == "Zoë" and entry.refused is None and len(snapshot(entry)) == 1


@posix
@pytest.mark.parametrize("name", BAD)
def test_names_that_are_refused(tmp_path, name):
    entry = only_entry(write(tmp_path / f"{name}.py"))
    assert "name" in entry.refused and entry.folder == f"refused-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    assert len(entry.name) <= 120 and not set(entry.name) & set('<>&"`$;|\x1b\n\u202e\u2028')
    assert entry.name.isprintable() and entry.refused.isprintable()
    with pytest.raises(Refused):
        snapshot(entry)


@posix
def test_a_name_that_is_no_utf8(tmp_path):
    with contextlib.suppress(OSError), open(os.fsencode(tmp_path) + b"/caf\xe9.py", "w") as file:
        file.write(ANSWER)
    if not os.listdir(tmp_path):
        pytest.skip("this file system takes no such name")
    entry = only_entry(tmp_path)
    assert "name" in entry.refused and entry.name.encode() and entry.folder.startswith("refused-")


def test_what_lies_among_the_results_is_nobodys_name(tmp_path):
    for name in RESERVED:
        assert only_entry(write(tmp_path / name / "answers.py").parent).folder.startswith("refused-")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("Zoë", unicodedata.normalize("NFD", "zoë")),
        ("straße", "STRASSE"),
        ("ﬁona", "fiona"),
        ("Σοφος", "σοφοσ"),
        ("K\u212aelvin", "kkelvin"),
    ],
)
def test_two_that_some_file_system_takes_for_one_are_both_refused(tmp_path, one, other):
    first = write(tmp_path / "monday" / f"{one}.py").parent
    second = write(tmp_path / "tuesday" / f"{other}.py").parent
    write(tmp_path / "tuesday" / "bob.py")
    entries = submissions([first, second])
    alike, others = [e for e in entries if e.name != "bob"], [e for e in entries if e.name == "bob"]
    assert others[0].refused is None
    assert "tuesday/" in alike[0].refused and "monday/" in alike[1].refused
    assert len({e.folder for e in entries}) == 3 and all(e.folder.startswith("refused-") for e in alike)


def test_one_name_in_two_classes_is_refused_in_two_folders(tmp_path):
    for day in ("monday", "tuesday"):
        write(tmp_path / day / "alice.py")
    write(tmp_path / "alice.ipynb")
    entries = submissions([tmp_path / "monday", tmp_path / "tuesday", tmp_path / "alice.ipynb"])
    assert all("its name is also that of" in entry.refused for entry in entries)
    assert [entry.name for entry in entries] == ["alice"] * 3 and len({entry.folder for entry in entries}) == 3


def test_folders_are_different_whatever_the_file_system(tmp_path):
    """Also where a name that cannot be had would become one that can."""
    for name in [*GOOD, *(BAD if os.name == "posix" else [])]:
        write(tmp_path / f"{name}.py")
    folders = [entry.folder for entry in submissions([tmp_path])]
    assert len({reading.folded(folder) for folder in folders}) == len(folders) == len(set(GOOD + BAD))
    assert all(unicodedata.is_normalized("NFC", folder) and "/" not in folder for folder in folders)


# Links and devices


@posix
def test_a_link_is_never_a_submission(tmp_path):
    secret = write(tmp_path / "instructor" / "answers.py", SECRET)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "file.py").symlink_to(secret)
    (tmp_path / "class" / "folder").symlink_to(secret.parent)
    (tmp_path / "class" / "dangling.py").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "class" / "pipe.py")
    for entry in submissions([tmp_path / "class"]):
        assert "symbolic link" in entry.refused or "neither a file" in entry.refused
        with pytest.raises(Refused):
            snapshot(entry)
        assert submissions([entry.path])[0].refused == entry.refused
        with pytest.raises((Refused, OSError)):  # nor where it became one after it was listed
            snapshot(Entry(entry.name, entry.path, entry.folder, None))


@posix
def test_links_within_a_submission_are_passed_over(tmp_path):
    secret = write(tmp_path / "instructor" / "secret.py", SECRET)
    alice = tmp_path / "alice"
    write(alice / "answers.py")
    (alice / "notes.py").symlink_to(secret)
    (alice / "more").symlink_to(secret.parent)
    os.mkfifo(alice / "pipe.py")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(alice / "socket.py"))
    assert snapshot(only_entry(alice)) == {"answers.py": ANSWER.encode()}


@posix
def test_a_hard_link_is_refused(tmp_path):
    secret = write(tmp_path / "secret.py", SECRET)
    write(tmp_path / "class" / "alice" / "answers.py")
    os.link(secret, tmp_path / "class" / "alice" / "more.py")
    os.link(secret, tmp_path / "class" / "bob.py")
    alice, bob = submissions([tmp_path / "class"])
    assert "cp -r" in bob.refused
    with pytest.raises(Refused, match=r"more\.py: it is a hard link.*cp -r"):
        snapshot(alice)


@posix
@pytest.mark.parametrize("what", ["file", "folder", "pipe"])
def test_what_is_swapped_for_a_link_while_it_is_read(tmp_path, monkeypatch, what):
    """A file that was seen as a regular one, and is a link when it is opened."""
    secret = write(tmp_path / "instructor" / "b.py", SECRET)
    alice = tmp_path / "alice"
    write(alice / "answers.py")
    write(alice / "more" / "b.py")

    def swap(found):
        found = list(found)
        os.rename(alice / "more", tmp_path / "aside")
        if what == "folder":
            (alice / "more").symlink_to(secret.parent)
        else:
            (alice / "more").mkdir()
            os.mkfifo(alice / "more" / "b.py") if what == "pipe" else (alice / "more" / "b.py").symlink_to(secret)
        return wanted(found)

    wanted = intake.wanted
    monkeypatch.setattr(intake, "wanted", swap)
    with pytest.raises(Refused, match=r"more cannot be read|b\.py (cannot be read|is no regular file)"):
        snapshot(only_entry(alice))


# What is read of a submission


def test_what_counts_in_a_folder(tmp_path):
    clone = tmp_path / "alice"
    counts = ["answers.py", "week 1/05_advantages.ipynb", "work.ZIP", "deep/er/x.tar.gz"]
    ignored = [
        ".git/a.py",
        "__pycache__/a.py",
        "env/lib/a.py",
        "data.csv",
        "rlhf_core/kl.py",
        "autograder/x.py",
        "a.py.bak",
        ".b.py",
    ]
    for name in counts + ignored:
        write(clone / name)
    write(clone / "env" / "pyvenv.cfg")
    write(clone / "course.toml")
    assert set(snapshot(only_entry(clone))) == set(counts)


@pytest.mark.parametrize("big", [["a.py"], ["a.py", "b.ipynb"], ["work.zip", "b.py"]])
def test_a_submission_that_is_too_large(tmp_path, monkeypatch, big):
    monkeypatch.setattr(intake, "LARGEST", 1000)
    for name in ("answers.py", *big):
        write(tmp_path / "alice" / name, "#" * (1001 // len(big)))
    with pytest.raises(Refused, match="more than 20 MiB"):
        snapshot(only_entry(tmp_path / "alice"))
    with pytest.raises(Refused, match="more than 20 MiB"):
        snapshot(only_entry(write(tmp_path / "bob.py", "#" * 1001)))
    assert len(snapshot(only_entry(write(tmp_path / "carol.py", "#" * 1000)))["carol.py"]) == 1000


def test_a_submission_of_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MOST_FILES", 10)
    for number in range(5):
        write(tmp_path / "alice" / f"picture{number}.png")
        write(tmp_path / "alice" / "more" / f"{number}.py")
    alice = Entry("alice", tmp_path / "alice", "alice")
    with pytest.raises(Refused, match="more than 10 files"):
        snapshot(alice)
    (tmp_path / "alice" / "picture0.png").unlink()
    assert len(snapshot(alice)) == 5
    (tmp_path / "alice" / "picture1.png").unlink()
    for name in (".git/1", ".git/2"):  # in a folder that is not entered
        write(tmp_path / "alice" / name)
    assert len(snapshot(alice)) == 5


def test_folders_within_folders(tmp_path):
    deepest = tmp_path / "alice" / "/".join("d" * (intake.DEEPEST - 1))
    write(deepest / "a.py")
    alice = Entry("alice", tmp_path / "alice", "alice")
    assert len(snapshot(alice)) == 1
    (deepest / "d").mkdir()
    with pytest.raises(Refused, match="more than 12 deep"):
        snapshot(alice)


@posix
@pytest.mark.parametrize("name", ["a\x1b[31m.py", "a\nb.py", "a\\b.py", "C:x.py"])
def test_a_file_with_a_name_that_cannot_be_shown(tmp_path, name):
    write(tmp_path / "alice" / name)
    with pytest.raises(Refused, match="a file is named") as refusal:
        snapshot(Entry("alice", tmp_path / "alice", "alice"))
    assert str(refusal.value).isprintable()


@posix
def test_a_file_within_whose_name_is_no_utf8(tmp_path):
    (tmp_path / "alice").mkdir()
    with contextlib.suppress(OSError), open(os.fsencode(tmp_path) + b"/alice/caf\xe9.py", "w") as file:
        file.write(ANSWER)
    if not os.listdir(tmp_path / "alice"):
        pytest.skip("this file system takes no such name")
    with pytest.raises(Refused, match="a file is named") as refusal:
        snapshot(Entry("alice", tmp_path / "alice", "alice"))
    assert str(refusal.value).encode()


@posix
def test_no_file_stays_open(tmp_path):
    for name in ("answers.py", "a/b/c.py", "a/d.ipynb", "work.zip"):
        write(tmp_path / "alice" / name)
    os.link(tmp_path / "alice" / "answers.py", tmp_path / "linked.py")
    before = os.dup(0)
    os.close(before)
    for entry in (only_entry(tmp_path / "alice"), Entry("x", tmp_path / "linked.py", "x")):
        with pytest.raises(Refused):
            snapshot(entry)
    after = os.dup(0)
    os.close(after)
    assert after == before


def test_the_snapshot_is_what_is_checked(tmp_path):
    """`check` of a folder sees the same files, and the same hash, as grading does."""
    for name in ("answers.py", "sub/b.ipynb", "sub/.x.py", "c.zip", "d.txt", "__main__.py"):
        write(tmp_path / "alice" / name, name)
    write(tmp_path / "bob.py")
    if os.name == "posix":
        (tmp_path / "alice" / "link.py").symlink_to(tmp_path / "bob.py")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(tmp_path / "alice" / "socket.py"))
    for path in (tmp_path / "alice", tmp_path / "bob.py"):
        files = snapshot(only_entry(path))
        assert files == reading.files_of(path) and content_hash(files) == reading.content_hash(path)
    assert [cell.name for cell in cells_of_files(snapshot(only_entry(tmp_path / "bob.py")))] == ["bob.py"]


# The hash


def test_different_files_never_share_a_hash():
    trees = [
        {}, {"a": b""}, {"a": b"", "b": b""}, {"ab": b""}, {"a": b"b"}, {"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""},
        {"a": b"", "b": b"c"}, {"a": b"\0\0\0\0\0\0\0\1b"}, {"a\0": b"b"}, {"abc": b""}, {"a/b": b"c"}, {"a": b"c", "b": b""},
    ]  # fmt: skip
    assert len({content_hash(tree) for tree in trees}) == len(trees)


def test_the_order_of_files_does_not_matter():
    assert content_hash({"a": b"1", "b": b"2"}) == content_hash({"b": b"2", "a": b"1"})
    assert content_hash({"a": b"1", "b": b"2"}) != content_hash({"a": b"2", "b": b"1"})
