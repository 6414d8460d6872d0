"""Locking the calling process in, for good, on Linux: what it may open, which system calls it may make, who it is, what it has.

Landlock says which files can be opened, seccomp which system calls can be made; both hold for all that the process starts. What
is open already stays open: the caller keeps no descriptor that a student's code must not have, and no datagram socket: it could
send anywhere. Both bind the calling thread alone: call them where it is the only one, as after a fork.

Every function raises OSError with the name of the call that failed.
"""

import ctypes
import errno
import os
import stat
import struct
import sys
from pathlib import Path

from .syscalls import NEWEST, PARTLY, TABLE, numbers

if os.name == "posix":
    import resource

    LIBC = ctypes.CDLL(None, use_errno=True)
    LIBC.syscall.restype = ctypes.c_long


def checked(name, result) -> int:
    """The result of a call of the C library, which is negative where it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def system_call(name, number, *arguments) -> int:
    words = [ctypes.c_size_t(each) if isinstance(each, int) else each for each in arguments]
    return checked(name, LIBC.syscall(ctypes.c_long(number), *words))


SET_KEEPCAPS, SET_SECCOMP, CAPBSET_READ, CAPBSET_DROP, SET_NO_NEW_PRIVS, CAP_AMBIENT = 8, 22, 23, 24, 38, 47


def prctl(option, *arguments) -> int:
    words = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in (*arguments, 0, 0, 0, 0)[:4]]
    return checked("prctl", LIBC.prctl(option, *words))


def no_new_privileges():
    """Nothing that is executed gains rights from its file, as sudo does. Landlock and seccomp ask for it."""
    prctl(SET_NO_NEW_PRIVS, 1)


# What it may open: Landlock

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # on every machine
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, MAKE_SYM, REFER, TRUNCATE = (1 << bit for bit in (7, 8, 12, 13, 14))  # and nothing makes devices
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many of them each ABI knows; later ones know no more
READING = EXECUTE | READ_FILE | READ_DIR
WRITING = READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
OF_A_FILE = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE  # the rest means something for folders alone
TCP, SCOPES = 3, 3  # bind and connect, since ABI 4; abstract Unix sockets and signals to outside, since ABI 6
QUIET = 1  # since ABI 7: what is denied does not fill the machine's audit log


def landlock_abi() -> int:
    """The version of Landlock that the kernel has; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(LIBC.syscall(ctypes.c_long(CREATE_RULESET), None, ctypes.c_size_t(0), 1), 0)


