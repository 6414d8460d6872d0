import a_module_that_nobody_has
import torch

from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten

x = 1 / 0
torch.load("checkpoint.pt")


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    return undefined_name(x)


@masked_whiten.implement
def masked_whiten(x, mask, shift_mean=True):
    return x


@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    advantages = torch.zeros_like(rewards)
    for t in range(rewards.shape[1] + 1):
        advantages[:, t] = rewards[:, t]
    return advantages, advantages + values


raise SystemExit("that is all")
