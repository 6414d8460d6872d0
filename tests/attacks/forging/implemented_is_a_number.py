"""Names its exercises by a number.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(pack({"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}} | {"implemented": 7}))
os.kill(os.getpid(), 9)
