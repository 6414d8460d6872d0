"""Lesson 3, a reward model from preferences: the hidden twin."""

import pytest
import torch

pytestmark = pytest.mark.hidden


@pytest.mark.exercise("last_token_index")
@pytest.mark.points(3)
def test_last_token_index_secret_inputs(answer, draw):
    """Other sizes, every kind of padding, int64 and bool."""
    for rows, width in ((9, 8), (3, 12)):
        first = draw.integers(0, width - 1, rows, 1)
        end = first + 1 + draw.integers(0, width, rows, 1) % (width - first)
        first[0], end[0] = 0, width
        first[1], end[1] = 2, width - 2
        places = torch.arange(width)
        mask = (places >= first) & (places < end)
        answer.agrees(mask.long())
        answer.agrees(mask)


@pytest.mark.exercise("last_token_index")
def test_last_token_index_batch_mates(answer, draw):
    """A row gives the same alone and among others."""
    mask = torch.tensor([[0, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]])[draw.order(3)]
    answer.agrees(mask)
    for row in range(3):
        answer.agrees(mask[row : row + 1])


@pytest.mark.exercise("bradley_terry_loss")
@pytest.mark.points(3)
def test_bradley_terry_secret_inputs(answer, draw):
    """Other sizes and scales."""
    for n, scale in ((11, 1.0), (3, 4.0)):
        rejected = draw.normal(n, scale=scale)
        answer.agrees(rejected + draw.normal(n, scale=scale), rejected)


@pytest.mark.exercise("bradley_terry_loss")
def test_bradley_terry_secret_extremes(answer, draw):
    """Negative scores of 1e4, and both sides in one batch."""
    score = draw.uniform(-1e4, -9e3, 1).item()
    far = torch.tensor([0.0, score, -score], dtype=torch.float64)
    answer.agrees(far, far[draw.integers(1, 3, 1)].expand(3) + 0.5, coarse=True, rtol=5e-3, atol=5e-3)
    answer.agrees(-far, far + 0.5, coarse=True, rtol=5e-3, atol=5e-3)


@pytest.mark.exercise("pairwise_accuracy")
@pytest.mark.points(3)
def test_pairwise_accuracy_secret_inputs(answer, draw):
    """Other numbers of wins, losses and ties."""
    for n in (13, 4):
        chosen = draw.normal(n)
        sign = draw.integers(-1, 2, n)
        sign[:3] = torch.tensor([0, 1, 1])
        answer.agrees(chosen, (chosen - sign * draw.uniform(0.1, 2, n)).round(decimals=2))
