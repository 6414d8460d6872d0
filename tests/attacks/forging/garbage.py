"""Sends random bytes.

Earns: masked_mean 2
"""


@in_call
def attack():
    socket_of().sendall(os.urandom(5000))
    os.kill(os.getpid(), 9)
