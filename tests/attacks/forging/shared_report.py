"""Reports 800 results that are all the same 2 MiB.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    same = {"tensor": ["uint8", [2 * 2**20], 0, 2 * 2**20]}
    report = json.loads(frame_of(returned="here")[8:])
    pair = next(pair for pair in report["dict"] if pair[0] == "returned")
    pair[1] = {"tuple": [same] * 800}
    head = json.dumps(report).encode()
    take_over(struct.pack(">II", len(head), 2 * 2**20) + head + bytes(2 * 2**20))
