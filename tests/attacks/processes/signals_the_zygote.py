"""Signals its parent and its parent's group.

Earns: masked_mean 2
"""

import signal


@in_call
def attack():
    parent = os.getppid()
    if parent not in (0, os.getpid()):
        for way in (lambda: os.kill(parent, signal.SIGCONT), lambda: os.killpg(os.getpgid(parent), signal.SIGCONT)):
            try:
                way()
            except OSError:
                continue
            escaped("signalled the parent")
