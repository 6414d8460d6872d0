"""Sends its frame a byte at a time, each well within any time limit for one read.

Earns: masked_mean 2
"""

import time


@in_call
def attack():
    import signal

    signal.setitimer(signal.ITIMER_REAL, 0)
    connection = socket_of()
    for byte in frame_of(returned=(torch.zeros(6, 5), torch.zeros(6, 5))):
        connection.sendall(bytes([byte]))
        time.sleep(1)
