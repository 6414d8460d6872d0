"""Reads the command lines of other processes.

Earns: masked_mean 2
"""

import glob


@in_call
def attack():
    for pid in ["1", str(os.getppid()), str(CANARY.pid), *map(os.path.basename, glob.glob("/proc/[0-9]*"))]:
        try:
            line = open(f"/proc/{pid}/cmdline").read()
        except OSError:
            continue
        if int(pid) != os.getpid() and line:
            escaped((pid, line))
