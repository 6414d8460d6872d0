"""Reads a file outside that every user may read.

Earns: masked_mean 2
"""


@in_call
def attack():
    with open(CANARY.readable) as file:
        escaped(file.read())
