"""Calls itself until the stack ends, with no limit.

Earns: masked_mean 2
"""

sys.setrecursionlimit(10**9)


def deeper(n):
    return sorted([1], key=lambda x: deeper(n + 1))


@in_call
def attack():
    deeper(0)
