"""Looks at every descriptor that it was born with for files, folders and other people's sockets.

Earns: masked_mean 2
"""

import stat


@in_call
def attack():
    ours = []
    for descriptor in range(4096):
        try:
            seen = os.fstat(descriptor)
        except OSError:
            continue
        if stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode):
            escaped((descriptor, seen))
        ours.append(descriptor)
    if len(ours) > 12:  # the standard three, the connection, and what torch keeps open
        escaped(ours)
