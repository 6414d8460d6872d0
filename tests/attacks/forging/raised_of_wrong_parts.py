"""Reports an exception whose parts are tensors and lists.

Earns: masked_mean 2
"""


@in_call
def attack():
    zeros = torch.zeros(6, 5)
    take_over(frame_of(raised=[zeros, [zeros], {}]))
