"""Reports an exception whose parts are tensors and lists.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    socket_of().sendall(frame_of(raised=[zeros, [zeros], {}]))
    os.kill(os.getpid(), 9)
