"""Refuses itself in the words of the reader, with a reason of its own.

Earns: nothing
"""

from autograder.driver.frames import pack

socket_of().sendall(
    pack(
        {"implemented": ["compute_gae", "masked_mean"], "problems": {}, "notes": {}}
        | {"refused": "<script>alert(1)</script>", "cells": [], "answers": {"compute_gae": {"source": "x", "normal": "x"}}}
    )
)
os.kill(os.getpid(), 9)
