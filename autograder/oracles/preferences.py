"""Lesson 3, slowly: a reward model from pairs of texts."""

import torch

from .advantages import mean


def last_token_index(attention_mask):
    """The largest t with attention_mask[b, t] = 1: (B, L) -> int64 (B,)."""
    last = torch.zeros(attention_mask.shape[0], dtype=torch.int64, device=attention_mask.device)
    for b in range(attention_mask.shape[0]):
        for t in range(attention_mask.shape[1]):
            if attention_mask[b, t]:
                last[b] = t
    return last


def log_sigmoid(x):
    """log(1 / (1 + exp(-x))) of a scalar, by the branch whose exponential cannot overflow."""
    return -torch.log1p(torch.exp(-x)) if x >= 0 else x - torch.log1p(torch.exp(x))


def bradley_terry_loss(chosen, rejected):
    """Mean over pairs of -log sigmoid(chosen - rejected): two (B,) -> scalar."""
    return mean([-log_sigmoid(c - r) for c, r in zip(chosen.double(), rejected.double(), strict=True)])


def pairwise_accuracy(chosen, rejected):
    """The share of pairs in which the chosen text scores higher, a tie counting one half: two (B,) -> scalar."""
    points = []
    for c, r in zip(chosen.double(), rejected.double(), strict=True):
        points.append(1.0 if c > r else 0.5 if c == r else 0.0)
    return torch.tensor(mean(points), dtype=torch.float64)
