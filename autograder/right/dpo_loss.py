"""Valid variants of dpo_loss."""

import torch
import torch.nn.functional as F

from ..bank import right


@right
def by_softplus(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """softplus of minus the margin, the margins of policy and reference taken one after the other; no stats."""
    with torch.no_grad():
        reference = ref_chosen - ref_rejected
    margin = (policy_chosen - policy_rejected) - reference
    return F.softplus(-beta * margin).mean(), {}


@right
def as_a_classification(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Cross-entropy between two rewards, of which the first has to win."""
    rewards = beta * torch.stack([policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()], dim=1)
    loss = F.cross_entropy(rewards, torch.zeros(len(rewards), dtype=torch.long))
    right = (rewards[:, 0] > rewards[:, 1]).float().mean()
    return loss, {"accuracy": right, "reward_margin": (rewards[:, 0] - rewards[:, 1]).mean(), "loss": loss.item()}


@right
def by_binary_cross_entropy(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Binary cross-entropy with logits, all targets 1."""
    margin = policy_chosen - ref_chosen.detach() - policy_rejected + ref_rejected.detach()
    loss = F.binary_cross_entropy_with_logits(beta * margin, torch.ones_like(margin))
    return loss, {"accuracy": float((margin > 0).double().mean()), "reward_margin": float(beta * margin.detach().mean())}


@right
def pair_by_pair(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """One pair at a time, by logaddexp."""
    total, margins = 0.0, []
    for pc, pr, rc, rr in zip(policy_chosen, policy_rejected, ref_chosen.tolist(), ref_rejected.tolist(), strict=True):
        margin = beta * ((pc - rc) - (pr - rr))
        total = total + torch.logaddexp(torch.zeros_like(margin), -margin)
        margins.append(margin.item())
    return total / len(margins), {"reward_margin": sum(margins) / len(margins)}


@right
def by_hand_without_overflow(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The exponential only ever of a number below 0, in float64."""
    rewards = [
        beta * (p.double() - r.detach().double()) for p, r in ((policy_chosen, ref_chosen), (policy_rejected, ref_rejected))
    ]
    margin = rewards[0] - rewards[1]
    losses = torch.clamp(-margin, min=0) + torch.log1p(torch.exp(-margin.abs()))
    return losses.mean().to(policy_chosen.dtype), {"reward_margin": margin.mean().item()}
