"""Raises an exception whose text never ends.

Earns: masked_mean 2
"""


class Endless(Exception):
    def __str__(self):
        while True:
            pass


@in_call
def attack():
    raise Endless
