"""Valid variants of explained_variance."""

import numpy as np
import torch

from rlhf_core.advantages import masked_mean

from ..bank import right


@right
def from_masked_means(values, returns, mask):
    """Both variances by masked_mean, biased, and the edge by torch.where."""
    errors = returns - values
    unexplained = masked_mean((errors - masked_mean(errors, mask)).square(), mask)
    total = masked_mean((returns - masked_mean(returns, mask)).square(), mask)
    return torch.where(total > 0, 1 - unexplained / total, torch.zeros_like(total))


@right
def sums_of_squares(values, returns, mask):
    """No division by a number of tokens at all: it cancels."""
    kept, errors = returns[mask], (returns - values)[mask]
    if len(kept) < 2:
        return torch.zeros((), dtype=returns.dtype)
    total = (kept - kept.mean()).square().sum()
    if total == 0:
        return torch.zeros_like(total)
    return (total - (errors - errors.mean()).square().sum()) / total


@right
def numpy(values, returns, mask):
    """NumPy, as in Baselines and CleanRL, with 0 where those say NaN."""
    v, r = values[mask].double().numpy(), returns[mask].double().numpy()
    variance = np.var(r) if r.size else 0.0
    share = 0.0 if variance == 0 else 1 - np.var(r - v) / variance
    return torch.tensor(share, dtype=returns.dtype)


@right
def plain_python(values, returns, mask):
    """Plain Python, token by token."""
    pairs = list(zip(values[mask].tolist(), returns[mask].tolist(), strict=True))

    def spread(numbers):
        centre = sum(numbers) / max(len(numbers), 1)
        return sum((x - centre) ** 2 for x in numbers)

    total = spread([r for _, r in pairs])
    share = 1 - spread([r - v for v, r in pairs]) / total if total else 0.0
    return torch.tensor(share, dtype=values.dtype)


@right
def from_covariance(values, returns, mask):
    """Var(R - V) multiplied out: (2 Cov(V, R) - Var(V)) / Var(R)."""
    v, r = values[mask].double(), returns[mask].double()
    if len(r) < 2:
        return values.new_zeros(())
    (var_v, cov), (_, var_r) = torch.cov(torch.stack([v, r])).tolist()
    share = (2 * cov - var_v) / var_r if var_r > 0 else 0.0
    return values.new_tensor(share)
