"""Lesson 4, slowly: the distance from the reference, and what it costs."""

import torch

from .policy import grid, log_softmax


def kl_estimate(logprobs, ref_logprobs, estimator):
    """Per-token estimates of KL(policy || reference) at tokens the policy sampled: two (B, T) -> (B, T).

    Schulman, "Approximating KL divergence", with d = logprobs - ref_logprobs, that is log r = -d in his notation:
    k1 = -log r = d, k2 = (log r)^2 / 2 = d^2 / 2, k3 = (r - 1) - log r = expm1(-d) + d.
    """
    formulas = {
        "k1": lambda d: d,
        "k2": lambda d: d * d / 2,
        "k3": lambda d: torch.expm1(-d) + d,
    }
    if estimator not in formulas:
        raise ValueError(f"unknown estimator {estimator!r}: one of {list(formulas)}")
    difference = logprobs.double() - ref_logprobs.double()
    return grid(*difference.shape, lambda b, t: formulas[estimator](difference[b, t]))


def kl_exact(logits, ref_logits):
    """sum_v p_v (log p_v - log q_v), p = softmax(logits), q = softmax(ref_logits): two (B, T, V) -> (B, T)."""
    logits, ref_logits = logits.double(), ref_logits.double()

    def divergence(b, t):
        log_p, log_q = log_softmax(logits[b, t]), log_softmax(ref_logits[b, t])
        return (log_p.exp() * (log_p - log_q)).sum()

    return grid(*logits.shape[:2], divergence)


def shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef):
    """-kl_coef * (logprobs - ref_logprobs) on True tokens, plus scores[b] on the last of them: (B, T), 0 elsewhere.

    The per-token reward of Ziegler 2019, eq. 2. The score of an empty response is dropped.
    """
    rewards = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
    for b in range(mask.shape[0]):
        real = [t for t in range(mask.shape[1]) if mask[b, t]]
        for t in real:
            rewards[b, t] = -kl_coef * (logprobs[b, t].detach().double() - ref_logprobs[b, t].detach().double())
        for t in real[-1:]:
            rewards[b, t] += scores[b].detach().double()
    return rewards


def adaptive_kl_values(init_kl_coef, target, horizon, observations):
    """The coefficient after each (kl, n_steps) of `observations`, a list of floats (Ziegler 2019, section 2.2).

    error = clip(kl / target - 1, -0.2, 0.2); value *= 1 + error * n_steps / horizon.
    """
    value, values = float(init_kl_coef), []
    for kl, n_steps in observations:
        error = min(max(kl / target - 1, -0.2), 0.2)
        value *= 1 + error * n_steps / horizon
        values.append(value)
    return values
