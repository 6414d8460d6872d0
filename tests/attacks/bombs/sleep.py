"""Sleeps for ever.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    time.sleep(10**6)
