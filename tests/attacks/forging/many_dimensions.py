"""Reports a tensor of 60,000 dimensions.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(returned=(torch.zeros([1] * 60_000), zeros)))
    os.kill(os.getpid(), 9)
