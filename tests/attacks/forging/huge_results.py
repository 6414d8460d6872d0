"""Reports results of 60 MB. Earns masked_mean 2."""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(returned=(torch.zeros(7_000_000), torch.zeros(7_000_000))))
    os.kill(os.getpid(), 9)
