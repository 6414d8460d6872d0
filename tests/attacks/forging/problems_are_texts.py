"""Says that its problems are a text.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(pack({"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}} | {"problems": "x"}))
os.kill(os.getpid(), 9)
