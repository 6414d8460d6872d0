"""Sends the answers to later questions before they are asked.

Earns: masked_mean 2
"""

import threading
import time


@in_call
def attack():
    def later():
        connection = socket_of()
        while True:
            time.sleep(0.002)
            connection.sendall(frame_of(returned=(torch.zeros(6, 5), torch.zeros(6, 5))))

    threading.Thread(target=later, daemon=True).start()
