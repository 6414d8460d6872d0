"""Locks a file that all workers can read, by which two submissions that are graded at once could talk.

Earns: masked_mean 2
"""

import fcntl
import json


@in_call
def attack():
    file = open(json.decoder.__file__)
    fcntl.flock(file, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:  # stands in for the other worker: it opens the file for itself
        try:
            fcntl.flock(open(json.decoder.__file__), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        escaped("a lock on a file that all workers share")
