"""Replies at once, and takes memory in a process that nobody waits for.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    for _ in range(4):
        if os.fork() == 0:
            time.sleep(0.05)
            kept = []
            for _ in range(8):
                kept.append(bytearray(b"x") * (200 * 2**20))
                time.sleep(0.05)
            time.sleep(30)
            os._exit(0)
