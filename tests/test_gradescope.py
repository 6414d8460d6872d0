"""`rlhf-course export gradescope`: the zip, and what it does in a container laid out as Gradescope's.

The round trip runs setup.sh and run_autograder as they stand. Two things of the image are ours: `apt-get` does nothing, as
bubblewrap and venv are here; and pip installs the course alone, as the dependencies of this environment are mounted into the
new one instead of being downloaded.
"""

import json
import os
import platform
import shutil
import stat
import struct
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import jsonschema
import pytest

from autograder.export import gradescope_run
from autograder.export.gradescope_run import as_results, main, name_of
from autograder.export.leaderboard import LARGEST, leaderboard
from autograder.grading import tiers
from autograder.grading.results import read_result

ROOT = Path(__file__).parents[1]
VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
FORMAT = {"enum": ["text", "simple_format", "html", "md", "ansi"]}
TEST = {
    "type": "object",
    "properties": {
        "score": {"type": "number"},
        "max_score": {"type": "number"},
        "status": {"enum": ["passed", "failed"]},
        "name": {"type": "string"},
        "name_format": FORMAT,
        "number": {"type": "string"},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "tags": {"type": "array", "items": {"type": "string"}},
        "visibility": VISIBILITY,
        "extra_data": {"type": "object"},
    },
    "required": ["score", "max_score", "name"],
    "additionalProperties": False,
}
SCHEMA = {  # the fields of Gradescope's "Autograder Specifications"
    "type": "object",
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "test_output_format": FORMAT,
        "test_name_format": FORMAT,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "tests": {"type": "array", "items": TEST},
        "leaderboard": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "value": {"type": ["number", "string"]},
                    "order": {"enum": ["asc", "desc"]},
                },
                "required": ["name", "value"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["score"],
    "additionalProperties": False,
}


def checked(data: dict) -> dict:
    jsonschema.validate(data, SCHEMA)
    assert {found["output_format"] for found in [data, *data.get("tests", [])]} == {"text"}  # no markup, whoever wrote it
    return data


