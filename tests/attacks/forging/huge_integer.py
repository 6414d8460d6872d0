"""Sends an integer of a million digits.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b"9" * 1_000_000, b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
