"""Sends a tensor whose numbers lie outside of the frame.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"tensor":["float32",[1000,1000],-8,4000000]}', b"x" * 100
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
