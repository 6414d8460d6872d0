"""Connects to a Unix socket by its path, and to those that machines have.

Earns: masked_mean 2
"""

import socket


@in_call
def attack():
    for path in (CANARY.unix, "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/notify", "/dev/log"):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(socket.AF_UNIX, kind) as connection:
                    connection.connect(path)
            except OSError:
                continue
            escaped(path)
