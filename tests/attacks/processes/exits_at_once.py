"""Ends the process with success, past every handler.

Earns: masked_mean 2
"""


@in_call
def attack():
    os._exit(0)
