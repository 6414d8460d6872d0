"""Lesson 8, slowly: the best of n samples, and how far it is from the policy."""

import math

import torch


def best_of_n(scores, n):
    """The index of the highest score, the first where equal, among samples g * n to g * n + n - 1 of each prompt.

    scores (prompts, samples) -> int64 (prompts, samples // n); a rest that fills no group is dropped.
    """
    prompts, samples = scores.shape
    best = torch.zeros(prompts, samples // n, dtype=torch.int64, device=scores.device)
    for prompt in range(prompts):
        for group in range(samples // n):
            winner = group * n
            for sample in range(group * n, group * n + n):
                if scores[prompt, sample] > scores[prompt, winner]:
                    winner = sample
            best[prompt, group] = winner
    return best


def best_of_n_kl(n):
    """log n - (n - 1) / n, KL(best of n || policy) (Stiennon 2020): a float."""
    return math.log(n) - (n - 1) / n
