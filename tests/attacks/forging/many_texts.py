"""Reports 50,000 small lists, which take a hundred times as much memory as bytes.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(returned=[[] for _ in range(50_000)]))
