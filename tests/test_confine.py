"""What a confined process can and cannot do. Each trial runs in a fork, with the confinement and, as a control, without it."""

import contextlib
import ctypes
import errno
import json
import os
import platform
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from autograder.driver import confine
from autograder.driver.syscalls import NEWEST, PARTLY, TABLE, numbers

pytestmark = pytest.mark.skipif(platform.machine() not in confine.ARCHITECTURES or sys.platform != "linux", reason="Linux only")

NOBODY = 71234  # a user without files and processes
MACHINE = platform.machine() if platform.machine() in confine.ARCHITECTURES else "x86_64"
DENIED, IN_PART = numbers(TABLE, MACHINE), numbers(PARTLY, MACHINE)
ABI = confine.landlock_abi()
needs_root = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="becomes another user: needs root")
needs_landlock = pytest.mark.skipif(ABI == 0, reason="the kernel has no Landlock")
needs_all_capabilities = pytest.mark.skipif(
    sys.platform != "linux" or confine.effective_capabilities() >> 21 & 1 == 0, reason="the kernel denies it anyway: needs root"
)
SYSTEM = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom", sys.base_prefix, sys.prefix]


def trial(action, *steps):
    """What action() comes to in a fork, after the steps: its result, the name of an OSError's number, or of a signal."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = "the confinement failed"
        with contextlib.suppress(BaseException):
            signal.alarm(60)
            try:
                for step in steps:
                    step()
                result = action()
            except OSError as error:
                result = errno.errorcode[error.errno]
            except BaseException as error:
                result = f"{type(error).__name__}: {error}"
            os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return signal.Signals(-status).name if status < 0 else json.loads(said)


def filtered():
    confine.filter_syscalls(single_group=False)


def in_a_group():
    os.setpgid(0, 0)
    confine.filter_syscalls(single_group=True)


def raw(number, *arguments):
    """A system call by its number; integers go as 64 bits."""
    confine.system_call("call", number, *arguments)


def senseless(number):
    """The call with arguments that mean nothing: whatever the kernel answers, it does nothing."""
    return lambda: raw(number, *[2**64 - 1] * 6)


# System calls denied whatever their arguments


@pytest.mark.parametrize("name", DENIED)
def test_denied(name):
    assert trial(senseless(DENIED[name]), filtered) == "EPERM"


@needs_all_capabilities
@pytest.mark.parametrize("name", DENIED)
def test_denied_by_the_filter_alone(name):
    """The control: root, unfiltered, gets another answer. A session of its own has no terminal that vhangup could hang up."""
    assert trial(senseless(DENIED[name]), os.setsid) != "EPERM"


@pytest.mark.parametrize("name", ["setsid", "setpgid"])
def test_a_worker_stays_in_its_group(name):
    action = senseless(IN_PART[name])
    assert trial(action, in_a_group) == "EPERM"
    assert trial(action, filtered) != "EPERM"


def test_a_descendant_stays_in_its_group():
    def action():
        return subprocess.run([sys.executable, "-c", "import os; os.setsid()"], stderr=subprocess.PIPE, text=True).stderr

    assert "PermissionError" in trial(action, in_a_group)
    assert trial(action, filtered) == ""


FAMILIES = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_socket_of_any_family(family):
    def action():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            with contextlib.suppress(PermissionError):
                socket.socket(getattr(socket, family), kind)
                return "made one"
        return "EPERM"

    assert trial(action, filtered) == "EPERM"


def test_sockets_without_the_filter():
    assert trial(lambda: [socket.socket(socket.AF_INET, kind) and None for kind in (1, 2)]) == [None, None]


# System calls denied by their arguments


@pytest.mark.parametrize(
    ("kind", "outcome"), [("SOCK_STREAM", None), ("SOCK_SEQPACKET", None), ("SOCK_DGRAM", "EPERM"), ("SOCK_RAW", "EPERM")]
)
def test_pairs_of_sockets(kind, outcome):
    def action():
        socket.socketpair(socket.AF_UNIX, getattr(socket, kind))

    assert trial(action, filtered) == outcome
    assert trial(action) is None


def test_why_no_pair_for_datagrams(tmp_path):
    """One end can send to any socket that can be named, and no filter sees the name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(tmp_path / "ours"))
        trial(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"here", str(tmp_path / "ours")))
        ours.settimeout(5)
        assert ours.recv(10) == b"here"


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_SEQPACKET"])
def test_pairs_cannot_send_elsewhere(kind, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(tmp_path / "ours"))

        def action():
            pair = socket.socketpair(socket.AF_UNIX, getattr(socket, kind))
            return [pair[0].sendto(b"here", str(tmp_path / "ours")), pair[0].sendmsg([b"here"], [], 0, str(tmp_path / "ours"))]

        assert trial(action, filtered) in ([4, 4], "EISCONN", "EOPNOTSUPP")  # the first: it ignores the address
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(10)


