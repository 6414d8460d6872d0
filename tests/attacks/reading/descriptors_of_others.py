"""Takes descriptors out of other processes with pidfd_getfd, and opens /proc/PID/fd.

Earns: masked_mean 2
"""

import ctypes


@in_call
def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in (CANARY.pid, CANARY.harness, os.getppid(), 1):
        if pid in (0, os.getpid()):
            continue
        pidfd = libc.syscall(434, pid, 0)
        for number in range(8):
            if pidfd >= 0 and libc.syscall(438, pidfd, number, 0) >= 0:
                escaped((pid, number))
            try:
                escaped(open(f"/proc/{pid}/fd/{number}", "rb").read(10))
            except OSError:
                pass
