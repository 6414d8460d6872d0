"""Where submissions run: a zygote locked in as well as this machine allows, and its workers, one for each group of checks."""

import contextlib
import json
import os
import select
import shutil
import signal
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import psutil

import rlhf_core
from autograder import driver
from autograder.driver.call import Listed
from autograder.driver.frames import HEAD, BrokenFrame, lengths, pack, unpack
from autograder.driver.zygote import remove
from rlhf_core.errors import CourseError

from .cgroup import ControlGroup
from .usage import Usage

TIERS = {
    "A": "bubblewrap: namespaces, no network, a read-only root, seccomp",
    "B": "Landlock with seccomp and resource limits",
    "C": "a process with resource limits and a time limit, for self-checks only",
}
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/alternatives",
)
INSIDE, COURSE = "/sandbox", "/course"  # at tier A: the folder that a worker can write to, and the one of rlhf_core
REPLY = 4 * 2**20  # bytes; those of the reference answers take a quarter of one MiB
START_SECONDS, CLOSE_SECONDS = 120.0, 5.0
START = """
import sys
sys.path[:] = [{stage!r}] + [path for path in sys.path if path] + {more!r}
from autograder.driver.zygote import main
main()
"""
CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL", "CAP_CHOWN")


class SandboxFault(CourseError):
    """The sandbox could not be set up, or broke down: nobody's submission is to blame."""


class WorkerLost(BaseException):
    """A worker came to an end, or was ended, through what its code did. Not an Exception: it is no business of a check.

    kind: time_out, ended_the_process, broken_frame, memory or disk; the message is the rest of a sentence about the exercise.
    """

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind, self.message = kind, message


