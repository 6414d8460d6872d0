"""Sends an object without a key.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b"{}", b""
    socket_of().sendall(struct.pack(">II", len(head), len(body)) + head + body)
    os.kill(os.getpid(), 9)
