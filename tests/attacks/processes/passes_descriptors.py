"""Sends the grader a hundred descriptors with its reply.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]
    socket.send_fds(socket_of(), [b"\0"], files)