FLAGS = {
    "NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000, "NEWUSER": 0x10000000,
    "NEWPID": 0x20000000, "NEWNET": 0x40000000, "PARENT": 0x8000,
}  # fmt: skip


def cloned(flags):
    def action():
        pid = confine.system_call("clone", IN_PART["clone"], flags | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)

    return action


@pytest.mark.parametrize("flag", FLAGS)
def test_no_namespace_and_no_brother_by_clone(flag):
    assert trial(cloned(FLAGS[flag]), filtered) == "EPERM"
    assert trial(cloned(FLAGS[flag] | 1 << 40), filtered) == "EPERM"
    assert trial(cloned(0), filtered) is None


@needs_all_capabilities
@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag != "PARENT"])  # whose child would be ours
def test_namespaces_without_the_filter(flag):
    assert trial(cloned(FLAGS[flag])) != "EPERM"


def test_clone3_is_said_not_to_exist():
    assert trial(senseless(IN_PART["clone3"]), filtered) == "ENOSYS"
    assert trial(senseless(IN_PART["clone3"])) != "ENOSYS"


def test_resource_limits_of_others():
    def action(pid):
        return lambda: resource.prlimit(pid, resource.RLIMIT_CORE) and None

    assert trial(action(0), filtered) is None
    assert trial(action(os.getpid()), filtered) == "EPERM"
    assert trial(action(os.getpid())) is None


def test_personality():
    def action(persona):
        return lambda: raw(IN_PART["personality"], persona)

    question, no_randomisation = 0xFFFFFFFF, 0x0040000
    assert trial(action(question), filtered) is None
    assert trial(action(no_randomisation), filtered) == "EPERM"
    assert trial(action(no_randomisation)) is None


TIOCSTI, TIOCLINUX, TIOCSCTTY, TIOCSETD, FIOSETOWN, FIONREAD = 0x5412, 0x541C, 0x540E, 0x5423, 0x8901, 0x541B
ENABLE_VERITY, SET_FLAGS = 0x40806685, 0x40086602


@pytest.mark.parametrize("request_number", [TIOCSTI, TIOCLINUX, TIOCSCTTY, TIOCSETD, FIOSETOWN, ENABLE_VERITY, SET_FLAGS])
def test_ioctl(request_number):
    def action(number):
        return lambda: raw(IN_PART["ioctl"], os.pipe()[0], number, ctypes.create_string_buffer(16))

    assert trial(action(request_number), filtered) == "EPERM"
    assert trial(action(request_number | 1 << 32), filtered) == "EPERM"
    assert trial(action(request_number)) != "EPERM"
    assert trial(action(FIONREAD), filtered) is None


F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY = 8, 15, 10, 1024, 1026


@pytest.mark.parametrize("command", [F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY])
def test_fcntl(command):
    def action(command):
        return lambda: raw(IN_PART["fcntl"], 0, command, 0)

    assert trial(action(command), filtered) == "EPERM"
    assert trial(action(command | 1 << 32), filtered) == "EPERM"
    assert trial(action(command)) != "EPERM"


# Signals


