"""Lesson 9: beyond PPO."""

import torch.nn.functional as F


def rloo_advantages(scores):
    k = scores.shape[1]
    if k < 2:
        raise ValueError(f"leave-one-out needs at least two samples a prompt, got {k}")
    others = (scores.sum(1, keepdim=True) - scores) / (k - 1)
    return scores - others


def grpo_advantages(scores, scale=True, eps=1e-4):
    centred = scores - scores.mean(1, keepdim=True)
    if not scale:
        return centred
    return centred / (centred.square().mean(1, keepdim=True).sqrt() + eps)


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    margin = beta * (chosen - rejected)
    stats = {"accuracy": (margin > 0).float().mean().item(), "reward_margin": margin.mean().item()}
    return -F.logsigmoid(margin).mean(), stats