def stage(folder: Path, models: bool = True) -> Path:
    """A copy of what a worker may import of the course: rlhf_core and the driver, without checks and answers.

    models: with the embedded models and data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    core, beside = Path(rlhf_core.__file__).parent, Path(driver.__file__).parent
    left_out = None if models else shutil.ignore_patterns("embedded")
    shutil.copytree(core, folder / "rlhf_core", ignore=left_out, dirs_exist_ok=True)
    syllabus = core / "course.toml" if (core / "course.toml").exists() else core.parent / "course.toml"
    shutil.copy2(syllabus, folder / "rlhf_core" / "course.toml")
    shutil.copytree(beside / "beside", folder / "autograder", dirs_exist_ok=True)
    shutil.copytree(beside, folder / "autograder" / "driver", dirs_exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


class Sandbox:
    """A running zygote.

    number: of the job among those that run at once; as root, its workers get a user of their own by it.
    trial: its workers run nobody's code, they say what they could do.
    Raises SandboxFault where it does not start.
    """

    def __init__(self, tier, limits, stage: Path, number: int = 0, trial: bool = False):
        self.tier, self.limits, self.stage, self.number, self.trial = tier, limits, stage, number, trial
        self.uid = user_for(number)
        self.folder = tempfile.mkdtemp(prefix="rlhf-grade-") if tier != "A" else None
        if self.folder:
            os.chmod(self.folder, 0o755)
        self.count, self.group = 0, None
        self.start()

    def start(self):
        self.control, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  for as long as the zygote lives
        command, environment = self.command(theirs.fileno()), self.environment()
        if self.tier == "A":  # not `environment`: bubblewrap's own could be read from within
            sets = [part for name, value in environment.items() for part in ("--setenv", name, value)]
            command, environment = [*bubblewrap(self.stage, sets), *command], {}
        self.process = subprocess.Popen(
            command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=self.errors,
            stderr=self.errors, cwd="/", start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self.control.settimeout(START_SECONDS)
        self.replies = self.control.makefile("r", encoding="utf-8")
        self.read_reply()
        self.group = ControlGroup(f"rlhf-grade-{self.process.pid}", self.limits.memory_mib * 2**20, self.limits.processes)
        self.group.add([self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))])

    def environment(self) -> dict:
        home = self.folder or INSIDE
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages: a fork of the zygote copies fewer tables
            "MALLOC_ARENA_MAX": "2",  # else many threads map much of the memory that they may have, and use none of it
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1",
        }  # fmt: skip

    def command(self, control) -> list[str]:
        mib = 2**20
        limits = {
            "memory": self.limits.memory_mib * mib, "processes": self.limits.processes, "disk": self.limits.disk_mib * mib,
        }  # fmt: skip
        confinement = {
            "tier": self.tier, "uid": self.uid, "readable": readable(self.stage), "folder": self.folder or INSIDE,
            "keep_reading": self.tier == "B" and self.uid is not None and not open_to_all(self.stage),
        }  # fmt: skip
        settings = {"control": control, "limits": limits, "confinement": confinement, "trial": self.trial}
        start = START.format(stage=COURSE if self.tier == "A" else str(self.stage), more=user_packages())
        return [sys.executable, "-s", "-c", start, json.dumps(settings)]

    def read_reply(self) -> dict:
        try:
            line = self.replies.readline()
        except OSError as error:
            line, said = "", f"{type(error).__name__}: {error}"
        else:
            said = self.last_words()
        if not line:
            self.close()
            raise SandboxFault(f"the sandbox of tier {self.tier} broke down: {said}")
        return json.loads(line)

    def last_words(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-2000:].decode("utf-8", "replace").strip() or "it ended without a word"

    def worker(self) -> "Worker":
        """A fresh worker. Raises SandboxFault where there can be none."""
        self.count += 1
        ours, theirs = socket.socketpair()
        output, their_output = os.pipe()
        try:
            message = json.dumps({"fork": self.count}).encode()
            socket.send_fds(self.control, [message], [theirs.fileno(), their_output])
        except OSError as error:
            raise SandboxFault(f"the sandbox of tier {self.tier} broke down: {error}; {self.last_words()}") from error
        finally:
            theirs.close()
            os.close(their_output)
        self.read_reply()
        return Worker(self, self.count, ours, output)

    def end(self, number) -> int:
        """Kill a worker, and all that it started; its exit code."""
        try:
            self.control.sendall(json.dumps({"end": number}).encode())
        except OSError as error:
            raise SandboxFault(f"the sandbox of tier {self.tier} broke down: {error}; {self.last_words()}") from error
        return self.read_reply()["code"]

    def close(self):
        self.control.close()  # it then ends its workers, and goes
        self.replies.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)
        self.process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.group is not None:
            self.group.remove()
        if self.folder:
            remove(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Worker:
    """A fork of the zygote: it is asked, and answers, until it is ended."""

    def __init__(self, sandbox, number, connection, output):
        self.sandbox, self.number, self.connection, self.output = sandbox, number, connection, output
        self.printed = bytearray()
        self.usage = Usage(sandbox)
        connection.setblocking(False)
        os.set_blocking(output, False)

    def ask(self, question: dict, seconds: float, largest: int = REPLY):
        """The reply, as plain data of at most `largest` bytes. The whole of it has to be here after `seconds`.

        Raises WorkerLost where there is none, and ends the worker.
        """
        try:
            return self.exchange(pack(question), seconds, largest)
        except BrokenFrame as error:
            self.end()
            raise WorkerLost("broken_frame", f"ended without a result that can be read: {error}.") from None
        except OSError as error:  # it went while it was asked
            raise self.lost(error) from None

    def exchange(self, question: bytes, seconds, largest):
        deadline = time.monotonic() + seconds
        rest, got, wanted, head = memoryview(question), bytearray(), HEAD.size, None
        poll = select.poll()
        poll.register(self.output, select.POLLIN)
        poll.register(self.connection, select.POLLIN | select.POLLOUT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self.end()
                raise WorkerLost("time_out", "did not return, and could not be interrupted.")
            for descriptor, event in poll.poll(1000 * min(left, 0.2)):
                if descriptor == self.output:
                    if not self.drain():
                        poll.unregister(self.output)
                    continue
                if rest and event & select.POLLOUT:
                    rest = rest[self.connection.send(rest) :]
                    if not rest:
                        poll.modify(self.connection, select.POLLIN)
                if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    piece = self.connection.recv(2**16)
                    if not piece:
                        raise self.lost(None)
                    got += piece
                    if head is None and len(got) >= HEAD.size:
                        head = lengths(got[: HEAD.size], largest)
                        wanted = HEAD.size + sum(head)
            if len(got) > wanted:
                raise BrokenFrame("more came than it announced")
            if head is not None and len(got) == wanted:
                if rest:
                    raise BrokenFrame("it came before the question was read")
                first, second = HEAD.size, HEAD.size + head[0]
                return unpack(bytes(got[first:second]), bytes(got[second:]), Listed)
            if over := self.usage.exceeded():
                self.end()
                raise WorkerLost(*over)

    def line(self, seconds: float) -> bytes:
        """What a worker on trial says. Raises WorkerLost where it says nothing."""
        self.connection.settimeout(seconds)
        try:
            said = self.connection.makefile("rb").readline()
        except OSError as error:
            said, reason = b"", str(error)
        else:
            reason = "it ended"
        if not said:
            self.end()
            raise WorkerLost("trial", f"said nothing ({reason}): {self.printed.decode('utf-8', 'replace').strip()[-500:]}.")
        return said

    def drain(self) -> bool:
        """Take what it has written, and keep the first of it. False where there will be no more."""
        try:
            piece = os.read(self.output, 2**16)
        except BlockingIOError:
            return True
        room = self.sandbox.limits.output_mib * 2**20 - len(self.printed)
        self.printed += piece[: max(room, 0)]
        return bool(piece)

    def lost(self, error) -> WorkerLost:
        code = self.end()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkerLost("ended_the_process", f"ended the Python process that ran it ({how}).")

    def end(self) -> int | None:
        """Kill it; its exit code, None where it had been ended."""
        if self.connection.fileno() < 0:
            return None
        self.connection.close()
        code = self.sandbox.end(self.number)
        for _ in range(64):  # what lies in the pipe; nobody is left to fill it
            with contextlib.suppress(OSError):
                if not self.drain():
                    break
        os.close(self.output)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


# What the sandbox can see


def bubblewrap(stage, sets) -> list[str]:
    """bubblewrap's command line, up to the command that runs inside."""
    command = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    if os.getuid() != 0:
        # As 0 the zygote stays in the user namespace that owns the others, and can give each worker its own.
        command += ["--unshare-user", "--uid", "0", "--gid", "0"]
    for capability in CAPABILITIES:
        command += ["--cap-add", capability]
    for path in SYSTEM:
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    for path in interpreter():
        for parent in reversed(Path(path).parents[:-1]):  # bubblewrap would make them for itself alone
            command += ["--perms", "0755", "--dir", str(parent)]
        command += ["--ro-bind", path, path]
    for path in private():
        if any(Path(bound) in path.parents for bound in (*SYSTEM, *interpreter())):
            command += ["--tmpfs", str(path), "--remount-ro", str(path)]
    command += ["--ro-bind", str(stage), COURSE, "--proc", "/proc", "--dev", "/dev", "--tmpfs", INSIDE]
    if not any(path.startswith("/tmp/") for path in interpreter()):
        command += ["--symlink", INSIDE, "/tmp"]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--clearenv", *sets]


