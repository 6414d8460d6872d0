"""Names its exercises by a tensor.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(
    pack({"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}} | {"implemented": torch.zeros(3)})
)
os.kill(os.getpid(), 9)
