"""The zygote: it has imported what submissions need, and forks a fresh worker for each group of checks.

The grader tells it on a socket, one JSON object a message; it never runs code of a submission itself.

    {"fork": N}   with two file descriptors: the worker's connection, and where its output goes   -> {"started": N}
    {"end": N}    kill the worker and all that it started                                        -> {"ended": N, "code": C}

code: as of a process that has ended by itself, negative for a signal.
"""

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import psutil

from . import confine, trial

NEWPID, NEWNS, NEWIPC = 0x20000000, 0x00020000, 0x08000000  # of unshare(2) and setns(2)
PRIVATE, REC, BIND, NODEV, NOSUID, RDONLY = 1 << 18, 1 << 14, 1 << 12, 4, 2, 1  # of mount(2)
DEATH_SIGNAL, SUBREAPER = 1, 36  # of prctl(2)


@dataclass
class Limits:
    """What a worker may use; see [grading] in course.toml."""

    memory: int  # bytes
    processes: int
    disk: int  # bytes


@dataclass
class Confinement:
    """How a worker is locked in: the tier, whom it runs as (None: as whoever runs this), what it may read and write."""

    tier: str
    uid: int | None
    readable: list[str]
    folder: str  # where workers get their own folder
    keep_reading: bool = False


def main():
    settings = json.loads(sys.argv[1])
    control = socket.socket(fileno=settings["control"])
    limits, confinement = Limits(**settings["limits"]), Confinement(**settings["confinement"])
    serve = trial.serve if settings["trial"] else warm_up()
    if confinement.tier != "A" and sys.platform == "linux":  # orphans of a worker come to us, to be reaped
        confine.prctl(SUBREAPER, 1)
    gc.collect()
    gc.freeze()  # so that a collection in a worker does not copy every page
    control.sendall(b'{"ready": true}\n')
    workers: dict[int, Child] = {}
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 4096, 2)
        if not message:
            break
        request = json.loads(message)
        if "fork" in request:
            number = request["fork"]
            workers[number] = Child.fork(serve, control, descriptors, limits, confinement)
            answer = {"started": number}
        else:
            number = request["end"]
            answer = {"ended": number, "code": workers.pop(number).end()}
        control.sendall(json.dumps(answer).encode() + b"\n")
    for child in workers.values():
        child.end()
    if confinement.tier != "A":  # whoever started us may be gone
        remove(confinement.folder)


def warm_up():
    """Do once what takes long when it is done for the first time; what a worker then runs."""
    import torch

    from rlhf_core import data, decode, models  # noqa: F401  lessons import them
    from rlhf_core.exercise import exercises

    from .serve import serve

    torch.set_num_threads(1)
    # The processes of a DataLoader would hand over tensors through a socket of a name, and there are none in a sandbox.
    ForkingPickler.register(torch.Tensor, lambda tensor: (torch.from_numpy, (tensor.detach().numpy(),)))
    exercises()
    weight = torch.nn.Parameter(torch.randn(2, 2))
    for optimizer in (torch.optim.Adam([weight]), torch.optim.AdamW([weight]), torch.optim.SGD([weight], momentum=0.9)):
        torch.softmax(weight @ weight, -1).logsumexp(-1).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return serve


class Child:
    """A worker, as its parent sees it."""

    def __init__(self, pid, folder):
        self.pid, self.folder = pid, folder

    @classmethod
    def fork(cls, serve, control, descriptors, limits, confinement):
        folder = confinement.folder if confinement.tier == "A" else tempfile.mkdtemp(dir=confinement.folder)
        if confinement.tier == "A":
            new_pid_namespace()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                control.close()
                connection = own_descriptors(*descriptors)
                confinement_of(limits, confinement, folder)
                serve(connection)
                code = 0
            except BaseException:
                with contextlib.suppress(BaseException):
                    traceback.print_exc()
            os._exit(code)
        if confinement.tier == "A":
            own_pid_namespace()
        else:
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
        for descriptor in descriptors:
            os.close(descriptor)
        return cls(pid, None if confinement.tier == "A" else folder)

    def end(self) -> int:
        """Kill it with all that it started; its exit code."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)  # at tier A the first process of a namespace, which goes with it
        if self.folder:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        if self.folder:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-1, 0)
            remove(self.folder)
        return os.waitstatus_to_exitcode(status)


def remove(folder):
    """By `rm`, which goes to any depth."""
    subprocess.run(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL, check=False)


def own_descriptors(connection, output) -> socket.socket:
    """Leave a worker its connection and its output, and nothing else that is open."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    connection = os.dup2(connection, 100)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, 100)
    os.closerange(101, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return socket.socket(fileno=connection)


def confinement_of(limits, confinement, folder):
    """Lock the calling process in, before it sees anything of a submission."""
    os.environ["TMPDIR"] = os.environ["HOME"] = tempfile.tempdir = folder
    processes = limits.processes
    if confinement.tier != "A" and confinement.uid is None:  # the limit is that of a user, who has other processes
        processes += threads_of_this_user()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, this one goes first
    confine.limit_resources(limits.memory, processes, limits.disk)
    if confinement.tier == "A":
        private_file_system(limits, folder)
    else:
        os.setpgid(0, 0)
        if confinement.uid is not None:
            os.chown(folder, confinement.uid, confinement.uid)
    os.chdir(folder)
    os.umask(0o077)
    if confinement.tier == "C":
        return
    confine.drop_privileges(confinement.uid, confinement.uid, keep_reading=confinement.keep_reading)
    if confinement.tier == "B":
        confine.prctl(DEATH_SIGNAL, signal.SIGKILL)  # where the zygote is killed; at tier A the namespace goes with it
        confine.landlock(confinement.readable, [folder, "/dev/null"])
    confine.filter_syscalls(single_group=confinement.tier == "B")


def threads_of_this_user() -> int:
    """How many there are already, as the limit counts them."""
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                count += process.num_threads()
    return count


def private_file_system(limits, folder):
    """Namespaces of its own: empty folders for temporary files and no /proc, whatever was left in those of another worker."""
    call("unshare", NEWNS | NEWIPC)
    call("mount", None, b"/", None, PRIVATE | REC, None)
    size = f"size={limits.disk},nr_inodes=8192,mode=1777".encode()
    call("mount", b"tmpfs", folder.encode(), b"tmpfs", NOSUID | NODEV, size)
    shared = Path(folder, ".shm")
    shared.mkdir()
    shared.chmod(0o1777)
    call("mount", bytes(shared), b"/dev/shm", None, BIND, None)  # one tmpfs for both, so that they share one limit
    call("mount", b"tmpfs", b"/proc", b"tmpfs", NOSUID | NODEV | RDONLY, b"size=4096,nr_inodes=2")


def new_pid_namespace():
    """The next child is the first process of a new namespace."""
    call("unshare", NEWPID)


def own_pid_namespace():
    """Children are born into our own namespace again; without this, no second one can be made."""
    call("setns", OUR_PIDS, NEWPID)


OUR_PIDS = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC) if sys.platform == "linux" else -1


def call(name, *arguments):
    confine.checked(name, getattr(confine.LIBC, name)(*arguments))


if __name__ == "__main__":
    main()
