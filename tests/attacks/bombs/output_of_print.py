"""Prints a line of 100 MB, and ten thousand short ones.

Earns: masked_mean 2
"""


@in_call
def attack():
    print("x" * 100_000_000)
    for _ in range(10_000):
        print("y", file=sys.stderr, flush=True)