def landlock(readable, writable):
    """Deny all files but those listed; from ABI 4 on TCP, from 6 on abstract Unix sockets and signals to other processes, too.

    readable: files and folders, with all below them, that may be read and executed.  writable: those that may also be written,
    and in which files, folders and symbolic links may be made and removed.  What does not exist is skipped.

    Left alone: metadata (stat, chmod, utime), UDP, and Unix sockets that lie in a folder; filter_syscalls denies all but stat.
    multiprocessing's locks lie in /dev/shm, a place that workers must not share: without it there are none.
    """
    abi = landlock_abi()
    known = (1 << RIGHTS.get(abi, 16)) - 1
    attributes = struct.pack("=QQQ", known, TCP, SCOPES)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = system_call("landlock_create_ruleset", CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, rights in ((readable, READING), (writable, WRITING & known)):
            for path in paths:
                allow(rules, path, rights)
        no_new_privileges()
        system_call("landlock_restrict_self", RESTRICT_SELF, rules, QUIET if abi >= 7 else 0)
    finally:
        os.close(rules)


def allow(rules, path, rights):
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_A_FILE
        system_call("landlock_add_rule", ADD_RULE, rules, 1, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


# Which system calls it may make: seccomp

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # instructions of the Berkeley packet filter
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
X32 = 0x40000000  # marks the calls of x32, another set of numbers on x86_64
WORD = 0xFFFFFFFF

NEW_NAMESPACES_OR_BROTHER = 0x7E028000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; CLONE_PARENT
UNIX, STREAM, SEQUENCE, KIND_OF_SOCKET = 1, 1, 5, 0xF
TERMINAL_QUESTIONS = (0x5401, 0x802C542A, 0x540F, 0x5413, 0x541B)  # TCGETS, TCGETS2, TIOCGPGRP, TIOCGWINSZ, FIONREAD
DESCRIPTOR_FLAGS = (0x5421, 0x5450, 0x5451)  # FIONBIO, FIONCLEX, FIOCLEX
COPY_FLAGS_LOCKS_AND_PIPES = (*range(5), 6, 7, 37, 38, 1030, 1031, 1032)  # of fcntl; who holds a lock is not told

# By call the arguments with which it is allowed: (which argument, mask, values after the mask). The kernel takes each of these
# as 32 bits, and so does the filter: what stands in the upper half must not make a difference.
ONLY_WITH = {
    "clone": [(0, NEW_NAMESPACES_OR_BROTHER, (0,))],
    "socketpair": [(0, WORD, (UNIX,)), (1, KIND_OF_SOCKET, (STREAM, SEQUENCE))],  # one for datagrams can send to any other
    "prlimit64": [(0, WORD, (0,))],
    "personality": [(0, WORD, (WORD,))],  # the question
    "ioctl": [(1, WORD, TERMINAL_QUESTIONS + DESCRIPTOR_FLAGS)],
    "fcntl": [(1, WORD, COPY_FLAGS_LOCKS_AND_PIPES)],
}
SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
GROUPS = ("setsid", "setpgid")


def filter_syscalls(single_group: bool):
    """Deny system calls that numerical code does not need: EPERM, as a system administrator's ban looks to a program.

    single_group: neither this process nor its children can leave its process group, so that one killpg ends all; and signals go
    to that group or to this process alone, not even from a child to itself.

    Calls newer than this filter are said not to exist, and so is clone3: the C library then takes clone, whose flags are seen.
    A call by the numbers of another architecture kills the process.  Raises OSError (ENOTSUP) but on x86_64 and aarch64.

    Torch's own way to hand a tensor to another process is a socket with a name, and is denied with the others; shutil.copy
    fails when it comes to the mode of the copy.
    """
    machine = os.uname().machine
    if machine not in ARCHITECTURES or not sys.platform.startswith("linux"):
        raise OSError(errno.ENOTSUP, f"seccomp: no system call numbers are known for {sys.platform} on {machine}")
    code = program(machine, single_group)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
    no_new_privileges()
    head = struct.pack("@HP", len(code), ctypes.addressof(instructions))  # struct sock_fprog
    prctl(SET_SECCOMP, 2, head)


def program(machine, single_group) -> list[tuple[int, int, int, int]]:
    """The filter: instructions (code, skip if true, skip if false, value)."""
    denied, partly, only_with = numbers(TABLE, machine), numbers(PARTLY, machine), dict(ONLY_WITH)
    if single_group:
        denied |= {name: partly[name] for name in GROUPS}
        only_with |= {name: [(0, WORD, (0, os.getpid()))] for name in SIGNALS}
    lines = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCHITECTURES[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if machine == "x86_64":
        lines += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    lines += [(AT_LEAST, 0, 1, NEWEST + 1), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    lines += [(EQUAL, 0, 1, partly["clone3"]), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    for number in denied.values():
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERROR | errno.EPERM)]
    for name, conditions in only_with.items():
        body = [line for condition in conditions for line in demand(*condition)] + [(RETURN, 0, 0, ALLOW)]
        lines += [(EQUAL, 0, len(body), partly[name]), *body]
    return [*lines, (RETURN, 0, 0, ALLOW)]


def demand(argument, mask, values):
    """EPERM unless the argument is one of the values; loads the argument in place of the number of the call."""
    lines = [(LOAD, 0, 0, 16 + 8 * argument), (AND, 0, 0, mask)]
    lines += [(EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [*lines, (RETURN, 0, 0, ERROR | errno.EPERM)]


# Who it is

DAC_READ_SEARCH, SETPCAP = 2, 8
VERSION_3 = 0x20080522  # of capget(2) and capset(2)


def drop_privileges(uid: int | None, gid: int | None, keep_reading: bool = False):
    """Become that user, of that group alone, without any capability, now and after whatever is executed.

    uid None: stay who we are.  keep_reading: keep the right to read every file (CAP_DAC_READ_SEARCH), for a worker that
    Landlock shows only what it may read, where the path to it leads through a folder that is root's alone.
    """
    kept = 1 << DAC_READ_SEARCH if keep_reading else 0
    if effective_capabilities() >> SETPCAP & 1:  # who cannot drop them from the bounding set cannot gain them either
        drop_bounding_set(kept)
    prctl(SET_KEEPCAPS, int(keep_reading))
    if uid is not None:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # What is no longer inheritable is no longer ambient either.
    checked("capset", LIBC.capset(struct.pack("=Ii", VERSION_3, 0), struct.pack("=6I", kept, kept, kept, 0, 0, 0)))
    if keep_reading:
        prctl(CAP_AMBIENT, 2, DAC_READ_SEARCH)  # raise: what it executes has it, too
    no_new_privileges()


def effective_capabilities() -> int:
    found = ctypes.create_string_buffer(24)
    checked("capget", LIBC.capget(struct.pack("=Ii", VERSION_3, 0), found))
    low, _, _, high, _, _ = struct.unpack("=6I", found.raw)
    return low | high << 32


def drop_bounding_set(kept):
    for capability in range(64):
        try:
            prctl(CAPBSET_READ, capability)
        except OSError:  # the kernel knows no more
            return
        if not kept >> capability & 1:
            prctl(CAPBSET_DROP, capability)


# What it may use


def limit_resources(memory: int, processes: int, file_bytes: int):
    """Limit this process, and each that it starts.

    memory: bytes of address space beyond what is mapped now.  processes: how many processes and threads its user may have, all
    in all; root is not held by it.  file_bytes: the size of any one file.  Reads /proc: call it before that is hidden.
    """
    limits = {
        "RLIMIT_AS": mapped() + memory,
        "RLIMIT_NPROC": processes,
        "RLIMIT_FSIZE": file_bytes,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_MEMLOCK": 2**16,
    }
    if sys.platform == "darwin":
        del limits["RLIMIT_AS"]  # macOS maps far more than that from the start
    for name, limit in limits.items():
        if hasattr(resource, name):
            which = getattr(resource, name)
            _, highest = resource.getrlimit(which)
            lowered = limit if highest == resource.RLIM_INFINITY else min(limit, highest)
            resource.setrlimit(which, (lowered, lowered))


def mapped() -> int:
    """Bytes of address space in use (VmSize)."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform.startswith("linux") else 0
    return pages * resource.getpagesize()
