"""Reports an exception that is a number.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(raised=7))
