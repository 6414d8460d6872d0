"""Matches a regular expression that takes longer than the universe.

Earns: masked_mean 2
"""

import re


@in_call
def attack():
    re.match(r"(a+)+$", "a" * 60 + "b")
