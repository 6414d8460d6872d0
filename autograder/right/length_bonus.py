"""Valid variants of length_bonus."""

import numpy as np
import torch

from ..bank import right


@right
def text_by_text(texts, target_words=50, weight=0.5):
    """Plain Python numbers, one text after the other, made a tensor at the end."""
    bonus = []
    for text in texts:
        words = len(text.split())
        bonus.append(weight if words >= target_words else weight * words / target_words)
    return torch.tensor(bonus, dtype=torch.float32)


@right
def capping_the_words(texts, target_words=50, weight=0.5):
    """The number of words is capped at the target, then divided."""
    words = torch.tensor([len(text.split()) for text in texts])
    return weight * torch.minimum(words, torch.tensor(target_words)) / target_words


@right
def with_numpy(texts, target_words=50, weight=0.5):
    """In numpy's float64, and float32 at the end; the cap is at the weight, with the weight multiplied in."""
    words = np.array([sum(1 for _ in text.split()) for text in texts], dtype=np.float64)
    return torch.from_numpy(np.minimum(weight * words / target_words, weight)).float()
