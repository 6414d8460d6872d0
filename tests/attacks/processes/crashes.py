"""Reads address 0.

Earns: masked_mean 2
"""

import ctypes


@in_call
def attack():
    ctypes.string_at(0)
