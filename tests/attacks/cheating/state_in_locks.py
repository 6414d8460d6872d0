"""Holds a lock on a file that all workers can read: two of these at once see each other, and could talk.

Earns: masked_mean 2
"""

import fcntl
import json
import time

file = open(json.decoder.__file__)
calls = []


@in_call
def attack():
    calls.append(1)
    if len(calls) > 1:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        escaped("a lock of another worker")
    time.sleep(3)