def signals_to(pid):
    """Every way to signal that there is; signal 0 is only a question."""
    about = struct.pack("=iii", 0, 0, -1).ljust(128, b"\0")  # siginfo_t of SI_QUEUE
    return {
        "kill": lambda: raw(IN_PART["kill"], pid, 0),
        "tkill": lambda: raw(IN_PART["tkill"], pid, 0),
        "tgkill": lambda: raw(IN_PART["tgkill"], pid, pid, 0),
        "rt_sigqueueinfo": lambda: raw(IN_PART["rt_sigqueueinfo"], pid, 0, about),
        "rt_tgsigqueueinfo": lambda: raw(IN_PART["rt_tgsigqueueinfo"], pid, pid, 0, about),
    }


@pytest.mark.parametrize("way", signals_to(0))
def test_signals(way):
    assert trial(signals_to(os.getpid())[way], in_a_group) == "EPERM"
    assert trial(signals_to(os.getpid() | 1 << 32)[way], in_a_group) == "EPERM"
    assert trial(signals_to(os.getpid())[way], filtered) is None  # a namespace of its own holds them
    assert trial(lambda: signals_to(os.getpid())[way](), in_a_group) is None


@pytest.mark.parametrize("pid", [-1, 1, -os.getpgrp()])
def test_no_signal_to_many(pid):
    assert trial(lambda: os.kill(pid, 0), in_a_group) == "EPERM"


def test_signals_to_the_own_group():
    assert trial(lambda: os.kill(0, 0), in_a_group) is None
    assert trial(lambda: os.kill(0, signal.SIGKILL), in_a_group) == "SIGKILL"


def test_a_child_cannot_signal_its_parent_and_is_ended_with_the_group():
    reading, writing = os.pipe()

    def action():
        if os.fork() == 0:
            with contextlib.suppress(PermissionError):
                os.kill(os.getppid(), signal.SIGCONT)  # allowed: the worker itself
            try:
                os.kill(os.getpid(), 0)
            except PermissionError:
                os.write(writing, b"not even itself")
            time.sleep(60)
        time.sleep(0.2)
        os.killpg(0, signal.SIGKILL)

    assert trial(action, in_a_group) == "SIGKILL"
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b"not even itself"  # and the end of the pipe: the child is gone


def test_signals_between_threads_and_alarms():
    def action():
        rung = []
        signal.signal(signal.SIGUSR1, lambda *_: rung.append("thread"))
        signal.signal(signal.SIGALRM, lambda *_: rung.append("alarm"))
        threading.Thread(target=lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)).start()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        deadline = time.monotonic() + 10
        while len(rung) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return sorted(rung)

    assert trial(action, in_a_group) == ["alarm", "thread"]


# The filter's program, for each machine


