import sys
import warnings

import torch

from rlhf_core.advantages import masked_mean

print("loading my answers " * 1000)


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    for row in range(200):
        print(row, x, mask)
    print("this is stderr", file=sys.stderr)
    warnings.warn("a warning", stacklevel=2)
    kept = torch.where(mask, x, 0.0)
    if dim is None:
        return kept.sum() / mask.sum().clamp(min=1)
    return kept.sum(dim) / mask.sum(dim).clamp(min=1)


def length_bonus(lengths, target, coef):
    print("<b>length</b>", lengths)
    return coef * lengths
