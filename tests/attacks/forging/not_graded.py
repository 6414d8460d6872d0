"""Asks for a state that has no denominator.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(
    pack(
        {"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}}
        | {"implemented": [], "problems": {"compute_gae": ["not_graded", "ours"], "masked_mean": ["fault", "ours"]}}
    )
)
os.kill(os.getpid(), 9)
