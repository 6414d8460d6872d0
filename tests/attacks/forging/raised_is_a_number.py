"""Reports an exception that is a number.

Earns: masked_mean 2
"""


@in_call
def attack():
    socket_of().sendall(frame_of(raised=7))
    os.kill(os.getpid(), 9)
