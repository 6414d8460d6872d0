"""Lesson 1, a language model is a policy: the hidden twin."""

import pytest
import torch

from autograder.visible.test_01_policy import (
    SMALL,
    distribution_agrees,
    ends_agree,
    form_agrees,
    prompts_of,
    randomness_agrees,
    reports_agree,
    scores_agree,
    sequences,
    table_agrees,
)

pytestmark = pytest.mark.hidden


@pytest.mark.exercise("gather_logprobs")
@pytest.mark.points(2)
def test_gather_secret_inputs(answer, draw):
    """Other sizes, a batch of one, large logits."""
    for batch, length, vocabulary in ((2, 7, 3), (5, 2, 9), (1, 4, 6)):
        answer.agrees(draw.normal(batch, length, vocabulary, scale=1.5) - 2, draw.integers(0, vocabulary, batch, length))
    for scale, offset in ((3e4, 0), (2, 2e4)):
        logits = draw.normal(3, 2, 5, scale=scale) + offset
        answer.agrees(logits, draw.integers(0, 5, 3, 2), coarse=True, rtol=1e-3, atol=1e-2)


@pytest.mark.exercise("response_logprobs")
@pytest.mark.points(2)
def test_response_logprobs_secret_inputs(answer, draw):
    """Other sizes and temperatures, every prompt padded, large logits."""
    mask = draw.mask(5, 1, 0, 3, width=5)
    scores_agree(answer, draw.policy_weights(), *sequences(draw, [2, 1, 6, 3], mask, width=8), 5, 1.4)
    mask = draw.mask(2, 1, 2, width=2)
    scores_agree(answer, draw.policy_weights(vocabulary=7), *sequences(draw, [4, 7, 5], mask, vocabulary=7), 2)
    weights = draw.policy_weights()
    weights["head"] = weights["head"] * 3e4
    scores_agree(answer, weights, *sequences(draw, [4, 7, 5], mask), 2, 0.9, coarse=True)


@pytest.mark.exercise("response_mask")
@pytest.mark.points(2)
def test_response_mask_secret_inputs(answer, draw):
    """Other sizes, few and many ends."""
    for batch, length, vocabulary in ((9, 3, 2), (6, 8, 3), (4, 6, 8), (1, 5, 4)):
        answer.agrees(draw.integers(0, vocabulary, batch, length), int(draw.integers(0, vocabulary, 1)))


@pytest.mark.exercise("sample_response")
@pytest.mark.points(2)
def test_sample_secret_prompts(answer, draw):
    """Other sizes, temperatures, ends and generators."""
    table_agrees(answer, draw, [1, 5, 3], 1.3)
    form_agrees(answer, draw, draw.policy_weights(SMALL), prompts_of(draw, [2]), 1, torch.float64)
    if ends_agree(answer, draw, prompts_of(draw, [2, 5, 1] * 15), 5, chance=0.4):
        ends_agree(answer, draw, prompts_of(draw, [2] * 40), 3, chance=0.0)
    for dtype, temperature in ((torch.float32, 1.0), (torch.float64, 0.5)):
        reports_agree(answer, draw, draw.policy_weights(SMALL), prompts_of(draw, [2, 5, 1] * 3), 5, temperature, dtype)
    randomness_agrees(answer, draw, prompts_of(draw, [1, 4] * 12), 5)


@pytest.mark.exercise("sample_response")
def test_sample_secret_distribution(answer, draw):
    """Tokens are drawn from softmax(logits / temperature) at another temperature."""
    distribution_agrees(answer, draw, temperature=1.6)
