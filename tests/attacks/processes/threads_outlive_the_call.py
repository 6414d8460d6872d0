"""Leaves threads behind that change results and write to the connection after the call.

Earns: masked_mean 2
"""

import gc
import threading
import time


@in_call
def attack():
    def later():
        while True:
            for thing in gc.get_objects():
                if isinstance(thing, dict) and "requires_grad" in thing:
                    thing["raised"], thing["points"] = None, 100
            time.sleep(0.01)

    for _ in range(4):
        threading.Thread(target=later, daemon=True).start()
