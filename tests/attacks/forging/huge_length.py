"""Announces a frame of 8 GiB.

Earns: masked_mean 2
"""

import struct
import time


@in_call
def attack():
    socket_of().sendall(struct.pack(">II", 2**32 - 1, 2**32 - 1) + b"x" * 1000)
    time.sleep(0.1)
