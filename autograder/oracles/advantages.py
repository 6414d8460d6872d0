"""Lesson 5, slowly: means under a mask, and generalized advantage estimation."""

import torch


def mean(terms, zero=0.0):
    """The sum of the terms over their number. Of no terms it is `zero`, which a caller ties to the graph for its gradient."""
    return sum(terms, zero) / max(len(terms), 1)


def variance(terms, unbiased):
    """sum (x - mean)^2 over n, or over n - 1 where `unbiased`; 0 for a single term."""
    centre = mean(terms)
    return sum((x - centre) ** 2 for x in terms) / max(len(terms) - int(unbiased), 1)


def true_terms(x, mask):
    """The elements of x, of any shape, where mask is True, as a list of scalars."""
    return [value for value, kept in zip(x.reshape(-1), mask.reshape(-1), strict=True) if kept]


def masked_mean(x, mask, dim=None):
    """The mean of x where mask is True, over everything or along `dim`; 0 with a zero gradient where nothing is True."""
    x = x.double()
    if dim is None:
        return mean(true_terms(x, mask), zero=(x * 0).sum())
    lines, masks = x.movedim(dim, -1), mask.movedim(dim, -1)
    width = lines.shape[-1]
    means = []
    for line, keep in zip(lines.reshape(-1, width), masks.reshape(-1, width), strict=True):
        means.append(mean(true_terms(line, keep), zero=(line * 0).sum()))
    return torch.stack(means).reshape(lines.shape[:-1])


def masked_whiten(x, mask, shift_mean=True, eps=1e-8, *, unbiased=False):
    """(x - mean) / sqrt(var + eps) over True tokens, plus the mean unless `shift_mean`: (B, T), 0 elsewhere."""
    x = x.double()
    whitened = torch.zeros_like(x)
    terms = true_terms(x, mask)
    centre, scale = mean(terms), (variance(terms, unbiased) + eps) ** 0.5
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            if mask[b, t]:
                whitened[b, t] = (x[b, t] - centre) / scale + (0.0 if shift_mean else centre)
    return whitened


def compute_gae(rewards, values, mask, gamma, lam):
    """A_t = sum_l (gamma * lam)^l delta_{t+l}, delta_t = r_t + gamma * V_{t+1} - V_t (Schulman 2016, eq. 16).

    All (B, T); the sum stops at the last True token of the row, after which V is 0. Returns (A, A + V), 0 where mask is
    False, without gradient.
    """
    rewards, values = rewards.detach().double(), values.detach().double()
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for b in range(mask.shape[0]):
        real = [t for t in range(mask.shape[1]) if mask[b, t]]
        r, v = [rewards[b, t] for t in real], [values[b, t] for t in real] + [0.0]
        delta = [r[i] + gamma * v[i + 1] - v[i] for i in range(len(real))]
        for i, t in enumerate(real):
            advantages[b, t] = sum((gamma * lam) ** ell * delta[i + ell] for ell in range(len(real) - i))
            returns[b, t] = advantages[b, t] + v[i]
    return advantages, returns


def explained_variance(values, returns, mask):
    """1 - sum (e - mean e)^2 / sum (R - mean R)^2 over True tokens, e = R - V; 0 where no two returns differ."""
    values, returns = values.double(), returns.double()
    seen, errors = true_terms(returns, mask), true_terms(returns - values, mask)
    if all(term == seen[0] for term in seen):
        return torch.zeros((), dtype=torch.float64)
    return 1 - variance(errors, unbiased=False) / variance(seen, unbiased=False)
