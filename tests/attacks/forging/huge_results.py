"""Reports results of 4 MB.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(returned=(torch.zeros(450_000), torch.zeros(450_000))))
