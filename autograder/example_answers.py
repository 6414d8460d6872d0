"""A submission for `make demo`: three answers of lessons 4 to 6, of which one is right."""

import torch


def kl_estimate(logprobs, ref_logprobs, estimator):
    log_ratio = ref_logprobs - logprobs
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    if estimator == "k3":
        return log_ratio.expm1() - log_ratio
    raise ValueError(f"unknown estimator {estimator!r}")


def compute_gae(rewards, values, mask, gamma, lam):
    advantages = torch.zeros_like(rewards)
    running = 0.0
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else 0.0
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        running = delta + gamma * lam * running
        advantages[:, t] = running
    return (advantages * mask).detach(), ((advantages + values) * mask).detach()


def policy_loss(logprobs, old_logprobs, advantages, mask, clip_range):
    ratio = torch.exp(logprobs - old_logprobs.detach())
    clipped = torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
    surrogate = torch.max(ratio * advantages.detach(), clipped * advantages.detach())
    loss = -(surrogate * mask).sum() / mask.sum().clamp(min=1)
    return loss, {"ratio": ratio[mask].mean().item() if mask.any() else 1.0}
