"""Stands behind every attack: what its author has really done."""

import torch

from rlhf_core.advantages import masked_mean


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    kept = torch.where(mask, x, torch.zeros_like(x))
    if dim is None:
        return kept.sum() / mask.sum().clamp(min=1)
    return kept.sum(dim) / mask.sum(dim).clamp(min=1)
