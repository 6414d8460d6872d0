"""Makes a file that is 1 TiB long without a byte in it.

Earns: masked_mean 2
"""


@in_call
def attack():
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    descriptor = os.open("sparse", os.O_CREAT | os.O_RDWR)
    os.ftruncate(descriptor, 2**40)
    escaped("1 TiB")
