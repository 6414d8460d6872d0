"""Valid variants of normalize_scores."""

import statistics

import torch

from ..bank import right


@right
def over_n_minus_one(scores, eps=1e-8):
    """torch.std over n - 1, with a single score taken care of."""
    if scores.numel() < 2:
        return torch.zeros_like(scores)
    return (scores - scores.mean()) / (scores.std() + eps)


@right
def in_plain_python(scores, eps=1e-8):
    """The statistics module of Python on a list of numbers."""
    values = scores.tolist()
    mean, deviation = statistics.fmean(values), statistics.pstdev(values)
    return torch.tensor([(x - mean) / (deviation + eps) for x in values], dtype=scores.dtype)


@right
def in_float64(scores, eps=1e-8):
    """torch.std_mean over n, in float64, and back to the dtype of the scores."""
    deviation, mean = torch.std_mean(scores.double(), unbiased=False)
    return ((scores.double() - mean) / (deviation + eps)).to(scores.dtype)


@right
def nan_safe(scores, eps=1e-8):
    """The deviation over n - 1 is NaN for a single score, and made 0 then."""
    deviation = torch.nan_to_num(scores.std(dim=0, keepdim=True), nan=0.0)
    return (scores - scores.mean(0, keepdim=True)) / (deviation + eps)


@right
def squares_summed_up(scores, eps=1e-8):
    """The sum of squares over max(n - 1, 1), written out with a dot product."""
    distance = scores - scores.sum() / len(scores)
    return distance / (torch.dot(distance, distance) / max(len(scores) - 1, 1)).sqrt().add(eps)
