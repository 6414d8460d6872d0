"""Bad submissions: each gets a message that names the place and says what to do, never a crash, never a point by accident."""

import io
import json
import tarfile
import zipfile

import pytest

from autograder.driver.loading import read_submission
from autograder.engine import run_submission
from autograder.report import exercise_data
from autograder.result import as_data
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
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Answers"}]
    for source in sources:
        cells.append({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source})
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
