"""Valid variants of policy_loss."""

import math

import torch

from ..bank import right


@right
def case_by_case(logprobs, old_logprobs, advantages, mask, clip_range):
    """A good token's ratio is bounded from above, a bad one's from below: no minimum is needed."""
    ratio = torch.exp(logprobs - old_logprobs.detach())
    advantages = advantages.detach()
    bounded = torch.where(advantages >= 0, ratio.clamp(max=1 + clip_range), ratio.clamp(min=1 - clip_range))
    loss = -torch.where(mask, bounded * advantages, 0.0).sum() / mask.sum().clamp(min=1)
    return loss, {"ratio": ratio[mask].mean().item() if mask.any() else 1.0}


@right
def maximum_of_the_losses(logprobs, old_logprobs, advantages, mask, clip_range):
    """The minus sign in front first, so the larger of two losses; multiplied by the mask."""
    with torch.no_grad():
        keep = mask.to(logprobs.dtype)
        count = keep.sum() + (keep.sum() == 0)
        advantages = advantages.clone()
    ratio = torch.exp(logprobs - old_logprobs.detach())
    losses = torch.max(-advantages * ratio, -advantages * torch.clamp(ratio, 1 - clip_range, 1 + clip_range))
    clipped = ((ratio - 1).abs() > clip_range).to(ratio.dtype)
    return (losses * keep).sum() / count, {"clip_fraction": ((clipped * keep).sum() / count).detach()}


@right
def bounds_on_the_log_ratio(logprobs, old_logprobs, advantages, mask, clip_range):
    """Only the True tokens are looked at, and the logarithm of the ratio is clipped, at the logarithms of the bounds."""
    if not mask.any():
        return 0 * logprobs.sum(), {"clip_fraction": 0.0, "approx_kl": 0.0, "ratio": 1.0}
    log_ratio, advantages = (logprobs - old_logprobs.data)[mask], advantages.data[mask]
    near = log_ratio.clamp(math.log(1 - clip_range), math.log(1 + clip_range))
    loss = torch.stack([-log_ratio.exp() * advantages, -near.exp() * advantages]).amax(0).mean()
    return loss, {"approx_kl": (log_ratio.exp() - 1 - log_ratio).mean().item()}


@right
def token_by_token(logprobs, old_logprobs, advantages, mask, clip_range):
    """Plain Python over the tokens, each with its own gradient."""
    total, clipped = (logprobs * 0).sum(), 0
    for row, column in mask.nonzero().tolist():
        ratio = (logprobs[row, column] - old_logprobs[row, column].item()).exp()
        advantage = advantages[row, column].item()
        stopped = ratio > 1 + clip_range if advantage > 0 else ratio < 1 - clip_range
        bound = 1 + clip_range if advantage > 0 else 1 - clip_range
        total = total - (bound * advantage if stopped else ratio * advantage)
        clipped += int(stopped)
    count = max(int(mask.sum()), 1)
    return total / count, {"clip_fraction": clipped / count}


@right
def the_gain_that_is_taken_away(logprobs, old_logprobs, advantages, mask, clip_range):
    """The plain surrogate less what it promises outside the clip (a relu), in float64 inside."""
    log_ratio = (logprobs.double() - old_logprobs.detach().double()).masked_fill(~mask, 0)
    advantages = advantages.detach().double().masked_fill(~mask, 0)
    ratio = log_ratio.exp()
    taken = torch.relu(ratio - (1 + clip_range)) * advantages.clamp(min=0) - torch.relu(
        1 - clip_range - ratio
    ) * advantages.clamp(max=0)
    loss = -(ratio * advantages - taken).sum() / max(mask.sum().item(), 1)
    return loss.to(logprobs.dtype), {}
