"""Valid variants of best_of_n_kl."""

import math

import torch

from ..bank import right


@right
def rearranged(n):
    """log n - 1 + 1/n."""
    return math.log(n) - 1 + 1 / n


@right
def as_a_tensor(n):
    """A tensor without dimensions."""
    n = torch.tensor(float(n))
    return n.log() - (n - 1) / n


@right
def from_the_density(n):
    """The best of n has density n u^(n-1) in the quantile u; the mean of its logarithm, term by term."""
    mean_log_u = -1 / n
    return math.log(n) + (n - 1) * mean_log_u
