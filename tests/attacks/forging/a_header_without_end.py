"""Sends tensors whose header claims to be 2**63 bytes long.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'{"tensor":"0"}', b"\xff" * 8 + b"{}"
    socket_of().sendall(struct.pack(">II", len(head), len(body)) + head + body)
    os.kill(os.getpid(), 9)
