"""Connects to an abstract Unix socket, which no file system guards.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect("\0" + CANARY.abstract)
    escaped("abstract socket")
