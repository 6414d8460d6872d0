"""Closes every descriptor, the connection with them.

Earns: masked_mean 2
"""


@in_call
def attack():
    os.closerange(0, 4096)
