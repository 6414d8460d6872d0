"""Tries the system calls that kernels have been broken through.

Earns: masked_mean 2
"""

import ctypes


@in_call
def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    room = ctypes.create_string_buffer(256)
    calls = {
        "bpf": (321, 0, room, 128),
        "perf_event_open": (298, room, 0, -1, -1, 0),
        "userfaultfd": (323, 1),
        "io_uring_setup": (425, 8, room),
        "add_key": (248, b"user", b"x", b"x", 1, -4),
        "memfd_create": (319, b"x", 0),
        "fanotify_init": (300, 0, 0),
        "kexec_load": (246, 0, 0, 0, 0),
        "init_module": (175, b"", 0, b""),
        "quotactl": (179, 0, 0, 0, 0),
        "personality": (135, 0x0040000),
        "inotify_init1": (294, 0),
        "shmget": (29, 0, 4096, 0o1600),
        "kcmp": (312, os.getpid(), os.getpid(), 0, 0, 0),
        "sethostname": (170, b"x", 1),
        "process_vm_readv": (310, CANARY.harness, 0, 0, 0, 0, 0),
        "pidfd_send_signal": (424, 0, 0, 0, 0),
    }
    for name, (number, *arguments) in calls.items():
        if libc.syscall(number, *arguments) >= 0:
            escaped(name)
