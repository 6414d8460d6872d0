"""Leaves a child behind that goes on answering on the connection while the worker itself is gone.

Earns: masked_mean 2
"""


@in_call
def attack():
    connection = socket_of()
    if os.fork():
        os.kill(os.getpid(), 9)
    for _ in range(100):
        connection.recv(2**16)
        connection.sendall(frame_of(returned=(torch.zeros(6, 5), torch.zeros(6, 5))))
