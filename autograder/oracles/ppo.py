"""Lesson 6, slowly: the losses of PPO and one whole step of it."""

import copy

import torch

from .advantages import mean, true_terms
from .policy import gather_logprobs, grid, log_softmax, run_row


def clip(x, low, high):
    """x, or the bound (a constant, without gradient) where x is outside."""
    return min(max(x, low), high)


def policy_loss(logprobs, old_logprobs, advantages, mask, clip_range):
    """Mean over True tokens of -min(r * A, clip(r, 1 - c, 1 + c) * A), r = exp(logprobs - old_logprobs), all (B, T).

    Schulman 2017 (PPO), eq. 7, negated to be minimised. Returns the loss alone; its gradient reaches only `logprobs`.
    """
    new, old, advantages = logprobs.double(), old_logprobs.detach().double(), advantages.detach().double()
    losses = []
    for log_ratio, advantage in zip(true_terms(new - old, mask), true_terms(advantages, mask), strict=True):
        ratio = log_ratio.exp()
        losses.append(-min(ratio * advantage, clip(ratio, 1 - clip_range, 1 + clip_range) * advantage))
    return mean(losses, zero=(new * 0).sum())


def value_loss(values, old_values, returns, mask, clip_range):
    """0.5 * mean over True tokens of max((v - R)^2, (v_old + clip(v - v_old, -c, c) - R)^2), all (B, T).

    Returns the loss alone; its gradient reaches only `values`.
    """
    new, old, returns = values.double(), old_values.detach().double(), returns.detach().double()
    losses = []
    for v, before, target in zip(true_terms(new, mask), true_terms(old, mask), true_terms(returns, mask), strict=True):
        near = before + clip(v - before, -clip_range, clip_range)
        losses.append(0.5 * max((v - target) ** 2, (near - target) ** 2))
    return mean(losses, zero=(new * 0).sum())


def masked_entropy(logits, mask):
    """Mean over True tokens of -sum_v p_v log p_v, p = softmax(logits): logits (B, T, V), mask (B, T) -> scalar."""
    logits = logits.double()

    def entropy(b, t):
        log_p = log_softmax(logits[b, t])
        return -(log_p.exp() * log_p).sum()

    return mean(true_terms(grid(*mask.shape, entropy), mask), zero=(logits * 0).sum())


def response_states(policy, prompt_ids, prompt_mask, tokens, mask):
    """Logits (b, T, V) and values (b, T) that belong to the response tokens, one unpadded row at a time, 0 at padding."""
    input_ids, attention_mask = torch.cat([prompt_ids, tokens], 1), torch.cat([prompt_mask.bool(), mask.bool()], 1)
    all_logits, all_values = [], []
    for ids, row_mask in zip(input_ids, attention_mask, strict=True):
        output, produced_at = run_row(policy, ids, row_mask, tokens.shape[1])
        logits = [output.logits[0, 0] * 0] * tokens.shape[1]
        values = [output.values[0, 0] * 0] * tokens.shape[1]
        for t, k in produced_at.items():
            logits[t], values[t] = output.logits[0, k], output.values[0, k]
        all_logits.append(torch.stack(logits))
        all_values.append(torch.stack(values))
    return torch.stack(all_logits), torch.stack(all_values)


def total_loss(policy, rollout, rows, config):
    """policy_loss + value_coef * value_loss - entropy_coef * masked_entropy on these rows of the rollout.

    New log-probabilities and entropy are those of softmax(logits / temperature), the distribution that was sampled from.
    """
    tokens, mask = rollout.tokens[rows], rollout.mask[rows]
    logits, values = response_states(policy, rollout.prompt_ids[rows], rollout.prompt_mask[rows], tokens, mask)
    logits = logits / config.temperature
    logprobs = gather_logprobs(logits, tokens)
    surrogate = policy_loss(logprobs, rollout.logprobs[rows], rollout.advantages[rows], mask, config.clip_range)
    regression = value_loss(values, rollout.values[rows], rollout.returns[rows], mask, config.value_clip_range)
    return surrogate + config.value_coef * regression - config.entropy_coef * masked_entropy(logits, mask)


def clip_gradients(parameters, max_norm):
    """g *= min(1, max_norm / ||g||), the norm over all parameters together."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = sum((g**2).sum() for g in gradients).sqrt()
    for g in gradients:
        g *= min(1.0, max_norm / norm)


def ppo_step_parameters(policy, make_optimizer, rollout, config, permutations):
    """The state_dict, in float64, after `ppo_step` on a copy of the policy in evaluation mode.

    make_optimizer(parameters) gives the optimizer of the copy; `permutations` has the order of the rows in each epoch.
    """
    policy = copy.deepcopy(policy).double().eval()
    optimizer = make_optimizer(policy.parameters())
    for permutation in permutations:
        order = [int(row) for row in permutation]
        for start in range(0, len(order), config.minibatch_size):
            optimizer.zero_grad()
            total_loss(policy, rollout, order[start : start + config.minibatch_size], config).backward()
            clip_gradients(policy.parameters(), config.max_grad_norm)
            optimizer.step()
    return policy.state_dict()
