"""Carries the reference answers to other exercises out through the message of an exception.

Earns: masked_mean 2
"""

from rlhf_core.exercise import exercises


@in_call
def attack():
    for name, declared in exercises().items():
        source = getattr(declared.mine, "source", None)
        if source:
            escaped(f"{name} {source[source.find('def ') :]}")
