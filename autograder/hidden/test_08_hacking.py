"""Lesson 8, reward hacking: the hidden twin."""

import pytest
import torch

from autograder.visible.test_08_hacking import distinct

pytestmark = pytest.mark.hidden


@pytest.mark.exercise("best_of_n")
@pytest.mark.points(2)
def test_best_of_n_secret_groups(answer, draw):
    """Other sizes of groups."""
    answer.agrees(distinct(draw, 5, 6), 2)
    answer.agrees(distinct(draw, 2, 15), 5)


@pytest.mark.exercise("best_of_n")
def test_best_of_n_secret_edges(answer, draw):
    """Other rests, ties and sizes."""
    ordinary, scores = distinct(draw, 3, 6), distinct(draw, 4, 11)
    scores[1, 10] = 60.0
    tied = torch.tensor([[2, 2, 1, 1, 1, 1, 5, 6, 6, 6]], dtype=torch.float64)

    def edge(answer):
        for n in (1, 3, 4, 11, 12):
            answer.agrees(scores, n)
        for n in (2, 3, 5, 10):
            answer.agrees(tied, n)
            answer.agrees(draw.integers(-2, 1, 3, 10).double(), n)

    answer.at_the_edge(lambda a: a.agrees(ordinary, 2), edge)


@pytest.mark.exercise("best_of_n_kl")
def test_best_of_n_kl_secret_values(answer, draw):
    """Other n."""
    for n in draw.integers(2, 200, 4).tolist():
        answer.agrees(n)
