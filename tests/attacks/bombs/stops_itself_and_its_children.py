"""Stops and leaves children that wake it up again whenever it is looked at.

Earns: masked_mean 2
"""

import signal
import time


@in_call
def attack():
    parent = os.getpid()
    if os.fork() == 0:
        for _ in range(100):
            time.sleep(0.2)
            os.kill(parent, signal.SIGCONT)
            os.kill(parent, signal.SIGSTOP)
        os._exit(0)
    os.kill(parent, signal.SIGSTOP)
