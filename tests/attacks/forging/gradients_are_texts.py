"""Reports gradients that are texts.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    take_over(frame_of(returned=(zeros, zeros), gradients={"rewards": "x"}))
