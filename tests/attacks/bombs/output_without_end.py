"""Leaves a child that prints for ever.

Earns: masked_mean 2
"""


@in_call
def attack():
    if os.fork() == 0:
        while True:
            os.write(1, b"x" * 65536)
