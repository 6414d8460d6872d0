"""Fails on a line of 300 kB, which a message would show.

Earns: masked_mean 2
"""

exec("def long(x):\n    return x.missing + " + " + ".join(["'<script>alert(1)</script>'"] * 10_000))


@in_call
def attack():
    long(1)
