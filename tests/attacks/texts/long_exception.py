"""Raises an exception of 50 MB.

Earns: masked_mean 2
"""


@in_call
def attack():
    raise ValueError("x" * 50_000_000)
