"""Reports an exception whose type, message and place are 5 MB each.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(raised=["T" * 5_000_000, "M" * 5_000_000, "W" * 5_000_000]))
