"""Shuts the connection half, and goes on.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    socket_of().shutdown(socket.SHUT_WR)
