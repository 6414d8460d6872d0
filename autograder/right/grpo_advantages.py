"""Valid variants of grpo_advantages."""

import torch

from ..bank import right


@right
def unbiased(scores, scale=True, eps=1e-4):
    """With torch's unbiased deviation; a single sample is taken care of first."""
    if scores.shape[1] == 1:
        return torch.zeros_like(scores)
    advantages = scores - scores.mean(dim=1, keepdim=True)
    if scale:
        advantages = advantages / (scores.std(dim=1, keepdim=True) + eps)
    return advantages


@right
def biased(scores, scale=True, eps=1e-4):
    """With torch's biased deviation."""
    mean, deviation = scores.mean(1, keepdim=True), scores.std(1, unbiased=False, keepdim=True)
    return (scores - mean) / (deviation + eps) if scale else scores - mean


@right
def unbiased_and_repaired(scores, scale=True, eps=1e-4):
    """The unbiased deviation of one sample is NaN, and is replaced by 0."""
    result = scores - scores.mean(-1, keepdim=True)
    if scale:
        result /= torch.nan_to_num(scores.std(-1, keepdim=True)) + eps
    return result


@right
def plain_python(scores, scale=True, eps=1e-4):
    """Plain Python, prompt by prompt."""
    rows = []
    for row in scores.tolist():
        mean = sum(row) / len(row)
        deviation = (sum((x - mean) ** 2 for x in row) / len(row)) ** 0.5
        rows.append([(x - mean) / (deviation + eps) if scale else x - mean for x in row])
    return torch.tensor(rows, dtype=scores.dtype)


@right
def by_the_norm_in_float64(scores, scale=True, eps=1e-4):
    """The deviation as the length of the centred group over the root of its size, in float64."""
    x = scores.double()
    x = x - x.mean(1, keepdim=True)
    deviation = torch.linalg.vector_norm(x, dim=1, keepdim=True) / scores.shape[1] ** 0.5
    return (x / (deviation + eps) if scale else x).to(scores.dtype)
