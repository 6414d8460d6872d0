"""Reports a text of 3 MB that begins like the name of a type.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(returned="<" + "A" * 3_000_000))
