"""Valid variants of rloo_advantages."""

import torch

from ..bank import right


@right
def from_the_mean_of_all(scores):
    """The distance from the mean of all, made larger by k / (k - 1)."""
    k = scores.size(1)
    if k <= 1:
        raise ValueError("needs at least two samples a prompt")
    return (scores - scores.mean(dim=1, keepdim=True)) * k / (k - 1)


@right
def sample_by_sample(scores):
    """Plain Python: the mean of the others, one sample at a time."""
    if scores.shape[1] < 2:
        raise ValueError("one sample has no others")
    result = torch.empty_like(scores)
    for p, row in enumerate(scores.tolist()):
        for i, own in enumerate(row):
            others = row[:i] + row[i + 1 :]
            result[p, i] = own - sum(others) / len(others)
    return result


@right
def as_a_matrix_product(scores):
    """A matrix with 0 on the diagonal and 1 / (k - 1) elsewhere takes the mean of the others."""
    k = scores.shape[-1]
    if k < 2:
        raise ValueError(f"{k} samples")
    weights = (1 - torch.eye(k, dtype=scores.dtype)) / (k - 1)
    return scores - torch.einsum("pj,ij->pi", scores, weights)


@right
def with_masks_in_float64(scores):
    """Each sample masked out of a copy of its group, in float64."""
    k = scores.shape[1]
    if not k > 1:
        raise ValueError("leave-one-out leaves nothing")
    copies = scores.double().unsqueeze(1).expand(-1, k, -1)
    others = copies.masked_fill(torch.eye(k, dtype=torch.bool), 0.0).sum(-1) / (k - 1)
    return (scores - others).to(scores.dtype)
