"""My answers to lessons 4 and 5."""

import functools
import math
from functools import partial

import torch

from rlhf_core.advantages import compute_gae, masked_mean
from rlhf_core.kl import kl_estimate, kl_exact

SQUARE = 2
FORMULAS = {"k1": lambda d: d, "k2": lambda d: d**SQUARE / 2, "k3": lambda d: torch.expm1(-d) + d}


def zero_where(mask, x):
    return torch.where(mask, torch.zeros_like(x), x)


def backwards(width):
    yield from range(width - 1, -1, -1)


def make_mean(smallest):
    def mean(x, mask, dim=None):
        kept = zero_where(~mask, x)
        args = () if dim is None else (dim,)
        return kept.sum(*args) / mask.sum(*args).clamp(min=smallest)

    return mean


masked_mean.implement(make_mean(1))


@kl_estimate.implement
def kl_estimate(logprobs, ref_logprobs, estimator):
    try:
        return FORMULAS[estimator](logprobs - ref_logprobs)
    except KeyError:
        raise ValueError(f"no estimator {estimator}") from None


@kl_exact.implement
def kl_exact(logits, ref_logits):
    log_softmax = partial(torch.log_softmax, dim=-1)
    p, q = log_softmax(logits), log_softmax(ref_logits)
    return (p.exp() * (p - q)).sum(-1)


@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    with torch.no_grad():
        rewards, values = zero_where(~mask, rewards), zero_where(~mask, values)
        columns, following, running = [], 0.0, torch.zeros_like(values[:, 0])
        for t in backwards(values.shape[1]):
            running = (rewards[:, t] + gamma * following - values[:, t] + gamma * lam * running) * mask[:, t]
            following = values[:, t]
            columns.append(running)
        advantages = torch.stack(columns[::-1], 1)
        return advantages, advantages + values
