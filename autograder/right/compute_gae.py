"""Valid variants of compute_gae."""

import torch

from ..bank import right


@right
def from_the_definition(rewards, values, mask, gamma, lam):
    """Every advantage as its own discounted sum of errors, in plain Python."""
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for row, length in enumerate(mask.sum(1).tolist()):
        r, v = rewards[row].tolist(), values[row].tolist()
        after = [*v[1:length], 0.0]
        errors = [r[t] + gamma * after[t] - v[t] for t in range(length)]
        for t in range(length):
            advantages[row, t] = sum((gamma * lam) ** (s - t) * errors[s] for s in range(t, length))
            returns[row, t] = advantages[row, t] + v[t]
    return advantages, returns


@right
def multiplying_by_the_mask(rewards, values, mask, gamma, lam):
    """Backwards in time with a float mask instead of `torch.where`; the inputs are cleaned first."""
    keep = mask.to(values.dtype)
    rewards, values = (rewards * keep).detach(), (values * keep).detach()
    running, columns = torch.zeros_like(values[:, 0]), []
    for t in range(values.shape[1] - 1, -1, -1):
        following = values[:, t + 1] if t + 1 < values.shape[1] else torch.zeros_like(running)
        running = keep[:, t] * (rewards[:, t] + gamma * following - values[:, t] + gamma * lam * running)
        columns.insert(0, running)
    advantages = torch.stack(columns, 1)
    return advantages, (advantages + values) * keep


@right
def as_a_matrix_product(rewards, values, mask, gamma, lam):
    """All errors at once, times a triangular matrix of powers of gamma lambda."""
    with torch.no_grad():
        width = mask.shape[1]
        values, rewards = values.masked_fill(~mask, 0), rewards.masked_fill(~mask, 0)
        following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
        errors = rewards + gamma * following - values
        steps = torch.arange(width)
        ahead = (steps.unsqueeze(1) - steps).clamp(min=0)
        powers = torch.tril(torch.as_tensor(gamma * lam, dtype=values.dtype) ** ahead)
        advantages = errors @ powers
        return advantages, torch.where(mask, advantages + values, 0.0).to(values.dtype)


@right
def in_float64(rewards, values, mask, gamma, lam):
    """Computed in float64 row by row with numpy, returned in the dtype of the inputs."""
    r, v, m = (x.detach().double().numpy() for x in (rewards, values, mask))
    advantages = torch.zeros(mask.shape, dtype=torch.float64)
    for row in range(len(r)):
        ahead = value_ahead = 0.0
        for t in reversed(range(int(m[row].sum()))):
            ahead = r[row, t] + gamma * value_ahead - v[row, t] + gamma * lam * ahead
            value_ahead = v[row, t]
            advantages[row, t] = ahead
    returns = torch.where(mask, advantages + values.detach().double(), torch.zeros_like(advantages))
    return advantages.to(rewards.dtype), returns.to(rewards.dtype)


@right
@torch.no_grad()
def stopped_by_the_next_mask(rewards, values, mask, gamma, lam):
    """Whether more follows is read from the mask of the next place; padding holds anything until the end."""
    width = values.shape[1]
    advantages, last = torch.zeros_like(values), 0.0
    for t in range(width - 1, -1, -1):
        goes_on = mask[:, t + 1].to(values.dtype) if t < width - 1 else torch.zeros_like(values[:, 0])
        value_after = values[:, t + 1] if t < width - 1 else 0.0
        delta = rewards[:, t] + gamma * value_after * goes_on - values[:, t]
        last = delta + gamma * lam * goes_on * last
        advantages[:, t] = last
    returns = advantages + values
    return advantages * mask, returns * mask


@right
def returns_first(rewards, values, mask, gamma, lam):
    """The recursion of the lambda-returns; the advantages are what they have more than the values."""
    r, v = torch.where(mask, rewards.detach(), 0.0), torch.where(mask, values.detach(), 0.0)
    returns = torch.zeros_like(v)
    following, following_value = torch.zeros_like(v[:, 0]), torch.zeros_like(v[:, 0])
    for t in range(v.shape[1])[::-1]:
        mixed = (1 - lam) * following_value + lam * following
        returns[:, t] = torch.where(mask[:, t], r[:, t] + gamma * mixed, torch.zeros_like(mixed))
        following, following_value = returns[:, t], v[:, t]
    return (returns - v).masked_fill(~mask, 0.0), returns
