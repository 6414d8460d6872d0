"""The corpus of attacks, graded at each tier that this machine gives: what each earns, and that nothing else was touched.

Every attack goes for canaries: files, folders, sockets, a process, the environment.  One that gets through says so by a mark,
which must be found nowhere.  The last test runs some at tier C, where they do get through: an alarm has to be able to ring.
"""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from autograder.driver.loading import read_submission
from autograder.engine import run_submission
from autograder.grading.intake import submissions
from autograder.grading.tiers import probe
from rlhf_core.course import exercise_names

from .attacks import HONEST, corpus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="submissions are graded on Linux")

PROJECT = Path(__file__).parent.parent
CORPUS = corpus()
SECONDS = 4  # for an import and for a call: shorter than for a class, as a dozen attacks wait until they are stopped
GRADE = f"""
from rlhf_core.course import course
course()["grading"] |= dict(import_seconds={SECONDS}, call_seconds={SECONDS}, submission_seconds=60)
from rlhf_core.cli import main
raise SystemExit(main())
"""
LARGEST_RESULT = 2**18  # bytes
LARGEST_GRADER = 2**30  # bytes of memory of a process outside the sandbox

STUDENTS = {
    "honest-ada.py": HONEST
    + """
from rlhf_core.advantages import compute_gae

@compute_gae.implement
@torch.no_grad()
def compute_gae(rewards, values, mask, gamma, lam):
    rewards, values = torch.where(mask, rewards, 0), torch.where(mask, values, 0)
    advantages, running = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else 0.0
        running = mask[:, t] * (rewards[:, t] + gamma * following - values[:, t] + gamma * lam * running)
        advantages[:, t] = running
    return advantages, advantages + values
""",
    "honest-bo.py": HONEST
    + """
from rlhf_core.kl import kl_estimate

def kl_estimate(logprobs, ref_logprobs, estimator):
    log_ratio = logprobs - ref_logprobs
    return {"k1": log_ratio, "k2": log_ratio**2 / 2, "k3": (-log_ratio).expm1() - log_ratio}[estimator]
""",
    "zoe-honest.py": HONEST,
}


# The canaries


class Canaries:
    """What lies around for an attack to go for, and whether it was touched."""

    def __init__(self, base: Path):
        self.base, self.out, self.students = base, base / "results", base / "submissions"
        self.drop, self.tmp = base / "drop", base / "tmp"
        for folder in (self.students, self.drop, self.tmp, base / "home"):
            folder.mkdir()
        self.drop.chmod(0o777)
        self.tmp.chmod(0o1777)
        self.words = {name: f"{name}-{secrets.token_hex(16)}" for name in ("secret", "readable", "environment", "seed")}
        self.files = {
            "secret": (base / "secret.txt", 0o600),
            "readable": (base / "readable.txt", 0o644),
            "victim": (base / "v", 0o666),
        }
        for name, (path, mode) in self.files.items():
            path.write_text(self.words.get(name, name))
            path.chmod(mode)
        self.process = subprocess.Popen(["sleep", "100000"], start_new_session=True)
        self.mark = f"ESCAPED{secrets.token_hex(6)}"
        self.abstract = f"rlhf-canary-{secrets.token_hex(8)}"
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self.sockets = {
            "tcp": listening(socket.AF_INET, stream, ("127.0.0.1", 0)),
            "udp": listening(socket.AF_INET, datagram, ("127.0.0.1", 0)),
            "unix": listening(socket.AF_UNIX, stream, str(base / "stream")),
            "unix_datagram": listening(socket.AF_UNIX, datagram, str(base / "datagram")),
            "abstract": listening(socket.AF_UNIX, stream, f"\0{self.abstract}"),
            "abstract_datagram": listening(socket.AF_UNIX, datagram, f"\0{self.abstract}-datagram"),
        }
        for name in ("stream", "datagram"):
            (base / name).chmod(0o777)
        self.told = SimpleNamespace(
            kram=self.mark[::-1], **{name: str(path) for name, (path, _) in self.files.items()},
            neighbour=str(self.students / "honest-ada.py"), results=str(self.out), seed=str(self.out / ".journal" / "seed"),
            home=str(base / "home"), project=str(PROJECT), tcp=self.sockets["tcp"].getsockname()[1],
            udp=self.sockets["udp"].getsockname()[1], unix=str(base / "stream"), unix_datagram=str(base / "datagram"),
            abstract=self.abstract, pid=self.process.pid, harness=os.getpid(), harness_uid=os.getuid(), drop=str(self.drop),
        )  # fmt: skip
        self.before = {"course": course_files(), "victim": facts(self.files["victim"][0])}

    def environment(self) -> dict[str, str]:
        """Of the grader."""
        own = {"HOME": str(self.base / "home"), "TMPDIR": str(self.tmp), "RLHF_CANARY": self.words["environment"]}
        return os.environ | own | {"OMP_NUM_THREADS": "1", "XDG_CONFIG_HOME": str(self.base / "home")}

    def touched(self) -> list[str]:
        """What was reached or changed outside the sandbox, in words; empty where all is well."""
        found = [f"{name} was reached: {said}" for name, listener in self.sockets.items() for said in heard(listener)]
        left = [path for folder in (self.drop, self.tmp) for path in folder.iterdir()]
        found += [f"{path} was left" for path in left if not path.name.startswith("torchinductor_")]  # torch's own
        if facts(self.files["victim"][0]) != self.before["victim"]:
            found.append("a file outside was changed")
        if self.process.poll() is not None or state_of(self.process.pid) != "S":
            found.append("a process outside was signalled")
        if course_files() != self.before["course"]:
            found.append("the course was changed")
        base = str(self.base).encode()
        ours = [pid for pid in processes() if base in command_line(pid) + about(pid, "environ")]
        found += [f"process {pid} was left" for pid in ours]
        return found

    def close(self):
        self.process.kill()
        self.process.wait()
        for listener in self.sockets.values():
            listener.close()


