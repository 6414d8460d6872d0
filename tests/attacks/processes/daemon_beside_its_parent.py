"""Starts a child that the kernel takes for its own sister (CLONE_PARENT), so that nobody waits for it.

Earns: masked_mean 2
"""

import ctypes
import time


@in_call
def attack():
    if ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0:
        time.sleep(600)
        os._exit(0)
