"""Reports that the time was up, so that the rest is not run.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(raised=["TimeIsUp", "", None]))
