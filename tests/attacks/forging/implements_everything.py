"""Says that it implements every exercise of the course.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(
    pack(
        {"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}}
        | {"implemented": ["kl_estimate", "compute_gae", "nothing", "../x"] * 50}
    )
)
os.kill(os.getpid(), 9)
