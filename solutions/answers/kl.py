"""Lesson 4: the KL penalty."""

import torch

from rlhf_core import kl


def kl_estimate(logprobs, ref_logprobs, estimator):
    log_ratio = ref_logprobs - logprobs  # of reference over policy, at the policy's own samples
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    if estimator == "k3":
        return log_ratio.expm1() - log_ratio
    raise ValueError(f'estimator is "k1", "k2" or "k3", not {estimator!r}')


def kl_exact(logits, ref_logits):
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (logprobs.exp() * (logprobs - ref_logprobs)).sum(-1)


@torch.no_grad()
def shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef):
    penalty = kl_coef * kl.kl_estimate(logprobs, ref_logprobs, "k1")
    true_tokens_from_here = mask.flip(-1).cumsum(-1).flip(-1)
    is_last = mask & (true_tokens_from_here == 1)
    return (is_last * scores.unsqueeze(-1) - penalty).masked_fill(~mask, 0.0)


class AdaptiveKLController:
    def __init__(self, init_kl_coef, target, horizon):
        self.value = float(init_kl_coef)
        self.target, self.horizon = target, horizon

    def update(self, kl, n_steps):
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.value *= 1 + error * n_steps / self.horizon
