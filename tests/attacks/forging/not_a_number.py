"""Reports results that are NaN and infinite.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    take_over(frame_of(returned=(zeros / 0, zeros + float("inf"))))
