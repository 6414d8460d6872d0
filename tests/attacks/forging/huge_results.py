"""Reports results of 60 MB.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(returned=(torch.zeros(7_000_000), torch.zeros(7_000_000))))
