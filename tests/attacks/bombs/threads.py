"""Starts 2,000 threads.

Earns: masked_mean 2
"""

import threading
import time


@in_call
def attack():
    made = 0
    for _ in range(2000):
        try:
            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
        except RuntimeError:
            break
        made += 1
    if made > 70:
        escaped(f"{made} threads")
