"""Announces a frame, sends half of it and goes.

Earns: masked_mean 2
"""


@in_call
def attack():
    frame = frame_of(returned=(torch.zeros(100), torch.zeros(100)))
    socket_of().sendall(frame[: len(frame) // 2])
    os._exit(0)
    os.kill(os.getpid(), 9)
