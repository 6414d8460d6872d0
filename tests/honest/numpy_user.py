import numpy as np
import torch


def bootstrap_ci(x, level=0.95, n_resamples=2000, generator=None):
    seed = int(torch.randint(0, 2**31, (1,), generator=generator))
    drawn = np.random.default_rng(seed).integers(0, len(x), (n_resamples, len(x)))
    means = x.numpy()[drawn].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def normalize_scores(scores, eps=1e-8):
    x = scores.detach().numpy()
    return torch.from_numpy((x - x.mean()) / np.sqrt(x.var() + eps))


def best_of_n_kl(n):
    return np.log(n) - (n - 1) / n
