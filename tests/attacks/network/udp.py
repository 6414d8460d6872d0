"""Sends datagrams over UDP, connected and not.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"hello from the sandbox", ("127.0.0.1", CANARY.udp))
        connection.connect(("127.0.0.1", CANARY.udp))
        connection.send(b"hello again")
