"""Returns a list that holds itself, and one that is a million deep.

Earns: masked_mean 2
"""


@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    circle = []
    circle.append(circle)
    deep = []
    for _ in range(10**6):
        deep = [deep]
    return circle, deep
