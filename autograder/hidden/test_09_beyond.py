"""Lesson 9, beyond PPO: the hidden twin."""

import pytest
import torch

from autograder.visible.test_09_beyond import far, pairs

pytestmark = pytest.mark.hidden


@pytest.mark.exercise("rloo_advantages")
@pytest.mark.points(2)
def test_rloo_secret_inputs(answer, draw):
    """Other sizes."""
    answer.agrees(draw.normal(3, 7, scale=3) - 2)
    answer.agrees(draw.normal(6, 3, scale=0.4) + 1)


@pytest.mark.exercise("rloo_advantages")
def test_rloo_secret_edges(answer, draw):
    """Two samples, too few, and each prompt alone."""
    ordinary, scores = draw.normal(4, 3) + 3, draw.normal(5, 2, scale=4)

    def edge(answer):
        answer.agrees(scores)
        for prompt in range(4):
            answer.agrees(ordinary[prompt : prompt + 1])
        answer.raises(ValueError, scores[:, :1])

    answer.at_the_edge(lambda a: a.agrees(ordinary), edge)


@pytest.mark.exercise("grpo_advantages")
@pytest.mark.points(2)
def test_grpo_secret_inputs(answer, draw):
    """Other sizes, other eps, with and without the scale."""
    scores = draw.normal(3, 6, scale=3) - 2
    answer.agrees(scores)
    answer.agrees(scores, eps=0.8)
    answer.agrees(scores, scale=False)


@pytest.mark.exercise("grpo_advantages")
def test_grpo_secret_edges(answer, draw):
    """One sample, two samples, equal ones, and each prompt alone."""
    ordinary, scores = torch.arange(12.0).reshape(3, 4).sin() * 40, draw.normal(4, 2, scale=2)

    def edge(answer):
        answer.agrees(scores[:, :1], coarse=True)
        answer.agrees(scores[:, :1], eps=0.5, coarse=True)
        answer.agrees(torch.full((3, 5), -4.0, dtype=torch.float64), coarse=True)
        for prompt in range(4):
            answer.agrees(scores[prompt : prompt + 1], eps=0.5)

    answer.at_the_edge(lambda a: a.agrees(ordinary), edge)


@pytest.mark.exercise("dpo_loss")
@pytest.mark.points(2)
def test_dpo_loss_secret_inputs(answer, draw):
    """Other sizes and strengths."""
    answer.agrees(**pairs(draw, 7), beta=0.15, gradients=False)
    answer.agrees(**pairs(draw, 2, scale=4.0), beta=0.8, gradients=False)


@pytest.mark.exercise("dpo_loss")
def test_dpo_loss_secret_edges(answer, draw):
    """Gradients, large margins, one pair."""
    ordinary, one, extreme = pairs(draw, 6), pairs(draw, 1), far(draw, 3)

    def edge(answer):
        answer.agrees(**ordinary, beta=0.4)
        answer.agrees(**one, beta=0.4)
        answer.agrees(**extreme, beta=0.5, coarse=True)

    answer.at_the_edge(lambda a: a.agrees(**ordinary, beta=0.4, gradients=False), edge)
