"""Replaces the driver's observe by one that reports what it likes.

Earns: nothing
"""


def observe(implementation, arguments, seconds, gradients=(), weights=None, files=()):
    zeros = torch.zeros(6, 5)
    return driver()["Observation"](returned=(zeros, zeros), gradients=dict.fromkeys(gradients, torch.zeros(6, 5)))


driver()["observe"] = observe


in_call(lambda: None)
