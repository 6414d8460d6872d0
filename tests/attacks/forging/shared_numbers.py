"""Sends 20 MiB of numbers, and a hundred tensors that are all of them.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head, body = b'{"list":[' + b",".join([b'{"tensor":["uint8",[20971520],0,20971520]}'] * 100) + b"]}", bytes(20 * 2**20)
    take_over(struct.pack(">II", len(head), len(body)) + head + body)
