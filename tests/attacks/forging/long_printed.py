"""Reports 40 MB of printed text.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(returned=(zeros, zeros), printed="p" * 40_000_000))
    os.kill(os.getpid(), 9)
