"""Lesson 9, slowly: the advantages of RLOO and GRPO, and the loss of DPO."""

from .advantages import mean, variance
from .policy import grid
from .preferences import log_sigmoid


def rloo_advantages(scores):
    """x_i - mean of the other x_j of the same prompt (Ahmadian 2024, RLOO): (prompts, samples) -> the same shape."""
    scores = scores.double()
    prompts, samples = scores.shape
    if samples < 2:
        raise ValueError("leave-one-out needs at least two samples a prompt")

    def advantage(p, i):
        return scores[p, i] - mean([scores[p, j] for j in range(samples) if j != i])

    return grid(prompts, samples, advantage)


def grpo_advantages(scores, scale=True, eps=1e-4, *, unbiased=False):
    """(x - mean) / (std + eps) within a prompt (Shao 2024, GRPO), x - mean without `scale`: (prompts, samples) -> the same."""
    scores = scores.double()

    def advantage(p, i):
        group = list(scores[p])
        return (scores[p, i] - mean(group)) / (variance(group, unbiased).sqrt() + eps if scale else 1.0)

    return grid(*scores.shape, advantage)


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Mean of -log sigmoid(beta * ((pi_c - ref_c) - (pi_r - ref_r))) (Rafailov 2023, eq. 7): four (B,) -> scalar.

    Of summed response log-probabilities. Returns the loss alone; its gradient reaches only the policy's two.
    """
    chosen = policy_chosen.double() - ref_chosen.detach().double()
    rejected = policy_rejected.double() - ref_rejected.detach().double()
    return mean([-log_sigmoid(beta * (c - r)) for c, r in zip(chosen, rejected, strict=True)])