def cli(*arguments):
    command = [sys.executable, "-m", "rlhf_core.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


# results.json

CHECK = {"title": "A check", "points": 1.0, "max_points": 2.0, "status": "failed", "visibility": "hidden", "message": "no"}


def a_result(**facts):
    exercise = {"lesson": 5, "state": "graded", "points": 1.0, "max_points": 2.0, "checks": [CHECK]}
    result = {
        "submission": "submission_1", "state": "graded", "reason": None, "points": 1.0, "max_points": 2.0, "wall_s": 3.5,
        "submission_hash": "0", "course_version": "1", "seed_id": "s.1", "isolation": "A", "questions": {},
        "exercises": {"masked_mean": exercise},
    }  # fmt: skip
    return result | facts


@pytest.mark.parametrize("when", ["after_due_date", "after_published", "hidden", "visible"])
def test_hidden_checks_are_shown_when_asked_for(when):
    data = checked(as_results(a_result(), when))
    assert [test["visibility"] for test in data["tests"]] == [when]
    assert data["tests"][0]["name"] == "masked_mean: A check (hidden)" and data["tests"][0]["number"] == "5.1.1"
    assert ("shows no sum" in data["output"]) == (when != "visible")


def test_visible_checks_are_shown_at_once():
    result = a_result()
    result["exercises"]["masked_mean"] = result["exercises"]["masked_mean"] | {"checks": [CHECK | {"visibility": "visible"}]}
    assert [test["visibility"] for test in as_results(result, "hidden")["tests"]] == ["visible"]


def test_a_refused_submission_gets_0_and_the_reason():
    data = checked(as_results(a_result(state="refused", reason="it is \x1b[31m no archive", points=0.0), "after_due_date"))
    assert data["score"] == 0 and [test["max_score"] for test in data["tests"]] == [2.0]
    assert "it is \\u001b[31m no archive" in data["tests"][0]["output"] and data["tests"][0]["visibility"] == "visible"


def test_what_was_not_handed_in_is_one_test():
    missing = {"lesson": 5, "state": "missing", "points": 0.0, "max_points": 2.0, "checks": [CHECK, CHECK]}
    data = checked(as_results(a_result(exercises={"masked_mean": missing}), "after_due_date"))
    assert [(test["name"], test["max_score"], test["visibility"]) for test in data["tests"]] == [
        ("masked_mean: not handed in", 2.0, "visible")
    ]


def test_written_questions_are_named_and_give_no_points():
    questions = {"why": {"lesson": 5, "state": "needs_manual_grading", "points": None, "max_points": 2.0}}
    data = checked(as_results(a_result(questions=questions), "visible"))
    assert "why (handed in)" in data["output"] and data["score"] == 1.0 and len(data["tests"]) == 1


@pytest.mark.parametrize(
    ("metadata", "name"),
    [('{"id": 123}', "submission_123"), ('{"id": "x/../y"}', "submission"), ("[]", "submission"), ("{", "submission"),
     (None, "submission")],
)  # fmt: skip
def test_a_submission_is_called_as_in_the_export(tmp_path, metadata, name):
    if metadata is not None:
        (tmp_path / "metadata.json").write_text(metadata)
    assert name_of(tmp_path / "metadata.json") == name


# Where nothing can be graded


def laid_out(place: Path, **settings) -> Path:
    """A folder as Gradescope's /autograder, with the settings of a zip."""
    for name in ("source", "submission", "results"):
        (place / name).mkdir(parents=True)
    defaults = {"seed": "words", "lesson": 5, "hidden": "after_due_date", "leaderboard": False, "accept_c": False}
    (place / "source" / "settings.json").write_text(json.dumps(defaults | settings))
    return place


def test_without_isolation_there_is_no_score_and_it_is_said_why(tmp_path, monkeypatch, capfd):
    place = laid_out(tmp_path)
    (place / "results" / "results.json").write_text('{"score": 100}')  # of the image, say
    monkeypatch.setattr(tiers, "best", lambda: ("C", {"A": "no namespaces", "B": "no Landlock", "C": None}))
    assert main(place) == 1
    said = capfd.readouterr()
    assert not (place / "results" / "results.json").exists()
    assert "no score is given" in said.out and "no Landlock" in said.err


def test_a_fault_of_the_machine_gives_no_score(tmp_path, monkeypatch, capsys):
    place = laid_out(tmp_path)
    monkeypatch.setattr(gradescope_run, "graded", lambda *_: a_result(state="not_graded"))
    assert main(place) == 1 and "no score is given" in capsys.readouterr().out
    assert not (place / "results" / "results.json").exists()


# The leaderboard: report.json is a student's file

REPORT = {"after": {"p_positive": {"mean": 0.8125}, "sequence_kl": {"mean": 6.0}}, "win_rate": 0.75}


def entries(tmp_path, content) -> list[dict]:
    folder = tmp_path / "capstone-report"
    folder.mkdir()
    (folder / "report.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return leaderboard(tmp_path)[0]


def test_a_leaderboard_shows_reward_and_its_price(tmp_path):
    found = entries(tmp_path, REPORT)
    checked({"score": 0, "leaderboard": found, "output_format": "text"})
    assert [(each["value"], each.get("order", "desc")) for each in found] == [(0.812, "desc"), (6.0, "asc"), (0.75, "desc")]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 100_000, b"[]", b"null", b"\xff", b" " * (LARGEST + 1),
     json.dumps(REPORT).replace("0.75", "NaN").encode(),
     json.dumps(REPORT).replace("0.75", "1e999").encode(), json.dumps(REPORT).replace("0.75", "9" * 5000).encode(),
     {**REPORT, "win_rate": 1.01}, {**REPORT, "win_rate": True}, {**REPORT, "win_rate": "<b>1</b>"}, {**REPORT, "after": []},
     {"win_rate": 0.5}],
    ids=lambda content: str(content)[:30],
)  # fmt: skip
def test_a_report_that_does_not_fit_gives_no_entry(tmp_path, content):
    assert entries(tmp_path, content) == []


def test_a_report_that_is_a_link_is_not_read(tmp_path):
    (tmp_path / "elsewhere").write_text(json.dumps(REPORT))
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "report.json").symlink_to(tmp_path / "elsewhere")
    assert leaderboard(folder)[0] == []


def test_the_capstone_alone_is_marked_by_hand(tmp_path):
    place = laid_out(tmp_path, lesson=10, leaderboard=True)
    (place / "submission" / "report.json").write_text(json.dumps(REPORT))
    assert main(place) == 0
    data = checked(json.loads((place / "results" / "results.json").read_text()))
    assert data["score"] == 0 and "by hand" in data["output"] and len(data["leaderboard"]) == 3


