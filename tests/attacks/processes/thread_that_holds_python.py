"""Leaves a thread behind that never lets another one run.

Earns: masked_mean 2
"""

import threading


@in_call
def attack():
    sys.setswitchinterval(1000)
    threading.Thread(target=lambda: sum(range(10**12)), daemon=True).start()
