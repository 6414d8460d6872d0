"""Lesson 8. Best-of-n: no training at all, and the yardstick for everything that trains."""

from .exercise import exercise


@exercise
def best_of_n(scores, n):
    """Index of the best of each group of n samples.

    scores: (prompts, samples).  Group g is samples g * n to g * n + n - 1; a rest that fills no group is dropped.
    Returns int64 (prompts, samples // n), indices into the sample axis; a tie takes the first.
    """


@exercise
def best_of_n_kl(n):
    """KL between the best of n samples and a single sample, in nats: log n - (n - 1) / n.

    Exact for a continuous score without ties, an upper bound otherwise; it depends neither on the model nor on the length.
    Returns a float.  Source: Stiennon et al. 2020 (arXiv 2009.01325), appendix G.3; Beirami et al. 2024 (arXiv 2401.01879).
    """
