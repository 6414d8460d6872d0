"""Reports a generator and bytes in place of results.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(returned=(torch.Generator(), b"x" * 1000)))
