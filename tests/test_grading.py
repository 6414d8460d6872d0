"""`rlhf-course grade` as an instructor runs it: real sandboxes, real kills, real folders."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from autograder.driver.call import Listed
from autograder.driver.frames import DTYPES, HEAD, BrokenFrame, lengths, pack, unpack
from autograder.engine import checks_of, points_of, run_submission
from autograder.grading.command import summary
from autograder.grading.grade import Seeds
from autograder.grading.journal import key_of
from autograder.grading.remote import others
from autograder.grading.results import STANDINGS, read_result, standing
from autograder.grading.tiers import best, probe
from autograder.report import exercise_data
from rlhf_core.exercise import exercises

ROOT = Path(__file__).parents[1]
TIER = best()[0]
STRONG = [tier for tier in "AB" if probe(tier) is None]

RIGHT = """
import torch
from rlhf_core.advantages import masked_mean

@masked_mean.implement
def masked_mean(x, mask, dim=None):
    x, count = torch.where(mask, x, 0.0), mask.to(x.dtype)
    total = x.sum() if dim is None else x.sum(dim)
    return total / (count.sum() if dim is None else count.sum(dim)).clamp(min=1)
"""
WRONG = RIGHT.replace(".clamp(min=1)", "") + "\n\ndef best_of_n_kl(n):\n    return n - 1.0\n"
CRASH = RIGHT + "\n\ndef best_of_n_kl(n):\n    import ctypes\n    return ctypes.string_at(0)\n"
SLOW = RIGHT + "\n\ndef win_rate(after, before):\n    while True:\n        pass\n"


def grade(*arguments, **options):
    command = [sys.executable, "-m", "rlhf_core.cli", "grade", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, **options)


def written(folder: Path, **sources) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    return folder


def result_of(out, name) -> dict:
    return json.loads((out / name / "result.json").read_text())


def results_in(out) -> dict[str, dict]:
    """All results, without the time they took."""
    found = {path.parent.name: json.loads(path.read_text()) for path in out.glob("*/result.json")}
    return {name: result | {"wall_s": None} for name, result in sorted(found.items())}


def rows(run) -> list[dict]:
    return [json.loads(line) for line in run.stdout.splitlines()]


# Frames


def through(value, listed=Listed):
    frame = pack(value)
    first, second = lengths(frame[: HEAD.size])
    assert len(frame) == HEAD.size + first + second
    return unpack(frame[HEAD.size : HEAD.size + first], frame[HEAD.size + first :], listed)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 4), (3, 1, 2)])
def test_a_tensor_crosses_as_it_is(dtype, shape):
    tensor = (torch.randn(shape) * 3).to(dtype)
    got = through({"x": (tensor, tensor.mT if tensor.ndim == 2 else tensor)})["x"]
    for sent, came in zip((tensor, tensor.mT if tensor.ndim == 2 else tensor), got, strict=True):
        assert came.dtype == dtype and came.shape == sent.shape and torch.equal(came, sent)


def test_plain_data_crosses_as_it_is():
    value = {"a": None, 1: [True, -7, 0.1, float("inf"), "ü\n"], "1": (b"\0\xff", ({},)), "e": b""}
    assert through(value, list) == value
    assert isinstance(through([1, 2]), Listed)
    assert torch.equal(
        torch.rand(3, generator=through(torch.Generator().manual_seed(5))),
        torch.rand(3, generator=torch.Generator().manual_seed(5)),
    )


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, 2**70, torch.zeros(2, dtype=torch.complex64), torch.zeros(2).to_sparse(), torch.zeros(2, device="meta"),
     torch.zeros(1).expand(2**40)],
)  # fmt: skip
def test_what_cannot_cross_is_refused(value):
    with pytest.raises(BrokenFrame):
        pack([value])


@pytest.mark.parametrize(
    "head",
    [b"", b"[]", b"{}", b"[" * 10**5, b'{"list":' * 10**4, b'{"tensor": ["float32", [2], 0, 8]}', b'{"list": 3}',
     b'{"tensor": ["float32", [-1], 0, 4]}', b'{"tensor": ["float32", [1], 0, 4, 5]}', b'{"tensor": ["object", [1], 0, 8]}',
     b'{"tensor": ["float32", [1], -4, 4]}', b'{"tensor": ["float32", [0, 4294967296], 0, 0]}', b'{"list": "abc"}',
     b'{"tensor": ["float32", [true], 0, 4]}', b'{"generator": "x"}', b'{"dict": [[{"list": []}, 1]]}', b'{"dict": [[1]]}',
     b'{"a": [], "b": []}', b"\xff", b"9" * 5000],
)  # fmt: skip
def test_a_forged_frame_is_broken_and_nothing_else(head):
    with pytest.raises(BrokenFrame):
        unpack(head, b"1234")


def test_noise_is_no_frame():
    rng = random.Random(0)
    frame = pack({"x": torch.arange(6.0), "y": [1, "a", None]})
    first, _ = lengths(frame[: HEAD.size])
    outcomes = set()
    for _ in range(3000):
        head = bytearray(frame[HEAD.size : HEAD.size + first])
        for _ in range(rng.randint(1, 3)):
            head[rng.randrange(len(head))] = rng.randrange(256)
        try:
            unpack(bytes(head), frame[HEAD.size + first :])
            outcomes.add("read")
        except BrokenFrame:
            outcomes.add("broken")
    assert outcomes == {"read", "broken"}


def test_a_frame_too_long_is_refused_before_it_is_read():
    with pytest.raises(BrokenFrame, match="announced"):
        lengths(HEAD.pack(2**31, 2**31))


def test_numbers_are_read_once():
    piece = b'{"bytes": [0, 4]}'
    assert unpack(piece, b"1234") == b"1234"
    with pytest.raises(BrokenFrame, match="before"):
        unpack(b'{"list": [' + piece + b", " + piece + b"]}", b"1234")


def test_a_byte_of_a_bool_is_true_or_false():
    assert unpack(b'{"tensor": ["bool", [2], 0, 2]}', b"\x02\x00").tolist() == [True, False]


def test_half_a_surrogate_pair_can_be_written_down():
    assert unpack(b'"\\ud800"', b"").encode()


# What a worker gets


def test_a_worker_never_gets_the_answer_under_test():
    for name in exercises():
        sources = others(name)
        assert {n for names, _ in sources for n in names} == set(exercises()) - {name}
        for _, source in sources:
            assert not re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), name
            compile(source, "<others>", "exec")


def test_seeds_tell_nothing_about_each_other():
    seeds, again = Seeds("secret"), Seeds("secret", 2)
    drawn = [
        seeds.of("visible"),
        seeds.of("hidden"),
        again.of("hidden"),
        str(seeds.of_learner("a")),
        str(seeds.of_learner("b")),
    ]
    assert len(set(drawn)) == len(drawn) and "secret" not in seeds.id and seeds.id != again.id


def test_keys_of_different_parts_differ():
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("ab", "c", "")}) == 4


# A class, graded


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class with the commonest fates, graded at the best tier."""
    folder = tmp_path_factory.mktemp("class")
    written(folder / "in", right=RIGHT, wrong=WRONG, crash=CRASH, slow=SLOW, twin=RIGHT, empty="", broken="def masked_mean(:\n")
    (folder / "in" / "essay.docx").write_bytes(b"PK")
    run = grade(folder / "in", "--out", folder / "out", "--json", "--seed", "tests", "--official")
    assert run.returncode == 0, run.stderr
    return folder, rows(run)


