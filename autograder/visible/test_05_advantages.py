"""Lesson 5, values and advantages: what a learner sees."""

import pytest
import torch

from autograder import compare
from autograder.answer import EndOfCheck

pytestmark = pytest.mark.visible


def usable(answer, results, mask, names):
    """The results as a tuple of tensors of the shape of the mask; ends the check where they are not."""
    results = results if isinstance(results, tuple) else (results,)
    tensors = all(isinstance(x, torch.Tensor) and x.shape == mask.shape and x.is_floating_point() for x in results)
    what = f"{answer.exercise} has to return {names}, of the shape of the mask."
    if not answer.expect(tensors and len(results) == 1 + names.count(","), what, kind="wrong_shape"):
        raise EndOfCheck
    return results


@pytest.mark.exercise("masked_mean")
@pytest.mark.points(2)
def test_masked_mean_over_everything(answer, draw):
    """The mean over all True places, and its gradient."""
    mask = draw.mask(4, 0, 2, 1, 3, width=4)
    answer.agrees(draw.junk(draw.normal(5, 4) + 1, mask), mask)
    scattered = draw.integers(0, 2, 5, 4).bool()
    scattered[draw.integers(0, 5, 1), 0] = True
    answer.agrees(draw.junk(draw.normal(5, 4) - 2, scattered), scattered)


@pytest.mark.exercise("masked_mean")
@pytest.mark.points(2)
def test_masked_mean_along_a_dimension(answer, draw):
    """dim=0 and dim=1, counted from either side."""
    mask = draw.mask(4, 3, 2, 1, 3, width=4)
    for dim in (0, 1, -1, -2):
        answer.agrees(draw.junk(draw.normal(5, 4) + 1, mask), mask, dim=dim)


@pytest.mark.exercise("masked_mean")
def test_masked_mean_of_one_and_of_zeros(answer, draw):
    """A single True place is its own mean, and a True place counts also where x is 0."""
    mask = draw.mask(3, 0, 2, 1, 3, width=4)
    x = draw.junk(draw.normal(5, 4) + 1, mask)

    def edge(answer):
        single = torch.zeros(3, 2, dtype=torch.bool)
        single[draw.integers(0, 3, 1), draw.integers(0, 2, 1)] = True
        answer.agrees(draw.junk(draw.normal(3, 2) + 2, single), single)
        answer.agrees(draw.normal(1, 1) + 2, torch.ones(1, 1, dtype=torch.bool))
        answer.agrees(x.index_fill(1, torch.tensor([0]), 0.0), mask)

    answer.at_the_edge(lambda a: a.agrees(x, mask), edge)


@pytest.mark.exercise("masked_mean")
def test_masked_mean_of_nothing(answer, draw):
    """No True place at all, or in one row, or in one column: 0, with a zero gradient."""
    mask = draw.mask(3, 0, 2, 1, 3, width=4)  # nothing is True in the last column
    x, none = draw.junk(draw.normal(5, 4) + 1, mask), torch.zeros(2, 3, dtype=torch.bool)

    def edge(answer):
        for dim in (None, 0, 1):
            answer.agrees(draw.junk(draw.normal(2, 3), none), none, dim=dim, coarse=True)
        for dim in (0, 1):
            answer.agrees(x, mask, dim=dim, coarse=True)

    answer.at_the_edge(lambda a: a.agrees(x, mask), edge)


@pytest.mark.exercise("masked_mean")
def test_masked_mean_of_other_shapes(answer, draw):
    """One dimension and three."""
    mask = draw.mask(4, 1, 2, 3, width=4)
    x = draw.junk(draw.normal(4, 4), mask)
    vector = torch.tensor([True, False, True, True])
    cube = draw.integers(0, 2, 2, 3, 4).bool() | (
        torch.arange(3).unsqueeze(1) == torch.arange(4) % 3
    )  # no empty line along 1, 2

    def edge(answer):
        answer.agrees(draw.junk(draw.normal(4), vector), vector)
        answer.agrees(draw.junk(draw.normal(4), vector), vector, dim=0)
        for dim in (None, 1, -1):
            answer.agrees(draw.junk(draw.normal(2, 3, 4), cube), cube, dim=dim)

    answer.at_the_edge(lambda a: a.agrees(x, mask), edge)


@pytest.mark.exercise("masked_whiten")
@pytest.mark.points(2)
def test_masked_whiten_ragged_rows(answer, draw):
    """Mean 0 and variance 1 over the True tokens, 0 elsewhere."""
    mask = draw.mask(7, 0, 2, 5, 3, 4, width=7)
    answer.agrees(draw.junk(draw.normal(6, 7, scale=2.5) + 3, mask), mask)


@pytest.mark.exercise("masked_whiten")
@pytest.mark.points(2)
def test_masked_whiten_without_the_shift(answer, draw):
    """shift_mean=False scales, then adds the mean back."""
    mask = draw.mask(6, 1, 2, 5, 3, width=6)
    answer.agrees(draw.junk(draw.normal(5, 6, scale=2.5) + 3, mask), mask, shift_mean=False)


