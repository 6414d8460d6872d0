"""Answers with other exercises, plain and as they are in force, in all orders.

Earns: masked_mean 2, compute_gae 0.461538
"""

from rlhf_core import advantages


@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    return advantages.masked_whiten(rewards, mask), advantages.masked_whiten(values, mask)
