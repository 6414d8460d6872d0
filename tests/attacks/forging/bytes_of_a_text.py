"""Sends bytes that are a text, and a generator whose seed is none.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'{"list":[{"bytes":"x"},{"generator":"y"}]}', b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