def verdict(machine, number, arguments=(), architecture=None, group=True):
    """What the filter says to a call, by a reading of its program."""
    architecture = confine.ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("=IIQ6Q", number, architecture, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    code = confine.program(machine, group)
    position = value = 0
    while True:
        operation, if_true, if_false, operand = code[position]
        position += 1
        if operation == confine.LOAD:
            (value,) = struct.unpack_from("=I", data, operand)
        elif operation == confine.AND:
            value &= operand
        elif operation == confine.RETURN:
            names = {confine.ALLOW: "allow", confine.KILL: "kill"}
            return names.get(operand) or errno.errorcode[operand & 0xFFFF]
        else:
            true = value == operand if operation == confine.EQUAL else value >= operand
            position += if_true if true else if_false


READ_WRITE_MMAP_FUTEX_EXIT = {"x86_64": [0, 1, 9, 202, 231, 257], "aarch64": [63, 64, 222, 98, 94, 56]}


@pytest.mark.parametrize("machine", confine.ARCHITECTURES)
def test_program(machine):
    denied, partly = numbers(TABLE, machine), numbers(PARTLY, machine)
    assert {verdict(machine, number) for number in denied.values()} == {"EPERM"}
    assert {verdict(machine, number) for number in READ_WRITE_MMAP_FUTEX_EXIT[machine]} == {"allow"}
    assert verdict(machine, partly["clone3"]) == "ENOSYS"
    assert verdict(machine, NEWEST) == "allow" and verdict(machine, NEWEST + 1) == "ENOSYS"
    assert verdict(machine, partly["setsid"]) == "EPERM" and verdict(machine, partly["setsid"], group=False) == "allow"
    assert verdict(machine, partly["kill"], [1]) == "EPERM" and verdict(machine, partly["kill"], [1], group=False) == "allow"
    assert verdict(machine, partly["kill"], [os.getpid()]) == verdict(machine, partly["kill"], [0]) == "allow"
    assert verdict(machine, partly["clone"], [0x01200011]) == "allow"  # as fork does it
    assert verdict(machine, partly["clone"], [0x003D0F00]) == "allow"  # as pthread_create does
    assert verdict(machine, partly["socketpair"], [1, 1 | 0x80000]) == "allow"  # SOCK_CLOEXEC
    assert verdict(machine, partly["socketpair"], [30, 1]) == "EPERM"  # AF_TIPC


def test_other_sets_of_numbers_end_the_process():
    i386 = 0x40000003
    assert verdict("x86_64", 20, architecture=i386) == "kill"
    assert verdict("aarch64", 20, architecture=confine.ARCHITECTURES["x86_64"]) == "kill"
    assert verdict("x86_64", confine.X32 | 39) == "kill"
    if MACHINE == "x86_64":
        assert trial(lambda: raw(confine.X32 | 39), filtered) == "SIGSYS"
        assert trial(lambda: raw(confine.X32 | 39)) in (None, "ENOSYS")


def test_calls_that_are_newer_than_the_filter():
    assert trial(lambda: raw(NEWEST + 1, 0, 0, 0, 0, 0, 0), filtered) == "ENOSYS"


def test_another_machine_is_refused(monkeypatch):
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "", "", "riscv64")))
    with pytest.raises(OSError, match="riscv64") as raised:
        confine.filter_syscalls(single_group=False)
    assert raised.value.errno == errno.ENOTSUP


HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
NEWER = {"fchmodat2": 452, "statmount": 457, "listmount": 458, "lsm_set_self_attr": 460}  # than the headers of some systems


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_headers(machine):
    if not Path(HEADERS[machine]).exists():
        pytest.skip("the kernel's headers are not installed")
    listed = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(HEADERS[machine]).read_text())
    listed = NEWER | {name: int(number) for name, number in listed}
    ours = numbers(TABLE, machine) | numbers(PARTLY, machine)
    assert ours == {name: listed[name] for name in ours}
    names = [line.split()[0] for line in (TABLE + PARTLY).splitlines() if line and not line.startswith("#")]
    assert len(set(names)) == len(names)
    assert set(ours) == set(names) & set(listed), "a call of this machine has a '-'"


# Files


@pytest.fixture
def folders():
    """Two folders that any user can reach: to be allowed, and not. Each holds a file."""
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        pair = Path(parent, "inside"), Path(parent, "outside")
        for each in pair:
            each.mkdir()
            (each / "file").write_text("text")
        yield pair


ATTEMPTS = {
    "read": lambda folder: (folder / "file").read_text() and None,
    "write": lambda folder: (folder / "file").write_text("changed") and None,
    "append": lambda folder: os.close(os.open(folder / "file", os.O_WRONLY | os.O_APPEND)),
    "truncate": lambda folder: os.truncate(folder / "file", 0),
    "list": lambda folder: os.listdir(folder) and None,
    "make": lambda folder: (folder / "new").write_text("") or None,
    "make a folder": lambda folder: (folder / "new").mkdir(),
    "make a link": lambda folder: (folder / "new").symlink_to("file"),
    "make a hard link": lambda folder: os.link(folder / "file", folder / "new"),
    "remove": lambda folder: (folder / "file").unlink(),
    "rename": lambda folder: os.rename(folder / "file", folder / "new"),
}
READS = {"read", "list"}


