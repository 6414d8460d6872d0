"""Forks as often as it can, up to 500 times.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    made = 0
    for _ in range(500):
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
        except OSError:
            break
        made += 1
    if made > 70:
        escaped(f"{made} processes")