def interpreter() -> list[str]:
    """The folders of Python and of its packages. No more of sys.path: it may hold the folder that somebody stands in."""
    paths = [sys.base_prefix, sys.prefix, *sysconfig.get_paths().values(), *user_packages()]
    paths = [os.path.abspath(path) for path in paths] + [os.path.realpath(path) for path in paths]
    paths = [path for path in dict.fromkeys(paths) if os.path.isdir(path)]
    return [path for path in paths if not any(Path(other) in Path(path).parents for other in paths)]


def user_packages() -> list[str]:
    """Where `pip install --user` has put packages, if that is looked at."""
    return [path for path in sys.path if path and site.ENABLE_USER_SITE and path == site.getusersitepackages()]


def private() -> list[Path]:
    """The folders of the course that hold checks and answers, wherever it is installed."""
    clone = Path(rlhf_core.__file__).resolve().parent.parent
    places = [Path(entry) / name for entry in sys.path if entry for name in ("autograder", "solutions")]
    places += [clone / name for name in ("autograder", "solutions", "tests", "docs", "lessons", ".git")]
    return [path for path in dict.fromkeys(places) if path.is_dir()]


def readable(stage) -> list[str]:
    """All that a worker may read at tier B."""
    devices = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
    hidden = [place.resolve() for place in private()]
    return [part for path in (*SYSTEM, *interpreter()) if os.path.exists(path) for part in without(path, hidden)] + [
        *devices,
        str(stage),
    ]


def without(path: str, hidden: list[Path]) -> list[str]:
    """The folder; where it holds a hidden one, at whatever depth, its other parts. A link counts as what it leads to."""
    place = Path(path).resolve()  # the lib64 of a virtual environment is a link to its lib
    if place in hidden:
        return []
    if not any(place in each.parents for each in hidden):
        return [path]
    return [part for child in sorted(place.iterdir()) for part in without(str(child), hidden)]


def open_to_all(stage) -> bool:
    """Whether any user can reach the interpreter and the stage."""
    places = [sys.executable, *interpreter(), str(stage)]
    return all(os.stat(parent).st_mode & 0o001 for path in places for parent in Path(path).parents)


def user_for(number) -> int | None:
    """A user id that is nobody else's, for the workers of one job; None where we are not root."""
    if os.name != "posix" or os.getuid() != 0:
        return None
    highest = 2**31
    with contextlib.suppress(OSError):  # in a container there may be fewer
        ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
        highest = max(int(first) + int(count) for first, _, count in ranges)
    base = 2**30 if highest >= 2**31 else max(highest - 2**14, 1000)
    return base + (os.getpid() % 2**10) * 16 + number % 16