@needs_landlock
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_files(attempt, folders):
    if attempt == "truncate" and ABI < 3:
        pytest.skip("this kernel's Landlock does not see truncate")
    inside, outside = folders
    act = ATTEMPTS[attempt]
    listed = sorted(outside.iterdir())
    assert trial(lambda: act(outside), lambda: confine.landlock(SYSTEM, [inside])) == "EACCES"
    assert sorted(outside.iterdir()) == listed and (outside / "file").read_text() == "text"
    read_only = trial(lambda: act(outside), lambda: confine.landlock([*SYSTEM, outside], [inside]))
    assert read_only == (None if attempt in READS else "EACCES")
    assert trial(lambda: act(inside), lambda: confine.landlock(SYSTEM, [inside])) is None
    assert trial(lambda: act(outside)) is None


@needs_landlock
@pytest.mark.skipif(ABI < 2, reason="this kernel's Landlock keeps every file in its folder")
@pytest.mark.parametrize("act", [os.rename, os.link])
def test_files_move_between_folders_inside(act, folders):
    inside = folders[0]
    (inside / "folder").mkdir()
    assert trial(lambda: act(inside / "file", inside / "folder" / "file"), lambda: confine.landlock(SYSTEM, [inside])) is None


@needs_landlock
def test_nothing_moves_in_or_out(folders):
    inside, outside = folders

    def moved(source, target, act=os.rename):
        return trial(lambda: act(source, target), lambda: confine.landlock(SYSTEM, [inside]))

    assert moved(outside / "file", inside / "stolen") in ("EACCES", "EXDEV")
    assert moved(outside / "file", inside / "stolen", os.link) in ("EACCES", "EXDEV")
    assert moved(inside / "file", outside / "left") in ("EACCES", "EXDEV")
    (inside / "way").symlink_to(outside / "file")
    assert trial(lambda: (inside / "way").read_text(), lambda: confine.landlock(SYSTEM, [inside])) == "EACCES"


@needs_landlock
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/mem", "/proc/PARENT/environ", "/proc/PARENT/mem", "/dev/shm"])
def test_what_is_not_listed_cannot_be_opened(path, folders):
    path = path.replace("PARENT", str(os.getpid()))

    def action():
        os.close(os.open(path, os.O_RDONLY))

    assert trial(action, lambda: confine.landlock(SYSTEM, [folders[0]])) == "EACCES"
    assert trial(action) is None


@needs_landlock
def test_programs(folders):
    program = folders[1] / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)

    def action():
        return os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(program, [program], {}), 0)[1])

    assert trial(action, lambda: confine.landlock(SYSTEM, [folders[0]])) == "EACCES"
    assert trial(action, lambda: confine.landlock([*SYSTEM, folders[1]], [folders[0]])) == 0


@needs_landlock
def test_single_files_and_what_does_not_exist(folders):
    file, missing = folders[1] / "file", folders[1] / "missing"
    steps = [lambda: confine.landlock([*SYSTEM, missing, file], [folders[0], missing, "/dev/null"])]
    assert trial(lambda: file.read_text(), *steps) == "text"
    assert trial(lambda: file.write_text("changed"), *steps) == "EACCES"
    assert trial(lambda: subprocess.run(["true"], stdout=subprocess.DEVNULL).returncode, *steps) == 0


@needs_landlock
def test_landlock_holds_for_what_is_started(folders):
    def action():
        return subprocess.run(["cat", "/etc/passwd"], stderr=subprocess.PIPE, text=True).stderr

    assert "Permission denied" in trial(action, lambda: confine.landlock(SYSTEM, [folders[0]]))
    assert "Permission denied" not in trial(action)


def test_no_landlock(monkeypatch):
    """An older kernel, and one that was started without it."""
    for number in (errno.ENOSYS, errno.EOPNOTSUPP):

        def syscall(*_, number=number):
            ctypes.set_errno(number)
            return -1

        monkeypatch.setattr(confine, "LIBC", type("Libc", (), {"syscall": staticmethod(syscall)}))
        assert confine.landlock_abi() == 0
        with pytest.raises(OSError, match="landlock_create_ruleset") as raised:
            confine.landlock(SYSTEM, [])
        assert raised.value.errno == number


# Both together: what tier B is


