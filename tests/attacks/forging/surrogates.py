"""Reports halves of surrogate pairs.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(returned="\ud800\udfff" * 1000, printed="\udc80"))
