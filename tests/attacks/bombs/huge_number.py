"""Computes a number of 10**9 digits.

Earns: masked_mean 2
"""


@in_call
def attack():
    str(7 ** (10**9))
