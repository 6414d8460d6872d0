"""Makes a socket of every family and kind that the kernel has.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    made = []
    for family in range(46):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            made.append((family, kind))
    if made:
        escaped(made)
