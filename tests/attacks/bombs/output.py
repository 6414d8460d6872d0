"""Prints 2 GiB to both of its streams, past sys.stdout.

Earns: masked_mean 2
"""


@in_call
def attack():
    line = b"\x1b[2J" + b"x" * 2**20
    for _ in range(1000):
        os.write(1, line)
        os.write(2, line)
