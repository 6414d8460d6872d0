"""Sends itself SIGABRT.

Earns: masked_mean 2
"""

import signal


@in_call
def attack():
    os.kill(os.getpid(), signal.SIGABRT)
