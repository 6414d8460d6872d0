"""The workshop's kit: made with a network, used without one."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from solutions.build import BEGIN, END, answer_of

ROOT = Path(__file__).parent.parent
NO_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up 2> /dev/null; exec "$@"', "sh"]
isolated = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode != 0,
    reason="no network namespace can be made here",
)


def publish(*words):
    return subprocess.run(
        [sys.executable, "-m", "rlhf_core.cli", "publish", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workshop") / "kit"
    done = publish("--workshop", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def offline(folder: Path, *words, home: Path):
    """Run in a network namespace of its own, without this machine's settings of pip, from another folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VIRTUAL_ENV", "RLHF_COURSE"))}
    clean |= {"HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*NO_NETWORK, *map(str, words)], cwd=folder, env=clean, capture_output=True, text=True)


@isolated
def test_a_laptop_without_a_network(kit, tmp_path):
    home, mine = tmp_path / "home", tmp_path / "mine.py"
    home.mkdir()
    assert "network" in offline(tmp_path, "python3", "-c", CONNECT, home=home).stdout, "there is a network after all"

    first = offline(tmp_path, "sh", kit / "start.sh", "--no-browser", home=home)
    assert first.returncode == 0 and "Ready." in first.stdout, first.stdout + first.stderr
    course = home / "rlhf-course"
    assert (course / "lessons" / "00_tour.ipynb").exists() and not (course / "solutions").exists()

    answer = "\n".join(line for line in answer_of("pairwise_accuracy").splitlines() if line not in (BEGIN, END))
    mine.write_text(f"from rlhf_core.preferences import pairwise_accuracy\n\n\n{answer}\n")
    command = course / ".venv" / "bin" / "rlhf-course"
    checked = offline(tmp_path, command, "check", mine, "--exercise", "pairwise_accuracy", "--json", home=home)
    assert checked.returncode == 0, checked.stderr
    result = json.loads(checked.stdout)
    assert result["points"] == result["max_points"] > 0
    lab = offline(course, course / ".venv" / "bin" / "python", "-m", "jupyter", "lab", "--version", home=home)
    assert lab.returncode == 0, lab.stderr

    # The next day: what was written stays, and nothing is installed again.
    (course / "lessons" / "00_tour.ipynb").write_text("mine")
    second = offline(tmp_path, "sh", kit / "start.sh", "--no-browser", home=home)
    assert second.returncode == 0 and "stays as it is" in second.stdout and "Installing" not in second.stdout
    assert (course / "lessons" / "00_tour.ipynb").read_text() == "mine"


CONNECT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError as error:
    print("no network:", error)
"""


def test_a_folder_that_is_something_else_is_left_alone(kit, tmp_path):
    (tmp_path / "home").mkdir()
    taken = tmp_path / "home" / "rlhf-course"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    environment = os.environ | {"HOME": str(tmp_path / "home")}
    done = subprocess.run(["sh", kit / "start.sh", "--no-browser"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "--to" in done.stderr
    assert [path.name for path in taken.iterdir()] == ["thesis.txt"]
    assert (taken / "thesis.txt").read_text() == "mine"


def test_half_an_installation_by_another_python_is_made_anew(tmp_path, monkeypatch):
    start = SimpleNamespace(**runpy.run_path(str(ROOT / "solutions" / "publish" / "kit" / "start.py")))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/false")
    real, ran = subprocess.run, []

    def run(command, **options):
        ran.append(command)
        if "venv" in command:
            real([*command, "--without-pip"], **options)

    monkeypatch.setattr(subprocess, "run", run)
    assert start.install(tmp_path) == python and len(ran) == 3
    assert real([python, "-c", ""]).returncode == 0
    assert start.install(tmp_path) == python and len(ran) == 3, "and once only"


def test_another_python_is_told_which_ones_will_do(kit, tmp_path):
    other = tmp_path / "kit"
    other.mkdir()
    for name in ("start.py", "start.sh"):
        shutil.copy(kit / name, other)
    (other / "kit.json").write_text(json.dumps({"targets": [["windows", "3.12"], ["macos", "3.13"]]}))
    done = subprocess.run(["sh", other / "start.sh"], capture_output=True, text=True)
    assert done.returncode == 2 and "windows with Python 3.12, macos with Python 3.13" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workshop", "kit", "--for", "amiga-3.12"], "windows-3.12"),
        (["--workshop", "kit", "--for", "windows-2.7"], "3.13"),
        (["--for", "windows-3.12"], "--workshop"),
    ],
)
def test_usage(words, said, tmp_path):
    done = publish(*[str(tmp_path / word) if word == "kit" else word for word in words])
    assert done.returncode == 2 and said in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_no_kit_is_not_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("cat")
    done = publish("--workshop", tmp_path / "photos")
    assert done.returncode == 1 and "no kit" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