def test_each_submission_has_its_result(graded):
    folder, told = graded
    states = {name: result["state"] for name, result in results_in(folder / "out").items()}
    assert {row["submission"] for row in told[:-1]} == {
        "right",
        "wrong",
        "crash",
        "slow",
        "twin",
        "empty",
        "broken",
        "essay.docx",
    }
    assert sorted(states.values()).count("refused") == 1 and len(states) == 8
    counts = {"graded": 7, "refused": 1, "not_graded": 0, "no_submission": 0}
    assert told[-1] == {"submissions": 8, "known": 0, "out": str(folder / "out")} | counts


def test_points_are_what_the_work_earns(graded):
    out = graded[0] / "out"
    for name in ("right", "crash", "slow", "twin"):
        assert result_of(out, name)["points"] == 2.0, name
    assert result_of(out, "empty")["points"] == result_of(out, "broken")["points"] == 0.0
    assert 0 < result_of(out, "wrong")["points"] < 2


def test_the_points_and_words_are_those_of_the_self_check(graded):
    """The same checks with the same seeds, on the function itself."""
    from autograder.driver.loading import read_submission

    submission = read_submission(graded[0] / "in" / "wrong.py")
    here = run_submission(submission, ["masked_mean", "best_of_n_kl"], hidden=True, seeds=Seeds("tests").of_checks)
    there = result_of(graded[0] / "out", "wrong")["exercises"]
    for result in here:
        assert exercise_data(result) == there[result.exercise]


