"""Sends integers beyond 64 bits, and exponents beyond a float.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'{"list":[1' + b"0" * 4000 + b",1e999999,-1e999999]}", b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
