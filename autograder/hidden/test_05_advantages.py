"""Lesson 5, values and advantages: the hidden twin."""

import pytest
import torch

from autograder.visible.test_05_advantages import constants, foreseen

pytestmark = pytest.mark.hidden


@pytest.mark.exercise("masked_mean")
@pytest.mark.points(3)
def test_masked_mean_secret_inputs(answer, draw):
    """Other sizes, masks with holes."""
    for shape in ((7, 3), (2, 9)):
        mask = draw.integers(0, 3, *shape) > 0
        mask[0] = mask[:, 0] = True
        for dim in (None, 0, 1):
            answer.agrees(draw.junk(draw.normal(*shape, scale=3), mask), mask, dim=dim)


@pytest.mark.exercise("masked_mean")
def test_masked_mean_secret_edges(answer, draw):
    """Empty rows and columns of other sizes, one True place, zeros that count."""
    mask = draw.mask(6, 0, 1, 4, width=8)
    x = draw.junk(draw.normal(4, 8, scale=2), mask)
    single = draw.order(6).reshape(2, 3) == 0

    def edge(answer):
        for dim in (0, 1, -1):
            answer.agrees(x, mask, dim=dim, coarse=True)
        for dim in (None, 0, 1):
            answer.agrees(draw.junk(draw.normal(2, 3) - 2, single), single, dim=dim, coarse=dim is not None)
        answer.agrees(x.index_fill(1, torch.tensor([0, 2]), 0.0), mask)

    answer.at_the_edge(lambda a: a.agrees(x, mask), edge)


@pytest.mark.exercise("masked_whiten")
@pytest.mark.points(3)
def test_masked_whiten_secret_inputs(answer, draw):
    """Other sizes, with and without the shift."""
    for lengths, width in (((1, 7, 3), 8), ((2, 2, 1, 0, 3), 3)):
        mask = draw.mask(*lengths, width=width)
        for shift_mean in (True, False):
            x = draw.junk(draw.normal(*mask.shape, scale=3) - 2, mask)
            answer.agrees(x, mask, shift_mean=shift_mean, eps=0.3)
            answer.agrees(x, mask, shift_mean=shift_mean)


@pytest.mark.exercise("masked_whiten")
def test_masked_whiten_secret_edges(answer, draw):
    """One token, two tokens, and a batch of one row."""
    mask = draw.mask(5, 2, 0, width=6)
    x = draw.junk(draw.normal(3, 6, scale=3) - 2, mask)

    def edge(answer):
        row = torch.tensor([[True, False, False, False]])
        for shift_mean in (True, False):
            answer.agrees(torch.tensor([[4.0, 3.0, -8.0, 20.0]]), row, shift_mean=shift_mean, coarse=True)
            answer.agrees(
                torch.tensor([[4.0, 1.0, -8.0, 20.0]]), torch.tensor([[True, True, False, False]]), shift_mean=shift_mean
            )

    answer.at_the_edge(lambda a: a.agrees(x, mask), edge)


@pytest.mark.exercise("compute_gae")
@pytest.mark.points(3)
def test_gae_secret_inputs(answer, draw):
    """Other sizes, other gamma and lambda."""
    for lengths, width in (((8, 1, 5), 9), ((3, 3, 2, 0, 1), 3)):
        mask = draw.mask(*lengths, width=width)
        gamma, lam = draw.uniform(0.3, 0.95, 2).tolist()
        rewards, values = draw.normal(*mask.shape, scale=2), draw.normal(*mask.shape, scale=3)
        answer.agrees(draw.junk(rewards, mask), draw.junk(values, mask), mask, gamma=gamma, lam=lam)


@pytest.mark.exercise("compute_gae")
def test_gae_batch_mates(answer, draw):
    """A row gives the same alone and among others."""
    mask = draw.mask(6, 2, 4, 0, width=6)
    rewards, values = draw.junk(draw.normal(4, 6), mask), draw.junk(draw.normal(4, 6), mask)
    for row in range(4):
        one = slice(row, row + 1)
        answer.agrees(rewards[one], values[one], mask[one], gamma=0.85, lam=0.6)


@pytest.mark.exercise("compute_gae")
def test_gae_secret_gradients(answer, draw):
    """No gradient comes through, for other sizes."""
    mask = draw.mask(3, 1, 4, 0, width=4)
    rewards, values = draw.junk(draw.normal(4, 4), mask), draw.junk(draw.normal(4, 4), mask)
    constants(answer, {"rewards": rewards, "values": values, "mask": mask, "gamma": 0.7, "lam": 0.8})


@pytest.mark.exercise("explained_variance")
@pytest.mark.points(3)
def test_explained_variance_secret_inputs(answer, draw):
    """Other sizes, a mask with holes, values good and bad."""
    holes = draw.integers(0, 3, 4, 5) > 0
    holes[:, 0] = True
    for mask in (draw.mask(7, 1, 3, 0, width=8), holes):
        answer.agrees(*foreseen(draw, mask, trust=0.6, noise=0.9, offset=-2))
        answer.agrees(*foreseen(draw, mask, trust=-0.4, noise=0.3, offset=5))
        answer.agrees(*foreseen(draw, mask, trust=0.3, noise=5))
    returns = draw.normal(4, 5, scale=3) - 2
    for values in (returns - 3, torch.full_like(returns, -0.7)):
        answer.agrees(draw.junk(values, holes), draw.junk(returns, holes), holes)


@pytest.mark.exercise("explained_variance")
def test_explained_variance_secret_edges(answer, draw):
    """Returns that do not vary, in other sizes."""
    mask = draw.mask(2, 6, width=7)
    ordinary = foreseen(draw, mask, trust=0.6, noise=0.9)

    def edge(answer):
        equal = torch.full((2, 7), -0.5, dtype=torch.float64)
        for values in (draw.normal(2, 7, scale=3), equal):
            answer.agrees(draw.junk(values, mask), draw.junk(equal, mask), mask)
        single = draw.order(8).reshape(4, 2) == 0
        answer.agrees(draw.normal(4, 2), draw.normal(4, 2), single)
        answer.agrees(draw.normal(4, 2), draw.normal(4, 2), torch.zeros_like(single))

    answer.at_the_edge(lambda a: a.agrees(*ordinary), edge)
