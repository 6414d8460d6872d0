"""Reports 3 MB of printed text.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    take_over(frame_of(returned=(zeros, zeros), printed="p" * 3_000_000))
