"""Connects over TCP to this machine, by every address that it has.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", socket.gethostname()):
        try:
            with socket.create_connection((host, CANARY.tcp), timeout=1) as connection:
                connection.sendall(b"hello from the sandbox")
        except OSError:
            continue
        escaped(f"TCP to {host}")
