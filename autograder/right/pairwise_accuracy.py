"""Valid variants of pairwise_accuracy."""

import torch

from ..bank import right


@right
def by_the_sign(chosen, rejected):
    """The sign of the difference is 1, 0 or -1: moved and scaled to 1, a half and 0."""
    return ((chosen - rejected).sign() + 1).mean() / 2


@right
def as_a_python_number(chosen, rejected):
    """Pair by pair in plain Python; returns a float."""
    points = [1.0 if c > r else 0.5 if c == r else 0.0 for c, r in zip(chosen.tolist(), rejected.tolist(), strict=True)]
    return sum(points) / len(points)


@right
def by_heaviside(chosen, rejected):
    """The step function with the value one half at 0."""
    return torch.heaviside(chosen - rejected, chosen.new_tensor(0.5)).mean()


@right
def mean_of_both_rules(chosen, rejected):
    """Halfway between ties that win and ties that lose."""
    return ((chosen > rejected).double().mean() + (chosen >= rejected).double().mean()) / 2


@right
def by_where(chosen, rejected):
    """torch.where in torch.where, always in float32."""
    points = torch.where(chosen > rejected, 1.0, torch.where(chosen == rejected, 0.5, 0.0))
    return points.float().mean()


@right
def by_counting(chosen, rejected):
    """Whole numbers of half points, divided at the end."""
    halves = 2 * (chosen > rejected).sum() + (chosen == rejected).sum()
    return halves / (2 * chosen.numel())


@right
def with_numpy(chosen, rejected):
    """Over numpy; returns what numpy returns."""
    import numpy as np

    return float(np.heaviside((chosen - rejected).numpy(), 0.5).mean())