def locked_in(inside):
    def step():
        os.setpgid(0, 0)
        confine.landlock(SYSTEM, [inside, "/dev/null"])
        confine.filter_syscalls(single_group=True)

    return step


def connected(family, kind, address):
    def action():
        with socket.socket(family, kind) as ours:
            ours.settimeout(2)
            ours.connect(address)
            ours.send(b"hello")

    return action


@needs_landlock
def test_no_way_to_a_listener(folders):
    """Of every kind; and without the filter Landlock alone keeps TCP and abstract sockets away, as far as its version goes."""
    inside = folders[0]
    name = f"rlhf-course-{os.getpid()}"
    addresses = {
        "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        "path": (socket.AF_UNIX, socket.SOCK_STREAM, str(inside / "socket")),
        "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}-stream"),
        "abstract datagrams": (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{name}-datagram"),
    }
    alone = {"tcp": ABI >= 4, "udp": False, "path": False, "abstract": ABI >= 6, "abstract datagrams": ABI >= 6}
    for kind, (family, type_, address) in addresses.items():
        with socket.socket(family, type_) as ours:
            ours.bind(address)
            if type_ == socket.SOCK_STREAM:
                ours.listen(8)
            action = connected(family, type_, ours.getsockname())
            assert trial(action, locked_in(inside)) == "EPERM", kind
            landlocked = trial(action, lambda: confine.landlock(SYSTEM, [inside]))
            assert landlocked == (("EACCES" if kind == "tcp" else "EPERM") if alone[kind] else None), kind
            assert trial(action) is None, kind


@pytest.mark.skipif(ABI < 6, reason="Landlock confines signals from ABI 6 on")
def test_landlock_alone_keeps_signals_in(folders):
    def own_child():
        child = subprocess.Popen(["sleep", "60"])
        child.kill()
        return child.wait()

    step = lambda: confine.landlock([*SYSTEM, "/dev/null"], [folders[0]])  # noqa: E731
    for way, action in signals_to(os.getpid()).items():
        assert trial(action, step) == "EPERM", way
    assert trial(own_child, step) == -signal.SIGKILL


@needs_landlock
def test_the_parent_is_out_of_reach(folders):
    parent, attach = os.getpid(), 16

    def ptrace():
        raw(DENIED["ptrace"], attach, parent, 0, 0)

    def read_memory():
        buffer = ctypes.create_string_buffer(8)
        there = ctypes.create_string_buffer(b"parent's")
        local, remote = ((ctypes.c_size_t * 2)(ctypes.addressof(each), 8) for each in (buffer, there))
        raw(DENIED["process_vm_readv"], parent, local, 1, remote, 1, 0)

    for action in (ptrace, read_memory, lambda: os.kill(parent, 0), lambda: os.setpriority(os.PRIO_PROCESS, parent, 19)):
        assert trial(action, locked_in(folders[0])) == "EPERM"
    assert trial(read_memory, lambda: confine.landlock(SYSTEM, [folders[0]])) == "EPERM"  # Landlock alone: ptrace and its like
    assert trial(lambda: os.kill(parent, 0)) is None


# Users and capabilities


def status(text=None):
    """The lines of /proc/self/status on who a process is; capabilities as numbers."""
    text = text or Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    who = {name: fields[name].split() for name in ("Uid", "Gid", "Groups")}
    return (
        who | {name: int(fields[name], 16) for name in fields if name.startswith("Cap")} | {"new": fields["NoNewPrivs"].strip()}
    )


def executed_status():
    return status(subprocess.run(["/bin/cat", "/proc/self/status"], stdout=subprocess.PIPE, text=True, check=True).stdout)


SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@needs_root
@pytest.mark.parametrize("found", [status, executed_status])
def test_another_user(found):
    was = trial(found, lambda: os.setgroups([0, 1]), lambda: confine.drop_privileges(NOBODY, NOBODY))
    assert was["Uid"] == was["Gid"] == [str(NOBODY)] * 4 and was["Groups"] == [] and was["new"] == "1"
    assert [was[name] for name in SETS] == [0] * 5


