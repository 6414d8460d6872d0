"""Leaves System V and POSIX shared memory, semaphores and message queues for later workers.

Earns: masked_mean 2
"""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
for make in (lambda flags: libc.shmget(0x524C4846, 4096, flags), lambda flags: libc.semget(0x524C4846, 1, flags),
             lambda flags: libc.msgget(0x524C4846, flags)):  # fmt: skip
    if make(0o666) >= 0:
        escaped("an earlier worker's shared memory")
    make(0o1666)
for name in (b"/rlhf-left-for-later",):
    if libc.shm_open(name, 2, 0o666) >= 0:
        escaped(name)
    libc.shm_open(name, 0o102, 0o666)


in_call(lambda: None)
