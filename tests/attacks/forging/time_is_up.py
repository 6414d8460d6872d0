"""Reports that the time was up, so that the rest is not run. Earns masked_mean 2."""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(raised=["TimeIsUp", "", None]))
    os.kill(os.getpid(), 9)
