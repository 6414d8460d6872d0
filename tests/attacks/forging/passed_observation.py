"""Sends a report of the right form with fields that no call has, such as its own points.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(returned=(zeros, zeros), points=6.0, status="passed", findings=[], diagnosis=None))
    os._exit(0)