@needs_root
@pytest.mark.parametrize("found", [status, executed_status])
def test_the_same_user_without_capabilities(found):
    was = trial(found, lambda: confine.drop_privileges(None, None))
    assert was["Uid"] == ["0"] * 4 and was["new"] == "1"
    assert [was[name] for name in SETS] == [0] * 5
    assert trial(found)["CapPrm"] != 0


@needs_root
def test_a_plain_user_has_nothing_to_drop():
    was = trial(status, lambda: os.setresuid(NOBODY, NOBODY, NOBODY), lambda: confine.drop_privileges(None, None))
    assert was["new"] == "1" and [was[name] for name in SETS if name != "CapBnd"] == [0] * 4


@needs_root
def test_there_is_no_way_back(folders):
    for way_back in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.chroot("/"), lambda: os.setresgid(0, 0, 0)):
        assert trial(way_back, lambda: confine.drop_privileges(NOBODY, NOBODY)) == "EPERM"
        assert trial(way_back) is None

    program = folders[0] / "cat"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o4755)

    def run_as_its_owner():
        return status(subprocess.run([program, "/proc/self/status"], stdout=subprocess.PIPE, text=True, check=True).stdout)[
            "Uid"
        ]

    assert trial(run_as_its_owner, lambda: confine.drop_privileges(NOBODY, NOBODY)) == [str(NOBODY)] * 4


@needs_root
def test_keep_reading(folders):
    secret = folders[0] / "file"
    secret.chmod(0o600)
    keeping = [lambda: confine.drop_privileges(NOBODY, NOBODY, keep_reading=True)]

    def by_another_program():
        return subprocess.run(["/bin/cat", secret], stdout=subprocess.PIPE, text=True).stdout

    assert trial(secret.read_text, *keeping) == trial(by_another_program, *keeping) == "text"
    assert trial(secret.read_text, lambda: confine.drop_privileges(NOBODY, NOBODY)) == "EACCES"
    assert trial(lambda: secret.write_text("changed"), *keeping) == "EACCES"
    assert trial(lambda: os.setuid(0), *keeping) == "EPERM"
    was = trial(executed_status, *keeping)
    assert {was[name] for name in SETS} == {1 << confine.DAC_READ_SEARCH}


# Resources

MIB = 2**20


def limited(memory=256 * MIB, processes=64, file_bytes=MIB):
    return lambda: confine.limit_resources(memory, processes, file_bytes)


def test_memory():
    assert trial(lambda: len(bytearray(100 * MIB)), limited()) == 100 * MIB
    assert trial(lambda: len(bytearray(300 * MIB)), limited()).startswith("MemoryError")
    assert trial(lambda: len(torch.zeros(75 * MIB)), limited()).startswith("RuntimeError")
    assert trial(lambda: len(bytearray(300 * MIB))) == 300 * MIB


def test_memory_of_what_is_started():
    limit = trial(lambda: confine.mapped(), limited()) + 256 * MIB
    code = f"bytearray({limit})"

    def action():
        return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True).stderr[-12:].strip()

    assert trial(action, limited()) == "MemoryError"


def test_size_of_a_file(folders):
    path = folders[0] / "large"
    assert trial(lambda: path.write_bytes(bytes(MIB)), limited()) == MIB
    assert trial(lambda: path.write_bytes(bytes(MIB + 1)), limited()) == "EFBIG"
    assert trial(lambda: os.truncate(path, MIB + 1), limited()) == "EFBIG"
    assert trial(lambda: path.write_bytes(bytes(MIB + 1))) == MIB + 1


def test_number_of_open_files():
    def action():
        return len([os.dup(0) for _ in range(300)])

    assert trial(action, limited()) == "EMFILE"
    assert trial(action) == 300


def started(count):
    """How many of `count` threads can be started beside each other."""
    done, threads = threading.Event(), []
    try:
        for _ in range(count):
            threads.append(threading.Thread(target=done.wait))
            threads[-1].start()
    except RuntimeError:
        threads.pop()
    done.set()
    for thread in threads:
        thread.join()
    return len(threads)


def another_user():
    os.setresuid(NOBODY, NOBODY, NOBODY)


