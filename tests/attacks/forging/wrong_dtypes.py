"""Reports results of bool, int8 and bfloat16.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    take_over(frame_of(returned=(zeros.bool(), zeros.bfloat16())))
