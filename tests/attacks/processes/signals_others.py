"""Sends a signal to a process outside, in every way there is.

Earns: masked_mean 2
"""

import ctypes
import signal


@in_call
def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    pid = CANARY.pid
    ways = [
        lambda: libc.kill(pid, signal.SIGTERM),
        lambda: libc.killpg(pid, signal.SIGTERM),
        lambda: libc.syscall(234, pid, pid, signal.SIGTERM),
        lambda: libc.syscall(200, pid, signal.SIGTERM),
        lambda: libc.sigqueue(pid, signal.SIGTERM, None),
        lambda: libc.syscall(424, libc.syscall(434, pid, 0), 15, None, 0),
    ]
    for number, way in enumerate(ways):
        if way() == 0:
            escaped(f"signal, way {number}")
