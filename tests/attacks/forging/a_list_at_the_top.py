"""Sends JSON of a type that the encoding has no use for.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b"[1, 2, 3]", b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