def test_a_result_has_all_that_is_promised(graded):
    result = result_of(graded[0] / "out", "right")
    assert (
        result["schema"] == 1 and result["submission"] == "right" and result["isolation"] == TIER and result["reason"] is None
    )
    assert re.fullmatch(r"[0-9a-f]{64}", result["submission_hash"]) and result["max_points"] == 100 and result["wall_s"] > 0
    assert list(result["exercises"]) == list(exercises())
    states = {name: exercise["state"] for name, exercise in result["exercises"].items()}
    assert states.pop("masked_mean") == "graded" and set(states.values()) == {"missing"}


def test_equal_files_give_equal_results_under_their_own_names(graded):
    right, twin = (result_of(graded[0] / "out", name) for name in ("right", "twin"))
    own = {name: twin[name] for name in ("submission", "submission_hash", "wall_s")}  # the hash is of the file's name, too
    assert right | own == twin and right["submission_hash"] != twin["submission_hash"]


def test_a_crash_and_an_endless_loop_cost_their_exercise_alone(graded):
    out = graded[0] / "out"
    crash = result_of(out, "crash")["exercises"]["best_of_n_kl"]
    slow = result_of(out, "slow")["exercises"]["win_rate"]
    assert {check["status"] for check in crash["checks"]} == {check["status"] for check in slow["checks"]} == {"failed"}
    assert {check["diagnosis"] for check in crash["checks"]} == {"ended_the_process"}
    assert "SIGSEGV" in crash["checks"][0]["message"]
    assert {check["diagnosis"] for check in slow["checks"]} == {"time_out"}


def test_hidden_checks_say_no_more_than_that_they_fail(graded):
    for check in result_of(graded[0] / "out", "wrong")["exercises"]["masked_mean"]["checks"]:
        if check["visibility"] == "hidden" and check["status"] == "failed":
            assert check["message"].startswith("Your answer fails on inputs that are not shown.")


def test_what_is_graded_is_not_graded_again(graded):
    folder, _ = graded
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*/result.json")}
    run = grade("--out", folder / "out", "--resume", "--json")
    assert run.returncode == 0, run.stderr
    assert rows(run)[-1]["known"] == 8
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*/result.json")} == before


