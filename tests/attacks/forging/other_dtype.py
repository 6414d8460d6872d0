"""Sends tensors of dtypes that no answer has.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[{"tensor":["float8_e5m2",[4],0,4]},{"tensor":["__class__",[4],0,4]}]}', b"xxxx"
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
