"""Reports that the time was up, so that the rest is not run.

Earns: masked_mean 2
"""


@in_call
def attack():
    socket_of().sendall(frame_of(raised=["TimeIsUp", "", None]))
    os.kill(os.getpid(), 9)
