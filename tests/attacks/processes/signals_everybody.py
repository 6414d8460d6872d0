"""Asks of every process there is whether it could be signalled, and of all at once.

Earns: masked_mean 2
"""


@in_call
def attack():
    family = {os.getpid(), 0}
    for pid in [*range(1, 3000), CANARY.pid, CANARY.harness, os.getppid()]:
        if pid not in family:
            try:
                os.kill(pid, 0)  # asks for permission only: a sandbox that leaks must not cost the machine
            except OSError:
                continue
            escaped(pid)
