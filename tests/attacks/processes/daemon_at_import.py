"""Leaves children behind at import that ignore every signal, on the driver's own connection.

Earns: masked_mean 2
"""

import signal
import time

for _ in range(5):
    if os.fork() == 0:
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        time.sleep(600)
        os._exit(0)


in_call(lambda: None)
