"""Writes 1 GiB in files that are each below the limit.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    for number in range(20):
        with open(f"f{number}", "wb") as file:
            file.write(b"x" * (50 * 2**20))
        time.sleep(0.1)
    escaped("1 GiB in 20 files")