def test_a_resubmission_is_graded_on_other_inputs(graded, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(graded[0] / "out", out)
    written(tmp_path / "in", right=WRONG)
    assert grade(tmp_path / "in", "--out", out, "--isolation", TIER).returncode == 0
    first, second = result_of(graded[0] / "out", "right"), result_of(out, "right")
    assert second["points"] < first["points"] and second["submission_hash"] != first["submission_hash"]
    assert first["seed_id"].endswith(".1") and second["seed_id"] == first["seed_id"][:-1] + "2"


def test_another_tier_grades_alike(graded, tmp_path):
    for tier in "ABC":
        if tier != TIER and probe(tier) is None:
            run = grade(graded[0] / "in", "--out", tmp_path / tier, "--isolation", tier, "--seed", "tests")
            assert run.returncode == 0, run.stderr
            found = {name: result | {"isolation": TIER} for name, result in results_in(tmp_path / tier).items()}
            assert found == results_in(graded[0] / "out"), tier


def test_shards_together_are_the_whole(graded, tmp_path):
    for part in ("1/3", "2/3", "3/3"):
        assert grade(graded[0] / "in", "--out", tmp_path / part[0], "--shard", part, "--seed", "tests").returncode == 0
        shutil.copytree(tmp_path / part[0], tmp_path / "merged", dirs_exist_ok=True)
    assert results_in(tmp_path / "merged") == results_in(graded[0] / "out")
    run = grade(graded[0] / "in", "--out", tmp_path / "merged", "--resume", "--json")
    assert rows(run)[-1]["known"] == 8


def test_dask_gives_the_same_results(graded, tmp_path):
    run = grade(graded[0] / "in", "--out", tmp_path / "out", "--engine", "dask", "--jobs", 2, "--seed", "tests")
    assert run.returncode == 0, run.stderr
    assert results_in(tmp_path / "out") == results_in(graded[0] / "out")


def test_a_run_that_is_killed_is_gone_on_with(graded, tmp_path):
    folder, out = graded[0] / "in", tmp_path / "out"
    command = [sys.executable, "-m", "rlhf_core.cli", "grade", str(folder), "--out", str(out), "--jobs", "1", "--seed", "tests"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(out.glob("*/result.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = {path for path in out.glob("*/result.json") if json.loads(path.read_text())}
    assert 3 <= len(done) < 8
    last = grade(folder, "--out", out, "--resume", "--json", "--seed", "tests")
    assert last.returncode == 0, last.stderr
    assert rows(last)[-1]["known"] >= len(done)
    assert results_in(out) == results_in(graded[0] / "out")
    assert not list((out / ".journal").glob("stage-*"))


@pytest.mark.parametrize("tier", STRONG)
def test_what_a_submission_runs_ends_with_its_zygote(tier, tmp_path):
    """All else is killed at once, as where memory runs out: nobody is left to end a worker that has taken its limits off."""
    spin = "import faulthandler, signal\nfaulthandler.cancel_dump_traceback_later()\nsignal.setitimer(signal.ITIMER_REAL, 0)\n"
    written(tmp_path / "in", a=spin + "while True:\n    pass\n")
    options = ["--out", str(tmp_path / "out"), "--jobs", "1", "--isolation", tier]
    command = [sys.executable, "-m", "rlhf_core.cli", "grade", str(tmp_path / "in"), *options]
    run = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers, deadline = [], time.monotonic() + 120
    while not workers and time.monotonic() < deadline:
        time.sleep(0.1)
        family = run.children(recursive=True)
        workers = [each for each in family if forked(each) and each.cpu_times().user > 0.5]
    assert workers, "none was seen"
    for each in {run, *family} - set(workers):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    run.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    for each in alive:
        each.kill()
    assert not alive


def forked(process) -> bool:
    """A worker has the command line of its zygote."""
    try:
        return "autograder.driver.zygote" in str(process.cmdline()) and process.cmdline() == process.parent().cmdline()
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_stops_at_once_and_loses_nothing(tmp_path):
    written(tmp_path / "in", a=RIGHT, b=SLOW, c=SLOW + "\n# another\n")
    command = [
        sys.executable,
        "-m",
        "rlhf_core.cli",
        "grade",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--jobs",
        "1",
    ]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "a" / "result.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in said and "stopped" in said
    assert result_of(tmp_path / "out", "a")["state"] == "graded"
    assert not list((tmp_path / "out" / ".journal").glob("stage-*"))


def test_two_runs_on_one_folder_do_not_meet(graded):
    import fcntl

    with (graded[0] / "out" / ".journal" / "lock-all").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        run = grade(graded[0] / "in", "--out", graded[0] / "out")
    assert run.returncode == 1 and "another run is at work" in run.stderr


@pytest.mark.skipif(os.getuid() != 0 or not STRONG, reason="mounting a small disk needs root")
def test_a_full_disk_stops_with_a_message_and_is_gone_on_with(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        written(tmp_path / "in", **{f"s{number}": RIGHT + f"# {number}\n" for number in range(8)})
        filler = disk / "filler"
        filler.write_bytes(bytes(2**20))
        run = grade(tmp_path / "in", "--out", disk / "out", "--seed", "tests", "--jobs", 1)
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        shutil.rmtree(disk / "out" / "s3", ignore_errors=True)
        run = grade(tmp_path / "in", "--out", disk / "out", "--seed", "tests", "--jobs", 1)
        assert run.returncode == 1 and "--resume" in run.stderr and "Traceback" not in run.stderr, run.stderr
        filler.unlink()
        run = grade(tmp_path / "in", "--out", disk / "out", "--seed", "tests", "--jobs", 1, "--resume")
        assert run.returncode == 0, run.stderr
        assert {result["points"] for result in results_in(disk / "out").values()} == {2.0}
        assert len(results_in(disk / "out")) == 8
    finally:
        subprocess.run(["umount", disk], check=True)


# What is refused


def test_official_grading_refuses_tier_c(tmp_path):
    written(tmp_path / "in", a=RIGHT)
    run = grade(tmp_path / "in", "--out", tmp_path / "out", "--official", "--isolation", "C")
    assert run.returncode == 1 and "--accept-c" in run.stderr and not list(tmp_path.glob("out/a"))
    run = grade(tmp_path / "in", "--out", tmp_path / "out", "--official", "--isolation", "C", "--accept-c")
    assert run.returncode == 0 and result_of(tmp_path / "out", "a")["isolation"] == "C"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "x"], "name the submissions"),
        (["nowhere", "--out", "x"], "nowhere"),
        (["lessons", "--out", "x", "--lesson", "42"], "lesson 42"),
        (["lessons", "--out", "x", "--jobs", "0"], "--jobs 0"),
        (["lessons", "--out", "x", "--engine", "ray"], "no engine 'ray'"),
        (["lessons", "--out", "x", "--shard", "3/2"], "3/2"),
        (["--resume", "--out", "x"], "no run to go on with"),
    ],
)
def test_bad_usage_says_what_and_exits_with_2(arguments, said, tmp_path):
    arguments = [str(tmp_path / "x") if argument == "x" else argument for argument in arguments]
    run = grade(*arguments)
    assert run.returncode == 2 and said in run.stderr and "Traceback" not in run.stderr


def test_results_do_not_go_among_the_submissions(tmp_path):
    written(tmp_path / "in", a=RIGHT)
    for out in ("in", "in/results"):
        run = grade(tmp_path / "in", "--out", tmp_path / out)
        assert run.returncode == 2 and "among the submissions" in run.stderr
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.py"]


def test_results_of_another_scope_are_not_replaced(graded):
    run = grade(graded[0] / "in", "--out", graded[0] / "out", "--lesson", 5)
    assert run.returncode == 2 and "holds results of all lessons, not of lesson 5" in run.stderr


def test_results_of_submissions_that_are_gone_are_named(graded, tmp_path):
    shutil.copytree(graded[0] / "out", tmp_path / "out")
    written(tmp_path / "in", right=RIGHT)
    run = grade(tmp_path / "in", "--out", tmp_path / "out", "--seed", "tests")
    assert run.returncode == 0 and "Known already, and not graded again: 1." in run.stdout
    assert "not among these: broken, crash, empty" in run.stdout


def test_a_lesson_alone_is_out_of_its_own_points(tmp_path):
    written(tmp_path / "in", a=RIGHT)
    assert grade(tmp_path / "in", "--out", tmp_path / "out", "--lesson", 5).returncode == 0
    result = result_of(tmp_path / "out", "a")
    assert (result["points"], result["max_points"]) == (2.0, 11.0)


def notebook(path: Path, *sources) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": each} for each in sources]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


def test_who_handed_in_other_lessons_alone_is_told_apart_from_who_was_refused(tmp_path):
    place, out = tmp_path / "in", tmp_path / "out"
    notebook(place / "ann" / "lesson-05" / "05_advantages.ipynb", RIGHT)
    notebook(place / "bob" / "04_kl.ipynb", "x = 1")
    notebook(place / "carl" / "05_advantages.ipynb", RIGHT)
    (place / "dora").mkdir()
    (place / "dora" / "04_kl.ipynb").write_text("no JSON")
    arguments = (place, "--out", out, "--lesson", 4, "--seed", "tests")
    run = grade(*arguments)
    reason = "nothing for lesson 4, only notebooks of other lessons"
    assert run.returncode == 0, run.stderr
    assert "4 submissions: 1 graded, 1 refused, 0 not graded, 2 with nothing handed in.\n" in run.stdout
    told = [line for line in run.stdout.splitlines() if line.startswith("  ")]
    assert told[0].startswith("  refused: dora: ")
    assert sorted(told[1:]) == [f"  no submission: ann: {reason}", f"  no submission: carl: {reason}"]

    for name in ("ann", "carl"):
        result = read_result(out / name)
        assert (result["state"], result["reason"], standing(result)) == ("graded", reason, "no_submission")
        assert (result["points"], result["max_points"], result["submission_hash"]) == (0.0, 15.0, None)
        assert {each["state"] for each in result["exercises"].values()} == {"missing"} and len(result["exercises"]) == 4
        assert [each["state"] for each in result["questions"].values()] == ["missing"]
    bob = read_result(out / "bob")  # the same of somebody whose notebook of the lesson holds nothing
    assert (bob["reason"], standing(bob)) == (None, "graded")
    assert {name: bob[name] for name in ("exercises", "questions", "points", "max_points")} == {
        name: result[name] for name in ("exercises", "questions", "points", "max_points")
    }

    notebook(place / "ann" / "lesson-04" / "04_kl.ipynb", "x = 1")  # handed in at last
    (place / "carl" / "05_advantages.ipynb").write_text("something else")
    told = rows(grade(*arguments, "--json"))
    assert {row["submission"] for row in told[:-1] if not row["known"]} == {"ann"}
    assert {name: told[-1][name] for name in STANDINGS} == {"graded": 2, "refused": 1, "not_graded": 0, "no_submission": 1}
    assert read_result(out / "ann")["reason"] is None
    assert read_result(out / "ann")["seed_id"] == bob["seed_id"], "her first attempt"

    shutil.rmtree(place / "bob")  # a graded one that is taken back, and comes again, gets other inputs
    notebook(place / "bob" / "05_advantages.ipynb", RIGHT)
    assert grade(*arguments).returncode == 0 and standing(read_result(out / "bob")) == "no_submission"
    notebook(place / "bob" / "04_kl.ipynb", "x = 2")
    assert grade(*arguments).returncode == 0
    assert [read_result(out / "bob")[name] for name in ("reason", "seed_id")] == [None, Seeds("tests", 2).id]


def test_many_without_points_are_not_all_named_and_those_to_be_mended_come_first():
    def without(number, state):
        return {"submission": f"{state}{number}", "state": state, "reason": "why"}

    odd = [without(n, "graded") for n in range(25)] + [without(0, "refused"), without(0, "not_graded")]
    said = summary({"graded": 3, "refused": 1, "not_graded": 1, "no_submission": 25}, 0, odd, "results").splitlines()
    assert said[0] == "30 submissions: 3 graded, 1 refused, 1 not graded, 25 with nothing handed in."
    assert said[1:4] == ["  not graded: not_graded0: why", "  refused: refused0: why", "  no submission: graded0: why"]
    assert "  and 7 more: the report names them all" in said and sum("no submission" in line for line in said) == 18


def test_the_learners_guide_says_what_hangs_on_hidden_checks():
    """The share of the points of each exercise that only its hidden checks give."""
    shares = {}
    for name in exercises():
        checks = checks_of(name, hidden=True)
        shares[name] = sum(each.weight for each in checks if each.visibility == "hidden") / sum(each.weight for each in checks)
    hidden = sum(points_of(name) * share for name, share in shares.items())
    guide = " ".join((ROOT / "docs" / "learner.md").read_text().split())
    assert f"Of the {sum(map(points_of, shares))} points of the course {round(hidden)} hang on them" in guide
    assert "a little under a third" in guide and 0.3 < hidden / sum(map(points_of, shares)) < 1 / 3
    assert "from a fifth to not quite half" in guide and min(shares.values()) == 0.2 and 0.4 < max(shares.values()) < 0.5


def test_doctor_says_which_tiers_there_are():
    command = [sys.executable, "-m", "rlhf_core.cli", "doctor", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = json.loads(run.stdout)
    assert run.returncode == 0 and said["isolation"] == TIER
    assert [tier for tier in "AB" if said["tiers"][tier]["given"]] == STRONG
    assert {each["what"] for each in said["found"]} >= {"Python", "torch", "GPU", "model hub", "disk"}
