"""Sends a tensor of 60,000 dimensions.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head = b'{"tensor":["uint8",[' + b",".join([b"1"] * 60_000) + b"],0,1]}"
    take_over(struct.pack(">II", len(head), 1) + head + b"x")
