"""Reports gradients that are texts.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(returned=(zeros, zeros), gradients={"rewards": "x"}))
    os.kill(os.getpid(), 9)
