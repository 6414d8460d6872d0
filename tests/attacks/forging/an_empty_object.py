"""Sends an object without a key.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b"{}", b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
