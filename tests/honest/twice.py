import torch

from rlhf_core.advantages import masked_mean
from rlhf_core.evaluate import win_rate


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    return x.mean()


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    x = x * mask
    return x.sum() / mask.sum() if dim is None else x.sum(dim) / mask.sum(dim)


@win_rate.implement
def win_rate(after, before):
    return (after > before).float().mean()


if __name__ == "__main__":
    print(masked_mean(torch.ones(2), torch.ones(2).bool()))
