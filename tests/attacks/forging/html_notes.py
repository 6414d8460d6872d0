"""Attaches markup and control characters to its exercises.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(
    pack(
        {"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}}
        | {
            "problems": {"kl_exact": ["</td><script>", "<script>alert(1)</script>\\x1b[31m\\u202e"]},
            "notes": {"compute_gae": "<img src=x onerror=alert(1)>"},
        }
    )
)
os.kill(os.getpid(), 9)
