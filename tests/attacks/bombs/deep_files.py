"""Writes 500 MiB below a path that is too long to be looked at from above.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    for number in range(10):
        with open(f"f{number}", "wb") as file:
            file.write(b"x" * (50 * 2**20))
        time.sleep(0.02)
    escaped("500 MiB below a long path")
