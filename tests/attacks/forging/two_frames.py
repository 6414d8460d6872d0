"""Answers every question twice: once forged, once by the driver.

Earns: masked_mean 2
"""


@in_call
def attack():
    socket_of().sendall(frame_of(returned=(torch.zeros(1, 1), torch.zeros(1, 1))))
