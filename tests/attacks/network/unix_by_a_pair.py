"""Uses one end of a socket pair, which it may have, to reach an address.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        one, _ = socket.socketpair(socket.AF_UNIX, kind)
        for address in (CANARY.unix, "\0" + CANARY.abstract, CANARY.unix_datagram, "\0" + CANARY.abstract + "-datagram"):
            for way in (lambda: one.sendto(b"hello from the sandbox", address), lambda: one.connect(address),
                        lambda: one.sendmsg([b"hello from the sandbox"], [], 0, address)):  # fmt: skip
                try:
                    way()
                except OSError:
                    continue
                escaped(f"{kind} to {address!r}")
