"""Writes forged frames and results to every descriptor that can be written to.

Earns: masked_mean 2
"""

import json


@in_call
def attack():
    forged = frame_of(returned=(torch.zeros(1, 1), torch.zeros(1, 1)))
    result = json.dumps(
        {"schema": 1, "state": "graded", "points": 100.0, "exercises": {"compute_gae": {"points": 6.0}}}
    ).encode()
    for descriptor in range(3, 1024):
        for content in (forged, result + b"\n", b'{"ended": 1, "code": 0}\n', b'{"ready": true}\n'):
            try:
                os.write(descriptor, content)
            except OSError:
                break
