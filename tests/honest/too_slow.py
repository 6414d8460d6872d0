import time

import torch

from rlhf_core.advantages import masked_mean, masked_whiten

calls = []


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    if dim == 0:
        time.sleep(1000)
    kept = torch.where(mask, x, 0.0)
    return kept.sum() / mask.sum().clamp(min=1)


@masked_whiten.implement
def masked_whiten(x, mask, shift_mean=True, eps=1e-8):
    while mask.any():
        calls.append(1)
        calls.clear()
    return x
