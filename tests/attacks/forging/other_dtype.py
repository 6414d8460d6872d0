"""Sends a tensor of 8-bit floats.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = (
        b'{"tensor":"0"}',
        (lambda h: struct.pack("<Q", len(h)) + h + b"\0" * 4)(
            json.dumps({"0": {"dtype": "F8_E5M2", "shape": [4], "data_offsets": [0, 4]}}).encode().ljust(80)
        ),
    )
    socket_of().sendall(struct.pack(">II", len(head), len(body)) + head + body)
    os.kill(os.getpid(), 9)
