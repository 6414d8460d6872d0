"""Writes a file of 1 GiB.

Earns: masked_mean 2
"""


@in_call
def attack():
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("large", "wb") as file:
        for _ in range(64):
            file.write(b"x" * 2**24)
    escaped("1 GiB in a file")