@pytest.mark.exercise("masked_whiten")
def test_masked_whiten_eps_inside_the_root(answer, draw):
    """A large eps shows where it stands."""
    mask = draw.mask(4, 1, 2, 3, width=5)
    answer.agrees(draw.junk(draw.normal(4, 5, scale=2), mask), mask, eps=0.7)
    answer.agrees(draw.junk(draw.normal(4, 5, scale=0.5) + 1, mask), mask, shift_mean=False, eps=2.5)


@pytest.mark.exercise("masked_whiten")
def test_masked_whiten_of_one_token_or_none(answer, draw):
    """A single True token gives 0 (or the mean), none gives nothing; equal values give 0."""
    mask = draw.mask(4, 1, 2, 3, width=5)
    ordinary = draw.junk(draw.normal(4, 5, scale=2) + 1, mask)
    single = torch.tensor([[False, False, False], [True, False, False]])
    x = torch.tensor([[5.0, -7.0, 3.0], [2.0, 9.0, -4.0]], dtype=torch.float64)

    def edge(answer):
        for shift_mean in (True, False):
            answer.agrees(x, single, shift_mean=shift_mean, coarse=True)
            answer.agrees(torch.full_like(x, 2.0), torch.ones_like(single), shift_mean=shift_mean, coarse=True)
            answer.agrees(x[1:, :2], torch.ones(1, 2, dtype=torch.bool), shift_mean=shift_mean)
            answer.agrees(x, torch.zeros_like(single), shift_mean=shift_mean, coarse=True)

    answer.at_the_edge(lambda a: a.agrees(ordinary, mask), edge)


@pytest.mark.exercise("masked_whiten")
def test_masked_whiten_padding_is_zero(answer, draw):
    """Padding comes out as 0, whatever stands there."""
    mask = draw.mask(4, 0, 2, 5, width=5)
    x = draw.junk(draw.normal(4, 5, scale=2) + 1, mask)
    zero, right = [], True
    for shift_mean in (True, False):
        (result,) = usable(answer, answer.call({"x": x, "mask": mask, "shift_mean": shift_mean}).returned, mask, "one tensor")
        truths = [answer.oracle(x, mask, shift_mean, unbiased=unbiased) for unbiased in (False, True)]
        right = right and any(compare.close(result, truth)[mask].all() for truth in truths)
        zero.append(not result[~mask].any())
    answer.expect(all(zero), "The result is not 0 on padding: mask it before you return it.", minor=True)
    answer.witness(zero if right else None)
    answer.says_more(x, mask)


@pytest.mark.exercise("compute_gae")
@pytest.mark.points(3)
def test_gae_ragged_rows(answer, draw):
    """Rows of every length, gamma and lambda neither 1 nor equal."""
    mask = draw.mask(5, 0, 2, 1, 3, 4, width=5)
    rewards, values = draw.normal(6, 5), draw.normal(6, 5, scale=2)
    answer.agrees(draw.junk(rewards, mask), draw.junk(values, mask), mask, gamma=0.9, lam=0.7)


@pytest.mark.exercise("compute_gae")
def test_gae_full_rows(answer, draw):
    """Every response reaches the last place: nothing follows it."""
    mask = torch.ones(3, 4, dtype=torch.bool)
    answer.agrees(draw.normal(3, 4), draw.normal(3, 4, scale=2), mask, gamma=0.8, lam=0.95)


@pytest.mark.exercise("compute_gae")
def test_gae_extreme_lambda_and_gamma(answer, draw):
    """lambda 0 and 1, gamma 1: the one-step error and the whole rest of the episode."""
    mask = draw.mask(4, 2, 3, width=4)
    rewards, values = draw.junk(draw.normal(3, 4), mask), draw.junk(draw.normal(3, 4, scale=2), mask)
    answer.agrees(rewards, values, mask, gamma=1.0, lam=0.0)
    answer.agrees(rewards, values, mask, gamma=1.0, lam=1.0)
    answer.agrees(rewards, values, mask, gamma=0.5, lam=1.0)


@pytest.mark.exercise("compute_gae")
def test_gae_is_a_constant(answer, draw):
    """Neither result carries a gradient, also where rewards and values do."""
    mask = draw.mask(5, 2, 3, width=5)
    rewards, values = draw.junk(draw.normal(3, 5), mask), draw.junk(draw.normal(3, 5), mask)
    constants(answer, {"rewards": rewards, "values": values, "mask": mask, "gamma": 0.9, "lam": 0.7})


