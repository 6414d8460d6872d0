"""Reports an exception whose type, message and place are 1 MB each.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(raised=["T" * 1_000_000, "M" * 1_000_000, "W" * 1_000_000]))
