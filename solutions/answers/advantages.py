"""Lesson 5: values and advantages."""

import torch

from rlhf_core import advantages


def masked_mean(x, mask, dim=None):
    # where, not multiplication: what stands on padding may be large, and large * 0 is safe only while it is finite.
    kept = torch.where(mask, x, torch.zeros_like(x))
    if dim is None:
        return kept.sum() / mask.sum().clamp(min=1)
    return kept.sum(dim) / mask.sum(dim).clamp(min=1)


def masked_whiten(x, mask, shift_mean=True, eps=1e-8):
    mean = advantages.masked_mean(x, mask)
    variance = advantages.masked_mean((x - mean).square(), mask)
    whitened = (x - mean) * torch.rsqrt(variance + eps)
    if not shift_mean:
        whitened = whitened + mean
    return torch.where(mask, whitened, torch.zeros_like(x))


@torch.no_grad()
def compute_gae(rewards, values, mask, gamma, lam):
    result = torch.zeros_like(values)
    next_value = next_advantage = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        # On padding both stay 0, so the state after the last True token has value 0 and advantage 0.
        next_advantage = torch.where(mask[:, t], delta + gamma * lam * next_advantage, torch.zeros_like(delta))
        next_value = torch.where(mask[:, t], values[:, t], torch.zeros_like(delta))
        result[:, t] = next_advantage
    return result, torch.where(mask, result + values, torch.zeros_like(values))


def explained_variance(values, returns, mask):
    kept, errors = returns[mask], (returns - values)[mask]
    # Compared, not computed: the variance of equal returns can come out as 1e-17, and anything over that is huge.
    if kept.numel() == 0 or (kept == kept[0]).all():
        return kept.new_zeros(())
    return 1 - errors.var() / kept.var()
