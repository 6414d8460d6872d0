"""Attaches notes and problems of 20 MB each to its exercises.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(
    pack(
        {"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}}
        | {"problems": {"kl_exact": ["not_graded", "P" * 20_000_000]}, "notes": {"compute_gae": "N" * 20_000_000}}
    )
)
os.kill(os.getpid(), 9)
