"""Sends bools that are neither true nor false.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"tensor":["bool",[64],0,64]}', bytes(range(64))
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
