"""Lesson 7, the loop and an honest evaluation: the hidden twin."""

import pytest
import torch

from autograder.visible.test_07_loop import (
    VOCABULARY,
    as_measured,
    generator,
    handed_over,
    interval_of,
    learns,
    penalises,
    percentile_interval,
    rough_interval,
    samples,
    scored_twice,
    seed,
    skewed,
    small_batches,
    steered,
    two_models,
)

pytestmark = pytest.mark.hidden


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(2)
def test_loop_secret_measurements(answer, draw):
    """Other sizes, a temperature above 1, several minibatches and epochs."""
    config = {"n_updates": 3, "batch_size": 9, "minibatch_size": 4, "ppo_epochs": 2, "max_new_tokens": 3, "temperature": 1.2}
    as_measured(answer, draw, config | {"learning_rate": 0.03, "init_kl_coef": 0.15})


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(2)
def test_loop_secret_samples(answer, draw):
    """Plain samples at another temperature."""
    samples(answer, draw, temperature=1.3, max_new_tokens=6)


@pytest.mark.exercise("rlhf_loop")
def test_loop_secret_steps(answer, draw):
    """What a PPO step gets, with another discount and another coefficient."""
    config = {"n_updates": 2, "batch_size": 5, "minibatch_size": 2, "max_new_tokens": 4, "temperature": 1.1, "gamma": 0.7}
    config |= {"lam": 0.9, "init_kl_coef": 0.7, "learning_rate": 0.03, "seed": seed(draw), "whiten_advantages": False}
    worth, models = draw.uniform(-1, 1, VOCABULARY - 1).tolist(), two_models(draw)
    handed_over(answer, draw, models, worth, config)
    handed_over(answer, draw, models, worth, config | {"whiten_advantages": True})
    steered(answer, draw, models, worth, config)


@pytest.mark.exercise("rlhf_loop")
def test_loop_secret_prompts(answer, draw):
    """Other prompts, of which every one gets its turn."""
    small_batches(answer, draw, 5, {"n_updates": 32, "batch_size": 4, "minibatch_size": 2, "max_new_tokens": 2})


@pytest.mark.exercise("rlhf_loop")
def test_loop_secret_goals(answer, draw):
    """Other letters to learn, another reference to return to."""
    config = {"n_updates": 18, "batch_size": 90, "minibatch_size": 90, "max_new_tokens": 2, "ppo_epochs": 3}
    learns(answer, draw, config)
    penalises(answer, draw, config)


@pytest.mark.exercise("bootstrap_ci")
@pytest.mark.points(2)
def test_bootstrap_secret_values(answer, draw):
    """Other values, other levels."""
    percentile_interval(answer, -skewed(draw), 0.95, 20_000, fine=True, generator=generator(draw))
    percentile_interval(answer, 3 * skewed(draw) - 4, 0.6, 5_000, fine=False, generator=generator(draw))
    rough_interval(answer, draw.normal(90, scale=4) + 2, generator=generator(draw))


@pytest.mark.exercise("bootstrap_ci")
def test_bootstrap_secret_edges(answer, draw):
    """A single value, and one resample."""
    for x, options in ((draw.normal(1), {}), (draw.normal(20), {"n_resamples": 1})):
        (low, high), _ = interval_of(answer, x, generator=generator(draw), **options)
        answer.expect(abs(high - low) < 1e-6, "There is only one mean here: low and high are both that.")


@pytest.mark.exercise("win_rate")
def test_win_rate_secret_pairs(answer, draw):
    """Other numbers of wins, ties and losses."""
    answer.agrees(*scored_twice(draw, 3, 4, 6))
    answer.agrees(*scored_twice(draw, 11, 1, 0))
    order = draw.order(9)
    steps = torch.arange(9.0, dtype=torch.float64)
    answer.agrees(steps.roll(1)[order], steps[order])  # eight small losses and one large win
    answer.agrees(draw.normal(1) * 0 + 2, torch.tensor([2.0], dtype=torch.float64))


@pytest.mark.exercise("sequence_kl")
def test_sequence_kl_secret_inputs(answer, draw):
    """Other sizes; a row gives the same alone and among others."""
    mask = draw.mask(7, 2, 0, 5, width=8)
    logprobs, ref_logprobs = draw.junk(draw.logprobs(4, 8), mask), draw.junk(draw.logprobs(4, 8), mask)
    answer.agrees(logprobs, ref_logprobs, mask)
    for row in range(4):
        one = slice(row, row + 1)
        answer.agrees(logprobs[one], ref_logprobs[one], mask[one])
    near = draw.logprobs(3, 6)
    answer.agrees(near - 0.01 * draw.uniform(0.5, 1.0, 3, 6), near, torch.ones(3, 6, dtype=torch.bool))
