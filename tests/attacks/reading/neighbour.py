"""Reads another student's submission and hands it in as its own.

Earns: masked_mean 2
"""


@in_call
def attack():
    with open(CANARY.neighbour) as file:
        escaped(file.read())