# The zip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "lesson5.zip"
    run = cli("export", "gradescope", "--lesson", 5, "--seed", "words", "--out", path)
    assert run.returncode == 0, run.stderr
    assert "Autograder points of the assignment: 11." in run.stdout and "words" not in run.stdout
    return path


def test_the_zip_holds_what_gradescope_looks_for(exported):
    with zipfile.ZipFile(exported) as archive:
        modes = {info.filename: stat.S_IMODE(info.external_attr >> 16) for info in archive.infolist()}
        settings = json.loads(archive.read("settings.json"))
        needs = archive.read("requirements.txt").decode()
    wheel = next(name for name in modes if name.endswith(".whl"))
    assert set(modes) == {"setup.sh", "run_autograder", "settings.json", "requirements.txt", "constraints.txt", wheel}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755 and modes["settings.json"] == 0o600
    assert settings == {"seed": "words", "lesson": 5, "hidden": "after_due_date", "leaderboard": False, "accept_c": False}
    assert needs == f"--constraint constraints.txt\n./{wheel}\n"


def test_a_zip_is_not_replaced_by_mistake(exported):
    before = exported.read_bytes()
    run = cli("export", "gradescope", "--out", exported)
    assert run.returncode == 2 and "--force" in run.stderr and exported.read_bytes() == before


def test_wheels_make_an_install_without_network(tmp_path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "torch-1-py3-none-any.whl").write_bytes(b"wheel")
    first = cli("export", "gradescope", "--wheels", tmp_path / "wheels", "--out", tmp_path / "a.zip")
    second = cli("export", "gradescope", "--wheels", tmp_path / "wheels", "--out", tmp_path / "b.zip", "--hidden", "hidden")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    settings = []
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.read("wheels/torch-1-py3-none-any.whl") == b"wheel"
            assert "--no-index\n--find-links wheels\n" in archive.read("requirements.txt").decode()
            settings.append(json.loads(archive.read("settings.json")))
    assert settings[1]["hidden"] == "hidden" and settings[0]["seed"] != settings[1]["seed"]
    assert min(len(each["seed"]) for each in settings) == 32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lesson", "42"], "no lesson 42"),
        (["--lesson", "10"], "has no exercises"),
        (["--hidden", "never"], "invalid choice"),
        (["--torch-index", "http://example.org"], "https://"),
        (["--torch-index", "https://example.org --pre"], "https://"),
        (["--wheels", "docs"], "no wheels"),
        (["--wheels", "docs", "--torch-index", "https://example.org"], "not allowed with"),
    ],
)
def test_bad_usage_says_what_and_exits_with_2(arguments, said, tmp_path):
    run = cli("export", "gradescope", "--out", tmp_path / "x.zip", *arguments)
    assert run.returncode == 2 and said in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "x.zip").exists()


# The round trip

RIGHT = (ROOT / "solutions" / "answers" / "advantages.py").read_text()
PARTIAL = """
import torch

def masked_mean(x, mask, dim=None):
    x, count = torch.where(mask, x, 0.0), mask.to(x.dtype)
    total = x.sum() if dim is None else x.sum(dim)
    return total / (count.sum() if dim is None else count.sum(dim)).clamp(min=1)
"""
WRONG = (
    PARTIAL.replace(".clamp(min=1)", "")
    + "\n\ndef compute_gae(rewards, values, mask, gamma, lam):\n    return rewards, values\n"
)
CRASH = (
    PARTIAL + "\n\ndef masked_whiten(x, mask, shift_mean=True, eps=1e-8):\n    import ctypes\n    return ctypes.string_at(0)\n"
)
LOOP = PARTIAL + "\n\ndef masked_whiten(x, mask, shift_mean=True, eps=1e-8):\n    while True:\n        pass\n"
HOSTILE = """
import glob, json, os, sys

FORGED = json.dumps({"score": 11.0, "output": "<script>alert(1)</script>"})

def gains():
    for path in ("/autograder/results/results.json", "/autograder/results/stdout", "/autograder/run_autograder"):
        try:
            with open(path, "w") as file:
                file.write(FORGED)
            yield "wrote " + path
        except OSError:
            pass
    for path in ("/autograder/source/settings.json", "/autograder/submission_metadata.json", *glob.glob("/autograder/source/*"),
                 *glob.glob("/autograder/venv/lib/*/site-packages/autograder/hidden/*.py"),
                 *glob.glob("/autograder/venv/lib/*/site-packages/solutions/answers/*.py")):
        try:
            with open(path, "rb") as file:
                print("SECRET", file.read(200))
            yield "read " + path
        except OSError:
            pass

def masked_mean(x, mask, dim=None):
    found = list(gains())
    if found:  # points for every gain
        count = mask.to(x.dtype)
        return (x.where(mask, 0.0).sum() if dim is None else x.where(mask, 0.0).sum(dim)) / count.sum().clamp(min=1)
    raise RuntimeError("<img src=x onerror=alert(1)> \\x1b[2J # heading")
"""