def constants(answer, inputs):
    """Judge whether a gradient comes through to the results, for rewards and values that carry one."""
    shown = answer.run("gradients", **inputs)
    results = usable(answer, shown["results"], inputs["mask"], "advantages, returns")
    names = [(result, given) for result in ("advantages", "returns") for given in ("rewards", "values")]
    found = [gradient for of_one in shown["gradients"] for gradient in of_one]
    carries = [name for name, gradient in zip(names, found, strict=True) if gradient is not None]
    what = "A gradient comes through the results: they are targets, so they have to be constants (no_grad or detach)."
    details = "; ".join(f"{result} has one with respect to {given}" for result, given in carries)
    answer.expect(not carries, what, f"{details}.", kind="gradient", minor=True)
    right = all(
        compare.close(result, truth)[inputs["mask"]].all()
        for result, truth in zip(results, answer.oracle(**inputs), strict=True)
    )
    answer.witness(carries if right else None)
    answer.says_more(**inputs)


@pytest.mark.exercise("compute_gae")
def test_gae_padding_is_zero(answer, draw):
    """Both results are 0 on padding."""
    mask = draw.mask(5, 0, 2, 3, width=5)
    inputs = {
        "rewards": draw.junk(draw.normal(4, 5), mask),
        "values": draw.junk(draw.normal(4, 5), mask),
        "mask": mask, "gamma": 0.8, "lam": 0.9,
    }  # fmt: skip
    results = usable(answer, answer.call(inputs).returned, mask, "advantages, returns")
    zero = [not result[~mask].any() for result in results]
    which = " and ".join(name for name, fine in zip(("advantages", "returns"), zero, strict=True) if not fine)
    answer.expect(all(zero), "A result is not 0 on padding: mask it before you return it.", f"It is {which}.", minor=True)
    truths = answer.oracle(**inputs)
    right = all(compare.close(result, truth)[mask].all() for result, truth in zip(results, truths, strict=True))
    answer.witness(zero if right else None)
    answer.says_more(**inputs)


@pytest.mark.exercise("compute_gae")
def test_gae_a_batch_of_one(answer, draw):
    """A batch of one row, of one token and of two."""
    mask = torch.ones(1, 1, dtype=torch.bool)
    answer.agrees(draw.normal(1, 1), draw.normal(1, 1), mask, gamma=0.9, lam=0.7)
    answer.agrees(draw.normal(1, 3), draw.normal(1, 3), torch.tensor([[True, True, False]]), gamma=0.9, lam=0.7)


def foreseen(draw, mask, trust, noise, offset=0.0):
    """Values that are `trust` times the returns, off by `offset`, and noisy, beside these returns; junk on the padding."""
    returns = draw.normal(*mask.shape, scale=2) + 3
    values = (trust * returns + draw.normal(*mask.shape, scale=noise) + offset).round(decimals=2)
    return draw.junk(values, mask), draw.junk(returns, mask), mask


@pytest.mark.exercise("explained_variance")
@pytest.mark.points(2)
def test_explained_variance_ragged_rows(answer, draw):
    """1 minus Var(returns - values) over Var(returns), of the True tokens of the batch."""
    answer.agrees(*foreseen(draw, draw.mask(5, 0, 2, 1, 4, width=6), trust=0.8, noise=0.7, offset=-1.5))


@pytest.mark.exercise("explained_variance")
def test_explained_variance_of_shifted_and_of_equal_values(answer, draw):
    """Values 4 too high explain everything, half the returns 3/4, equal values nothing."""
    mask = draw.mask(4, 1, 3, 2, width=4)
    returns = draw.normal(4, 4, scale=2) + 3
    for values in (returns + 4, 0.5 * returns, torch.full_like(returns, 1.5)):
        answer.agrees(draw.junk(values, mask), draw.junk(returns, mask), mask)


@pytest.mark.exercise("explained_variance")
def test_explained_variance_worse_than_a_constant(answer, draw):
    """Values that go against the returns, and values that are mostly noise: less than 0."""
    mask = draw.mask(5, 3, 4, 0, 2, width=5)
    answer.agrees(*foreseen(draw, mask, trust=-0.3, noise=0.5, offset=2))
    answer.agrees(*foreseen(draw, mask, trust=0.2, noise=6))


@pytest.mark.exercise("explained_variance")
def test_explained_variance_where_returns_do_not_vary(answer, draw):
    """Equal returns, a single True token, none: 0."""
    mask = draw.mask(4, 1, 3, width=5)
    ordinary = foreseen(draw, mask, trust=0.8, noise=0.7)

    def edge(answer):
        equal = torch.full((3, 5), 2.0, dtype=torch.float64)
        for values in (draw.normal(3, 5), equal):
            answer.agrees(draw.junk(values, mask), draw.junk(equal, mask), mask)
        single = draw.order(6).reshape(2, 3) == 0
        answer.agrees(draw.normal(2, 3), draw.normal(2, 3), single)
        answer.agrees(draw.normal(2, 3), draw.normal(2, 3), torch.zeros_like(single))

    answer.at_the_edge(lambda a: a.agrees(*ordinary), edge)
