"""Replaces isinstance, all, abs, len and sorted of the whole process during a call.

Earns: masked_mean 2
"""

import builtins


@in_call
def attack():
    builtins.all = lambda items: True
    builtins.abs = lambda x: 0
    builtins.sorted = lambda items, **options: []
