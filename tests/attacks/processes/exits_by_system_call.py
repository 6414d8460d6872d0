"""Ends the process with success by a system call, past the driver's own os._exit.

Earns: masked_mean 2
"""

import ctypes


@in_call
def attack():
    ctypes.CDLL(None)._exit(0)
