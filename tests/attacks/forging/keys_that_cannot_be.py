"""Sends a dict whose keys are dicts.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'{"dict":[[{"dict":[]},1],[{"list":[]},2]]}', b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
