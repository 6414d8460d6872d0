"""Raises exceptions of 5 MB while it is being read, in the names of other exercises.

Earns: masked_mean 2
"""


def kl_exact(logits, ref_logits=1 / 0 if False else None):
    return logits


class Loud(Exception):
    pass


raise Loud("kl_estimate <script>alert(1)</script>\x1b[31m" + "x" * 5_000_000)
