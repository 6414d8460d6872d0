"""Opens 100,000 files and sockets.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    kept = []
    try:
        for _ in range(50_000):
            kept += [os.open("/dev/null", os.O_RDONLY), socket.socketpair()]
    except OSError:
        pass
    if len(kept) > 2000:
        escaped(f"{len(kept)} descriptors")
