"""Calls the exercise, which calls it, as often as Python lets it.

Earns: masked_mean 2
"""


@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    import rlhf_core.advantages

    return rlhf_core.advantages.compute_gae(rewards, values, mask, gamma, lam)