def listening(family, kind, address) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.bind(address)
    listener.setblocking(False)
    if kind == socket.SOCK_STREAM:
        listener.listen(100)
    return listener


def heard(listener) -> list:
    """Who has connected to a socket, or what has been sent to it."""
    with contextlib.suppress(BlockingIOError):
        return [listener.accept()[1] if listener.type == socket.SOCK_STREAM else listener.recv(1000)]
    return []


def facts(path: Path) -> tuple:
    found = path.stat()
    return path.read_bytes(), found.st_mode, found.st_uid, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink


def course_files() -> dict:
    """Sizes and times of the files that grading runs."""
    files = [path for name in ("autograder", "rlhf_core") for path in (PROJECT / name).rglob("*.py")]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command_line(pid) -> bytes:
    return about(pid, "cmdline")


def about(pid, what) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{what}").read_bytes()
    return b""


def state_of(pid) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def memory_of(pid) -> int:
    """Bytes."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


# A run


@dataclass
class Outcome:
    """What a run has left behind. results: by the name of the submitted file."""

    code: int
    said: str
    results: dict[str, dict]
    folders: dict[str, Path]
    touched: list[str]
    canaries: Canaries
    seconds: float
    memory: int = 0  # bytes, the most of a process outside the sandbox
    expected: dict[str, dict] = field(default_factory=dict)  # of the honest students


def graded(tier, attacks, base: Path) -> Outcome:
    """Grade attacks and the honest students together."""
    canaries = Canaries(base)
    try:
        for name, text in STUDENTS.items():
            (canaries.students / name).write_text(text, encoding="utf-8")
        expected = {name: in_process(canaries.students / name) for name in STUDENTS}
        for attack in attacks:
            attack.lay_out(canaries.students / attack.file, canaries.told)
        folders = {entry.path.name: canaries.out / entry.folder for entry in submissions([canaries.students])}
        command = [sys.executable, "-c", GRADE, "grade", str(canaries.students), "--out", str(canaries.out)]
        command += ["--isolation", tier, "--jobs", "2", "--seed", canaries.words["seed"]]
        started = time.monotonic()
        said = base / "said.txt"
        with said.open("wb") as file:
            grader = subprocess.Popen(command, env=canaries.environment(), stdout=file, stderr=file, cwd=base)
            memory = watched(grader)
        seconds = time.monotonic() - started
        time.sleep(0.5)  # for what was killed to go
        results = {name: read(folder / "result.json") for name, folder in folders.items()}
        text = said.read_text(errors="replace")
        return Outcome(grader.returncode, text, results, folders, canaries.touched(), canaries, seconds, memory, expected)
    finally:
        canaries.close()


def watched(grader) -> int:
    """Wait for the grader; the most memory that it or one of its jobs has taken, in bytes."""
    most = 0
    try:
        while grader.poll() is None:
            for pid in processes():
                outside = pid == grader.pid or b"autograder.grading.job" in command_line(pid)
                most = max(most, memory_of(pid) if outside else 0)
            time.sleep(0.3)
    finally:
        grader.send_signal(signal.SIGKILL)
    return most


def in_process(path) -> dict[str, float]:
    results = run_submission(read_submission(path), exercise_names(), hidden=True)
    return {result.exercise: round(result.points, 4) for result in results if result.points}


def read(path) -> dict | None:
    """A result, by the letter of JSON: NaN and Infinity are none."""
    return json.loads(path.read_bytes(), parse_constant=int) if path.exists() else None


def earned(result) -> dict[str, float]:
    return {name: round(exercise["points"], 4) for name, exercise in result["exercises"].items() if exercise["points"]}


def states(result) -> set[str]:
    """Of the submission, its exercises and their checks."""
    exercises = result["exercises"].values()
    checks = {check["status"] for exercise in exercises for check in exercise["checks"]}
    return {result["state"]} | {exercise["state"] for exercise in exercises} | checks


def spread(outcome, word: str, names=None) -> list[str]:
    """The files of the results (all, or those of some submissions) in which a word stands."""
    folders = [outcome.canaries.out] if names is None else [outcome.folders[name] for name in names]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != "seed"]
    names = [folder.name for folder in folders]
    files += [path for name in names for path in (outcome.canaries.out / ".journal" / "output").glob(f"{name}.txt")]
    return [str(path.relative_to(outcome.canaries.out)) for path in files if word.encode() in path.read_bytes()]


@pytest.fixture(scope="session")
def outcomes():
    """The outcome of each tier, run when it is first asked for."""
    found, bases = {}, []

    def outcome(tier) -> Outcome:
        if tier not in found:
            why_not = probe(tier)
            if why_not is not None:
                pytest.skip(f"tier {tier}: {why_not}")
            base = Path(tempfile.mkdtemp(prefix="rlhf-attacks-"))
            base.chmod(0o755)
            bases.append(base)
            found[tier] = graded(tier, CORPUS, base)
        return found[tier]

    yield outcome
    for base in bases:
        subprocess.run(["rm", "-rf", str(base)], check=False)  # which goes deeper than Python can


tiers = pytest.mark.parametrize("tier", ["A", "B"])


@tiers
def test_the_run_ends_well_and_every_submission_has_a_result(outcomes, tier):
    outcome = outcomes(tier)
    assert outcome.code in (0, 1), outcome.said[-2000:]
    assert [name for name, result in outcome.results.items() if result is None] == []
    assert "Traceback" not in outcome.said


@tiers
def test_nothing_outside_the_sandbox_is_touched(outcomes, tier):
    assert outcomes(tier).touched == []


@tiers
def test_no_secret_gets_into_the_results(outcomes, tier):
    outcome = outcomes(tier)
    assert {name: found for name, word in outcome.canaries.words.items() if (found := spread(outcome, word))} == {}
    assert not any(word in outcome.said for word in outcome.canaries.words.values())


@tiers
def test_the_grader_stays_small(outcomes, tier):
    assert outcomes(tier).memory < LARGEST_GRADER


@tiers
@pytest.mark.parametrize("student", STUDENTS)
def test_honest_students_beside_them_get_what_they_earn(outcomes, tier, student):
    outcome = outcomes(tier)
    assert earned(outcome.results[student]) == outcome.expected[student]
    assert outcome.results[student]["isolation"] == tier


# An answer may call other exercises, whose reference answers are then in its process: code that means to can read these, though
# never the one to the exercise that is graded.  It earns no points, and the instructor's guide says so.
READ_BY_DESIGN = ("reading-answers_of_others.py", "reading-answers_of_others_in_code.py")


@tiers
@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: ascii(attack.file))
def test_an_attack_earns_what_its_honest_part_does(outcomes, tier, attack):
    outcome = outcomes(tier)
    result = outcome.results[attack.file]
    points = earned(result)
    if attack.at_most:
        assert all(value <= attack.earns.get(name, 0.0) + 1e-4 for name, value in points.items()), points
    else:
        assert points == {name: round(value, 4) for name, value in attack.earns.items()}
    assert "not_graded" not in states(result), "nobody may shrink the denominator"
    assert result["max_points"] == outcome.results["honest-ada.py"]["max_points"]
    if attack.refused or attack.earns:
        assert result["state"] == ("refused" if attack.refused else "graded"), result["reason"]
    got_through = spread(outcome, outcome.canaries.mark, [attack.file])
    assert bool(got_through) == (attack.file in READ_BY_DESIGN), got_through
    sizes = {path.name: path.stat().st_size for path in outcome.folders[attack.file].glob("*.json")}
    assert max(sizes.values()) < LARGEST_RESULT, sizes


@tiers
def test_no_markup_of_theirs_gets_into_a_page(outcomes, tier):
    outcome = outcomes(tier)
    command = [sys.executable, "-m", "rlhf_core.cli", "report", str(outcome.canaries.out)]
    done = subprocess.run(command, env=outcome.canaries.environment(), capture_output=True, text=True)
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr[-2000:]
    pages = {path: path.read_text(encoding="utf-8") for path in outcome.canaries.out.rglob("*.html")}
    assert len(pages) > len(CORPUS)
    for path, page in pages.items():
        assert not re.search(r"<script|<img src=x|\x1b|\x9b|\u202e|\u2066", page), path
        assert len(page) < 2**20 or path.parent == outcome.canaries.out, path
    for path in outcome.canaries.out.glob("*.csv"):
        assert not re.search(r"(^|,)\"?[=+\-@\t\r]", path.read_text(encoding="utf-8"), re.MULTILINE), path


# Attacks that are harmless where nothing holds them back.
ALARMS = (
    "reading-open_file.py", "reading-neighbour.py", "reading-hidden_checks.py", "reading-command_lines.py",
    "network-tcp.py", "network-unix_path.py", "network-unix_abstract.py", "files-writes_outside.py",
    "processes-signals_everybody.py", "cheating-state_in_locks.py",
)  # fmt: skip


def test_without_a_sandbox_the_alarms_ring(tmp_path):
    attacks = [attack for attack in CORPUS if attack.file in ALARMS]
    outcome = graded("C", attacks, tmp_path)
    silent = {attack.file for attack in attacks if not spread(outcome, outcome.canaries.mark, [attack.file])}
    assert silent == set()
    assert any("tcp was reached" in said for said in outcome.touched)
    assert "a file outside was changed" in outcome.touched
