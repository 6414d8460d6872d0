"""Names a tensor that it does not send.

Earns: masked_mean 2
"""

import json
import struct


@in_call
def attack():
    head, body = b'{"tensor":"7"}', b""
    socket_of().sendall(struct.pack(">II", len(head), len(body)) + head + body)
    os.kill(os.getpid(), 9)
