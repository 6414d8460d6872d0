"""Sends JSON that is not UTF-8.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'"\xff\xfe"', b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
