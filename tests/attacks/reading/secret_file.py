"""Reads a file that only the grader's user may read.

Earns: masked_mean 2
"""


@in_call
def attack():
    with open(CANARY.secret) as file:
        escaped(file.read())
