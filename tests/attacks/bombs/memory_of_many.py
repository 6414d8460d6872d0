"""Takes 8 GiB of memory by twenty processes, each below its limit.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    for _ in range(20):
        if os.fork() == 0:
            kept = bytearray(b"x") * (400 * 2**20)
            time.sleep(20)
            os._exit(len(kept) == 0)
    time.sleep(6)
    escaped("20 times 400 MiB")