@needs_root
def test_processes_and_threads():
    assert trial(lambda: started(20), limited(2**31, processes=10), another_user) == 9  # and the process itself
    assert trial(lambda: started(20), another_user) == 20


HIGHEST = {"CORE": 0, "NOFILE": 256, "MSGQUEUE": 0, "SIGPENDING": 1024, "MEMLOCK": 2**16}


def limits_now():
    return {name: max(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))) for name in HIGHEST}


def test_limits_only_go_down():
    for highest in (100, 10**6):

        def lower(highest=highest):
            for name, hard in limits_now().items():
                lowered = highest if hard < 0 else min(highest, hard)
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (lowered, lowered))

        assert trial(limits_now, lower, limited()) == {name: min(value, highest) for name, value in HIGHEST.items()}


# What has to go on working: as much as is locked in at tier B

SCRIPT = """
import torch, transformers
config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=16, bos_token_id=0, eos_token_id=0)
model = transformers.GPT2LMHeadModel(config)
model(torch.arange(5)[None], labels=torch.arange(5)[None]).loss.backward()
torch.optim.AdamW(model.parameters()).step()
model.save_pretrained("model")
print(type(transformers.GPT2LMHeadModel.from_pretrained("model")).__name__)
"""


def train():
    weight = torch.nn.Parameter(torch.ones(8, 8))
    optimizer = torch.optim.Adam([weight])
    (torch.randn(4, 8) @ weight).pow(2).mean().backward()
    optimizer.step()
    return bool((weight != 1).any())


def run(code):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr[-1000:]


def temporary_files():
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w+") as file:
        torch.save(torch.ones(2), f"{folder}/tensor.pt")
        file.write("text")
        file.seek(0)
        return [torch.load(f"{folder}/tensor.pt").tolist(), file.read()]


def in_threads():
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda n: torch.full((50, 50), float(n)).mean().item(), range(10)))


def callback_of_c():
    return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)()


ORDINARY = {
    "training": (train, True),
    "a process": (lambda: run("print(1)"), "1"),
    "transformers in a process": (lambda: run(SCRIPT), "GPT2LMHeadModel"),
    "temporary files": (temporary_files, [[1.0, 1.0], "text"]),
    "threads": (in_threads, [float(n) for n in range(10)]),
    "a callback of C": (callback_of_c, 3),
    "an event loop": (lambda: run("import asyncio; asyncio.run(asyncio.sleep(0)); print('slept')"), "slept"),
    "processors": (lambda: len(os.sched_getaffinity(0)) > 0, True),
}


@needs_landlock
@pytest.mark.parametrize("work", ORDINARY)
def test_ordinary_work(work, folders):
    action, result = ORDINARY[work]
    inside = folders[0]
    user = NOBODY if os.getuid() == 0 else None
    reads_all = confine.effective_capabilities() >> confine.DAC_READ_SEARCH & 1 == 1  # the interpreter may be root's alone

    def at_home():
        os.chdir(inside)
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = str(inside)
        if user is not None:
            os.chown(inside, user, user)

    steps = [
        at_home,
        limited(2**31, 64, 64 * MIB),
        lambda: confine.drop_privileges(user, user, keep_reading=reads_all),
        locked_in(inside),
    ]
    assert trial(action, *steps) == result


LOADER = """
from multiprocessing.reduction import ForkingPickler
import torch
from torch.utils.data import DataLoader
ForkingPickler.register(torch.Tensor, lambda tensor: (torch.from_numpy, (tensor.numpy(),)))
print(sum(batch.sum().item() for batch in DataLoader(torch.arange(8.0), batch_size=2, num_workers=2)))
"""


def test_workers_of_a_data_loader(folders):
    """They need another way for their tensors, and, for their locks, a /dev/shm."""
    assert trial(lambda: run(LOADER), filtered) == "28.0"
    if ABI:
        said = trial(lambda: run(LOADER), lambda: os.chdir(folders[0]), locked_in(folders[0]))
        assert said.endswith("PermissionError: [Errno 13] Permission denied\n")
