"""Lesson 8, reward hacking: what a learner sees."""

import pytest
import torch

pytestmark = pytest.mark.visible


def distinct(draw, prompts, samples):
    """Scores without a tie, of either sign."""
    return (draw.order(prompts * samples).reshape(prompts, samples).double() * 0.37 - 2.5).round(decimals=2)


@pytest.mark.exercise("best_of_n")
@pytest.mark.points(3)
def test_best_of_n_groups(answer, draw):
    """The best of each group of neighbours, as an index into all samples of the prompt."""
    answer.agrees(distinct(draw, 3, 8), 2)
    answer.agrees(distinct(draw, 4, 6), 3)
    answer.agrees(distinct(draw, 2, 12), 4)


@pytest.mark.exercise("best_of_n")
def test_best_of_n_drops_the_rest(answer, draw):
    """Samples that fill no group are dropped, also where they are the best."""
    ordinary, scores = distinct(draw, 3, 8), distinct(draw, 3, 8)
    scores[0, 7] = scores[2, 6] = 60.0

    def edge(answer):
        answer.agrees(scores, 3)
        answer.agrees(scores[:, 1:], 2)
        answer.agrees(scores[:2, :6] - 80, 4)

    answer.at_the_edge(lambda a: a.agrees(ordinary, 2), edge)


@pytest.mark.exercise("best_of_n")
def test_best_of_n_takes_the_first_of_a_tie(answer, draw):
    """Among equal scores the first one wins."""
    ordinary = distinct(draw, 3, 8)
    tied = torch.tensor([[1, 3, 3, 2, 2, 2, 4, 1, 4], [0, -1, 0, -5, -2, -2, 7, 7, 7]], dtype=torch.float64)

    def edge(answer):
        answer.agrees(tied, 3)
        answer.agrees(draw.integers(0, 3, 3, 8).double(), 4)
        answer.agrees(torch.full((2, 6), 2.0, dtype=torch.float64), 2)

    answer.at_the_edge(lambda a: a.agrees(ordinary, 2), edge)


@pytest.mark.exercise("best_of_n")
def test_best_of_n_smallest_and_largest_groups(answer, draw):
    """n = 1, n = all samples, n larger than that, and a single prompt."""
    ordinary, scores = distinct(draw, 3, 8), distinct(draw, 2, 5)

    def edge(answer):
        answer.agrees(scores, 1)
        answer.agrees(scores, 5)
        answer.agrees(scores[:1], 2)
        answer.agrees(scores, 6)

    answer.at_the_edge(lambda a: a.agrees(ordinary, 2), edge)


@pytest.mark.exercise("best_of_n_kl")
@pytest.mark.points(2)
def test_best_of_n_kl_values(answer, draw):
    """The KL of the best of 2, 3, 8 and 64."""
    for n in (2, 3, 8, 64):
        answer.agrees(n)


@pytest.mark.exercise("best_of_n_kl")
def test_best_of_n_kl_of_one_and_of_many(answer, draw):
    """The best of one sample is that sample: 0. For many it grows with the logarithm."""

    def edge(answer):
        answer.agrees(10_000)
        answer.agrees(1)

    answer.at_the_edge(lambda a: a.agrees(8), edge)
