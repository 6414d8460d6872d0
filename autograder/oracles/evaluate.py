"""Lesson 7, slowly: an honest evaluation."""

import math

import torch

from .advantages import mean, variance


def bootstrap_ci_normal(x, level=0.95):
    """mean -+ z * std / sqrt(n), two floats: where the percentile interval of the mean tends for large samples (N,).

    The deviation is the biased one, that of the sample a bootstrap draws from.
    """
    terms = x.double().tolist()
    z = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)).item()
    half_width = z * math.sqrt(variance(terms, unbiased=False) / len(terms))
    return mean(terms) - half_width, mean(terms) + half_width


def win_rate(after, before):
    """The share of pairs in which `after` is higher, a tie counting one half: two (N,) -> scalar."""
    points = []
    for a, b in zip(after.double(), before.double(), strict=True):
        points.append(1.0 if a > b else 0.5 if a == b else 0.0)
    return torch.tensor(mean(points), dtype=torch.float64)


def sequence_kl(logprobs, ref_logprobs, mask):
    """sum over the True tokens of a row of logprobs - ref_logprobs, sign kept: three (B, T) -> (B,)."""
    totals = torch.zeros(mask.shape[0], dtype=torch.float64, device=mask.device)
    for b in range(mask.shape[0]):
        for t in range(mask.shape[1]):
            if mask[b, t]:
                totals[b] += logprobs[b, t].detach().double() - ref_logprobs[b, t].detach().double()
    return totals
