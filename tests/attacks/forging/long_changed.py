"""Reports 150,000 changed inputs.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    take_over(frame_of(returned=(zeros, zeros), changed=["rewards<b>"] * 150_000))
