"""Reports a generator and bytes in place of results.

Earns: masked_mean 2
"""


@in_call
def attack():
    socket_of().sendall(frame_of(returned=(torch.Generator(), b"x" * 1000)))
    os.kill(os.getpid(), 9)