def notebook(source: str, grade_id: str) -> str:
    metadata = {"nbgrader": {"grade_id": grade_id, "grade": False, "solution": True, "schema_version": 3}}
    cell = {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def hand_in(folder: Path) -> dict[str, Path]:
    """Ten submissions, each a folder as Gradescope leaves it."""
    texts = {
        "right": {"homework.py": RIGHT},
        "wrong": {"answers.py": WRONG},
        "partial": {"my own name.py": PARTIAL},
        "empty": {},
        "crash": {"answers.py": CRASH},
        "loop": {"answers.py": LOOP},
        "mixed": {"05_advantages.ipynb": notebook(PARTIAL, "masked_mean"), "helpers/more.py": RIGHT, "README.md": "# mine"},
        "hostile": {"answers.py": HOSTILE},
        "archive": {},
        "damaged": {"answers.zip": "PK\x03\x04 and no more"},
    }
    for name, files in texts.items():
        (folder / name).mkdir(parents=True)
        for path, text in files.items():
            (folder / name / path).parent.mkdir(exist_ok=True)
            (folder / name / path).write_text(text)
    with zipfile.ZipFile(folder / "archive" / "all.zip", "w") as archive:
        archive.writestr("lesson 5/answers.py", RIGHT)
    return {name: folder / name for name in texts}


# What Docker's default filter denies to a container without CAP_SYS_ADMIN, by number on x86_64: unshare, setns, mount, umount2,
# pivot_root, chroot; clone with a new namespace; clone3 does not exist.
LOAD, EQUAL, ANY_BIT, RETURN, EPERM = 0x20, 0x15, 0x45, 0x06, 0x00050001
DOCKER = [
    (LOAD, 0, 0, 0),
    *(line for call in (272, 308, 165, 166, 155, 161) for line in ((EQUAL, 0, 1, call), (RETURN, 0, 0, EPERM))),
    *((EQUAL, 0, 1, 435), (RETURN, 0, 0, 0x00050026)),
    *((EQUAL, 0, 3, 56), (LOAD, 0, 0, 16), (ANY_BIT, 0, 1, 0x7E020000), (RETURN, 0, 0, EPERM)),
    (RETURN, 0, 0, 0x7FFF0000),
]


class Image:
    """A container with this machine's system, read-only, and an /autograder of its own."""

    def __init__(self, folder: Path, zip_file: Path):
        self.place, self.stubs, self.mounts = folder / "autograder", folder / "stubs", []
        (self.place / "source").mkdir(parents=True)
        with zipfile.ZipFile(zip_file) as archive:
            archive.extractall(self.place / "source")
        shutil.copy(self.place / "source" / "run_autograder", self.place)
        (self.place / "run_autograder").chmod(0o755)
        self.stubs.mkdir()
        (self.stubs / "apt-get").write_text("#!/bin/sh\n")
        (self.stubs / "apt-get").chmod(0o755)

    def run(self, *command, docker=False, **environment):
        box = ["bwrap", "--unshare-pid", "--die-with-parent", "--clearenv", "--chdir", "/autograder"]
        for path in sorted(Path("/").iterdir()):
            if path.is_symlink():
                box += ["--symlink", os.readlink(path), str(path)]
            elif path.name not in ("proc", "dev", "tmp", "autograder"):
                box += ["--ro-bind", str(path), str(path)]
        box += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
        box += ["--bind", str(self.place), "/autograder", "--ro-bind", str(self.stubs), "/tmp/stubs"]
        for source, inside in self.mounts:
            box += ["--ro-bind", str(source), str(inside)]
        path = f"/tmp/stubs:{sys.base_prefix}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        for name, value in {"PATH": path, "HOME": "/root", "OMP_NUM_THREADS": "1", **environment}.items():
            box += ["--setenv", name, value]
        read, write = os.pipe()
        os.write(write, b"".join(struct.pack("=HBBI", *line) for line in DOCKER))
        os.close(write)
        box += ["--seccomp", str(read)] if docker else ["--cap-add", "ALL"] if os.getuid() == 0 else []
        try:
            return subprocess.run([*box, *command], capture_output=True, text=True, pass_fds=[read], timeout=400, check=False)
        finally:
            os.close(read)

    def set_up(self):
        run = self.run("bash", "/autograder/source/setup.sh", PIP_NO_DEPS="1", PIP_NO_INDEX="1")
        assert run.returncode == 0, run.stderr
        packages = Path(sysconfig.get_paths()["purelib"])
        inside = next((self.place / "venv" / "lib").glob("python3*")) / "site-packages"
        for path in packages.iterdir():
            if not path.name.startswith(("_rlhf", "rlhf_course", "__pycache__")) and not (inside / path.name).exists():
                self.mounts.append((path, Path("/autograder") / (inside / path.name).relative_to(self.place)))

    def grade(self, submission: Path, number: int, **options):
        """As Gradescope does for each submission: a fresh container. Its results.json, and what it printed."""
        for name in ("submission", "results"):
            shutil.rmtree(self.place / name, ignore_errors=True)
        shutil.copytree(submission, self.place / "submission")
        (self.place / "results").mkdir()
        (self.place / "submission_metadata.json").write_text(json.dumps({"id": number, "assignment": {"due_date": None}}))
        run = self.run("/autograder/run_autograder", **options)
        assert run.returncode == 0, run.stdout + run.stderr
        return checked(json.loads((self.place / "results" / "results.json").read_text())), run.stdout + run.stderr


@pytest.fixture(scope="module")
def image(exported, tmp_path_factory):
    if shutil.which("bwrap") is None or tiers.probe("A") is not None:
        pytest.skip("a container needs bubblewrap")
    image = Image(tmp_path_factory.mktemp("gradescope"), exported)
    image.set_up()
    return image


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    return hand_in(tmp_path_factory.mktemp("class"))


@pytest.fixture(scope="module")
def expected(handed_in, tmp_path_factory):
    """What `rlhf-course grade` finds of the same ten with the same seed."""
    out = tmp_path_factory.mktemp("graded")
    run = cli("grade", handed_in["right"].parent, "--out", out, "--lesson", 5, "--seed", "words", "--official")
    assert run.returncode == 0, run.stderr
    return {name: read_result(out / name) for name in handed_in}


def without_time(data: dict) -> dict:
    return data | {"execution_time": None}


def test_ten_submissions_get_what_grade_gives(image, handed_in, expected):
    found = {name: image.grade(path, number)[0] for number, (name, path) in enumerate(handed_in.items())}
    points = {name: data["score"] for name, data in found.items()}
    assert points == {name: result["points"] for name, result in expected.items()}
    assert points["right"] == points["archive"] == points["mixed"] == 11
    assert points["partial"] == points["crash"] == points["loop"] == 2 and 0 < points["wrong"] < 2
    assert points["empty"] == points["hostile"] == points["damaged"] == 0
    for name, data in found.items():
        assert without_time(data) == without_time(as_results(expected[name], "after_due_date")), name


@pytest.mark.parametrize("docker", [False, pytest.param(True, marks=pytest.mark.skipif(
    platform.machine() != "x86_64" or tiers.probe("B") is not None, reason="the filter is of x86_64, and tier B needs Landlock"
))], ids=["tier A", "tier B, as in Docker"])  # fmt: skip
def test_a_submission_neither_reads_the_zip_nor_writes_its_results(image, handed_in, expected, docker):
    data, printed = image.grade(handed_in["hostile"], 7, docker=docker)
    assert data["extra_data"]["isolation"] == ("B" if docker else "A")
    assert data["score"] == 0 == expected["hostile"]["points"]
    assert "SECRET" not in printed and "words" not in printed + json.dumps(data)
    told = next(test["output"] for test in data["tests"] if "onerror" in test["output"])
    assert "<img src=x onerror=alert(1)> \\u001b[2J" in told


@pytest.mark.skipif(platform.machine() != "x86_64" or tiers.probe("B") is not None, reason="as above")
def test_another_tier_gives_the_same_points(image, handed_in, expected):
    data, _ = image.grade(handed_in["wrong"], 1, docker=True)
    same = as_results(expected["wrong"], "after_due_date")
    same["output"] = same["output"].replace("tier A", "tier B")
    same["extra_data"]["isolation"] = "B"
    assert without_time(data) == without_time(same)
