"""Reports 300,000 changed inputs.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(returned=(zeros, zeros), changed=["rewards<b>"] * 300_000))
    os.kill(os.getpid(), 9)
