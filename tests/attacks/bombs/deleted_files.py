"""Writes 500 MiB in files that it has deleted, and holds open.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    kept = []
    for _ in range(10):
        file = open("gone", "wb", buffering=0)
        os.unlink("gone")
        file.write(b"x" * (50 * 2**20))
        kept.append(file)
        time.sleep(0.02)
    escaped("500 MiB in 10 deleted files")
