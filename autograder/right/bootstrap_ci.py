"""Valid variants of bootstrap_ci."""

import math

import numpy as np
import torch

from ..bank import right


@right
def one_resample_at_a_time(x, level=0.95, n_resamples=2000, generator=None):
    """A loop over the resamples; the quantiles are picked from the sorted means."""
    means = sorted(x[torch.randint(0, len(x), (len(x),), generator=generator)].mean().item() for _ in range(n_resamples))
    lower = math.floor((1 - level) / 2 * (n_resamples - 1))
    upper = math.ceil((1 + level) / 2 * (n_resamples - 1))
    return means[lower], means[upper]


@right
def by_multinomial(x, level=0.95, n_resamples=2000, generator=None):
    """Indices by torch.multinomial with replacement; two tensors come back."""
    draws = torch.multinomial(torch.ones(n_resamples, len(x)), len(x), replacement=True, generator=generator)
    means = x[draws].mean(-1)
    return means.quantile((1 - level) / 2, interpolation="lower"), means.quantile((1 + level) / 2, interpolation="higher")


@right
def by_counts(x, level=0.95, n_resamples=2000, generator=None):
    """How often each value was drawn, as a matrix, times the values."""
    draws = (torch.rand(n_resamples, len(x), generator=generator, dtype=torch.float64) * len(x)).long()
    counts = torch.zeros(n_resamples, len(x), dtype=torch.float64).scatter_add_(1, draws, torch.ones(draws.shape).double())
    means = counts @ x.double() / len(x)
    low, high = torch.quantile(means, torch.tensor([(1 - level) / 2, 1 - (1 - level) / 2], dtype=torch.float64)).tolist()
    return low, high


@right
def with_numpy(x, level=0.95, n_resamples=2000, generator=None):
    """numpy draws from a seed that the generator gives, and np.percentile takes percent."""
    seed = None if generator is None else torch.randint(2**31, (), generator=generator).item()
    values = x.double().numpy()
    means = np.random.default_rng(seed).choice(values, (n_resamples, len(values))).mean(1)
    low, high = np.percentile(means, [100 * (1 - level) / 2, 100 * (1 + level) / 2], method="hazen")
    return float(low), float(high)


@right
def by_counting_means(x, level=0.95, n_resamples=2000, generator=None):
    """The k smallest and the k largest means are cut off, with a rounded k; a list comes back."""
    device = generator.device if generator is not None else "cpu"
    means, _ = torch.stack([
        x[torch.randint(len(x), (len(x),), generator=generator, device=device)].sum() / len(x) for _ in range(n_resamples)
    ]).sort()  # fmt: skip
    cut = min(round((1 - level) / 2 * n_resamples), (n_resamples - 1) // 2)
    return [means[cut].item(), means[n_resamples - 1 - cut].item()]


@right
def in_one_tensor(x, level=0.95, n_resamples=2000, generator=None):
    """Both quantiles in one call, returned as a tensor of two."""
    means = x[torch.randint(len(x), (n_resamples, len(x)), generator=generator)].mean(1)
    return means.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=means.dtype))
