"""Valid variants of value_loss."""

import torch
from torch.nn import functional as F

from ..bank import right


@right
def clipped_between_two_tensors(values, old_values, returns, mask, clip_range):
    """The value is clipped between the old value less and plus clip_range; multiplied by the mask."""
    old_values, returns, keep = old_values.detach(), returns.detach(), mask.to(values.dtype)
    clipped = torch.clamp(values, old_values - clip_range, old_values + clip_range)
    errors = torch.max((values - returns) ** 2, (clipped - returns) ** 2)
    return (errors * keep).sum() / keep.sum().clamp(min=1.0) / 2, {"value_error": 0.0}


@right
def by_the_larger_distance(values, old_values, returns, mask, clip_range):
    """The larger absolute difference is squared; only the True tokens are looked at."""
    if not mask.any():
        return values.sum() * 0, {}
    v, old, target = values[mask], old_values[mask].detach(), returns[mask].detach()
    near = old + torch.clamp(v - old, -clip_range, clip_range)
    distance = torch.maximum((v - target).abs(), (near - target).abs())
    return distance.square().mean().mul(0.5), {"value_error": (v - target).square().mean().sqrt().item()}


@right
def with_mse_loss(values, old_values, returns, mask, clip_range):
    """torch's own squared error for each token, and a torch.where for the choice."""
    values, old_values, returns = (torch.where(mask, x, torch.zeros_like(x)) for x in (values, old_values.data, returns.data))
    step = values - old_values
    clipped = old_values + torch.where(step.abs() > clip_range, clip_range * step.sign(), step)
    plain, near = F.mse_loss(values, returns, reduction="none"), F.mse_loss(clipped, returns, reduction="none")
    worse = near > plain
    loss = 0.5 * torch.where(worse, near, plain).sum() / mask.sum().clamp(min=1)
    return loss, {"value_clip_fraction": (worse & mask).sum() / mask.sum().clamp(min=1)}


@right
def token_by_token(values, old_values, returns, mask, clip_range):
    """Plain Python over the tokens, in float64 inside."""
    total = (values.double() * 0).sum()
    for row, column in mask.nonzero().tolist():
        old, target = old_values[row, column].item(), returns[row, column].item()
        value = values[row, column].double()
        near = old + max(-clip_range, min(clip_range, value - old))
        total = total + max((value - target) ** 2, (near - target) ** 2) / 2
    return (total / max(int(mask.sum()), 1)).to(values.dtype), {"value_error": 0.0}
