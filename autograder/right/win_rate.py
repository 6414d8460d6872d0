"""Valid variants of win_rate."""

import numpy as np
import torch

from rlhf_core.preferences import pairwise_accuracy

from ..bank import right


@right
def by_the_sign(after, before):
    """The sign of the difference, moved from -1, 0, 1 to 0, one half, 1."""
    return ((after - before).sign() + 1).mean() / 2


@right
def in_plain_python(after, before):
    """Counts over pairs of Python numbers, returned as a float."""
    points = 0.0
    for a, b in zip(after.tolist(), before.tolist(), strict=True):
        points += 1 if a > b else 0.5 if a == b else 0
    return points / len(after)


@right
def larger_or_equal_halved(after, before):
    """The mean of "larger" and "larger or equal", in float32."""
    return 0.5 * ((after > before).float().mean() + (after >= before).float().mean())


@right
def by_the_exercise_of_lesson_3(after, before):
    """The pairwise accuracy of `after` as the chosen one."""
    return pairwise_accuracy(after, before)


@right
def by_heaviside(after, before):
    """The step function with the value one half at 0."""
    return torch.heaviside(after - before, torch.tensor(0.5, dtype=after.dtype)).mean().item()


@right
def with_numpy(after, before):
    """numpy's select, as a float."""
    a, b = after.numpy(), before.numpy()
    return float(np.where(a == b, 0.5, a > b).mean())
