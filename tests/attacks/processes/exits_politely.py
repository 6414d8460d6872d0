"""Raises SystemExit and has more of it ready for later.

Earns: masked_mean 2
"""

import atexit

atexit.register(lambda: print("passed"))


@in_call
def attack():
    sys.exit(0)
