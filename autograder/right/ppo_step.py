"""Valid variants of ppo_step."""

import random

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from rlhf_core import ppo
from rlhf_core.padding import join, position_ids
from rlhf_core.policy import response_logprobs

from ..bank import right


@right
def by_hand(policy, optimizer, rollout, config, generator=None):
    """No other exercise is used, and the permutations of all epochs are drawn at once, by sorting random numbers."""
    policy.eval()
    n, length = rollout.tokens.shape
    stats = []
    for order in torch.rand(config.ppo_epochs, n, generator=generator).argsort(1):
        for start in range(0, n, config.minibatch_size):
            rows = order[start : start + config.minibatch_size]
            mask, tokens = rollout.mask[rows], rollout.tokens[rows]
            input_ids = torch.cat([rollout.prompt_ids[rows], tokens], dim=1)
            # What stands behind the end of a response is seen by nobody, so it need not be masked.
            attention_mask = torch.cat([rollout.prompt_mask[rows], torch.ones_like(tokens)], dim=1)
            places = (attention_mask.cumsum(1) - 1).masked_fill(attention_mask == 0, 1)
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=places)
            first = input_ids.shape[1] - length - 1
            logprobs = F.log_softmax(out.logits[:, first : first + length] / config.temperature, dim=-1)
            values = out.values[:, first : first + length]
            count = mask.sum().clamp(min=1)

            ratio = (logprobs.gather(2, tokens[:, :, None])[:, :, 0] - rollout.logprobs[rows]).exp()
            gain = rollout.advantages[rows]
            losses = torch.max(-gain * ratio, -gain * ratio.clamp(1 - config.clip_range, 1 + config.clip_range))
            policy_loss = torch.where(mask, losses, 0.0).sum() / count

            old, returns, reach = rollout.values[rows], rollout.returns[rows], config.value_clip_range
            clipped = torch.clamp(values, old - reach, old + reach)
            errors = torch.max((values - returns) ** 2, (clipped - returns) ** 2)
            value_loss = 0.5 * torch.where(mask, errors, 0.0).sum() / count

            entropy = torch.where(mask, -(logprobs.exp() * logprobs).sum(-1), 0.0).sum() / count
            loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
            if not torch.isfinite(loss):
                raise FloatingPointError("the loss is not finite")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for p in policy.parameters() if p.requires_grad], config.max_grad_norm)
            optimizer.step()
            stats.append(loss.item())
    return {"loss": sum(stats) / len(stats)}


@right
def two_forward_passes_and_a_loader(policy, optimizer, rollout, config, generator=None):
    """A DataLoader shuffles; the log-probabilities come from lesson 1, values and entropy from a second forward pass."""
    policy.eval()
    length = rollout.tokens.shape[1]
    loader = DataLoader(range(len(rollout.tokens)), batch_size=config.minibatch_size, shuffle=True, generator=generator)
    last = {}
    for _ in range(config.ppo_epochs):
        for rows in loader:
            mask = rollout.mask[rows]
            both = join(rollout.prompt_ids[rows], rollout.prompt_mask[rows], rollout.tokens[rows], mask)
            logprobs = response_logprobs(policy, *both, length, config.temperature)
            out = policy(input_ids=both[0], attention_mask=both[1], position_ids=position_ids(both[1]))
            policy_loss, last = ppo.policy_loss(
                logprobs, rollout.logprobs[rows], rollout.advantages[rows], mask, config.clip_range
            )
            value_loss, _ = ppo.value_loss(
                out.values[:, -length - 1 : -1], rollout.values[rows], rollout.returns[rows], mask, config.value_clip_range
            )
            loss = policy_loss + config.value_coef * value_loss
            if config.entropy_coef:
                logits = out.logits[:, -length - 1 : -1] / config.temperature
                loss = loss - config.entropy_coef * ppo.masked_entropy(logits, mask)
            if loss.isnan() or loss.isinf():
                raise FloatingPointError(f"the loss is {loss.item()}")
            policy.zero_grad(set_to_none=False)
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
            optimizer.step()
    return last


@right
def clipped_by_hand_and_looked_at_afterwards(policy, optimizer, rollout, config, generator=None):
    """Dropout is set to 0 for the time being; minibatches are sorted, columns of padding cut off, the norm clipped by hand, and
    the stats come from a last pass over the whole batch."""
    dropouts = [module for module in policy.modules() if isinstance(module, nn.Dropout)]
    rates = [module.p for module in dropouts]
    for module in dropouts:
        module.p = 0.0
    seed = int(torch.randint(2**31, (1,), generator=generator))
    shuffler, indices = random.Random(seed), list(range(len(rollout.tokens)))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for _ in range(config.ppo_epochs):
        shuffler.shuffle(indices)
        for start in range(0, len(indices), config.minibatch_size):
            rows = sorted(indices[start : start + config.minibatch_size])
            loss = loss_of(policy, rollout, rows, config)
            if not torch.isfinite(loss).item():
                raise FloatingPointError("the loss is not finite")
            for parameter in policy.parameters():
                parameter.grad = None
            loss.backward()
            norm = torch.sqrt(sum(p.grad.square().sum() for p in parameters if p.grad is not None))
            if norm > config.max_grad_norm:
                for parameter in parameters:
                    if parameter.grad is not None:
                        parameter.grad *= config.max_grad_norm / norm
            optimizer.step()
    with torch.no_grad():
        stats = {"loss": float(loss_of(policy, rollout, slice(None), config))}
    for module, rate in zip(dropouts, rates, strict=True):
        module.p = rate
    return stats


def loss_of(policy, rollout, rows, config):
    """The loss of these rows, without the columns of the prompts that are padding in all of them."""
    prompt_mask, mask, tokens = rollout.prompt_mask[rows], rollout.mask[rows], rollout.tokens[rows]
    start = int(prompt_mask.sum(0).ne(0).long().argmax())
    prompt_mask, prompt_ids = prompt_mask[:, start:], rollout.prompt_ids[rows][:, start:]
    input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
    out = policy(input_ids=input_ids, attention_mask=attention_mask.bool(), position_ids=position_ids(attention_mask))
    begin = prompt_ids.shape[1] - 1
    logits, values = out.logits[:, begin:-1] / config.temperature, out.values[:, begin:-1]
    logprobs = -F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
    loss, _ = ppo.policy_loss(logprobs, rollout.logprobs[rows], rollout.advantages[rows], mask, config.clip_range)
    value_loss, _ = ppo.value_loss(values, rollout.values[rows], rollout.returns[rows], mask, config.value_clip_range)
    return loss + config.value_coef * value_loss - config.entropy_coef * ppo.masked_entropy(logits, mask)


@right
def row_by_row(policy, optimizer, rollout, config, generator=None):
    """The gradient of a minibatch is gathered from one unpadded row after the other, weighed by its tokens."""
    policy.eval()
    n, total, steps = len(rollout.tokens), 0.0, 0
    for _ in range(config.ppo_epochs):
        order = torch.randperm(n, generator=generator).tolist()
        while order:
            rows, order = order[: config.minibatch_size], order[config.minibatch_size :]
            count = max(int(rollout.mask[rows].sum()), 1)
            optimizer.zero_grad()
            losses = []
            for row in rows:
                prompt = rollout.prompt_ids[row][rollout.prompt_mask[row].bool()]
                keep = rollout.mask[row]
                tokens, length = rollout.tokens[row][keep], int(keep.sum())
                if not length:
                    continue
                input_ids = torch.cat([prompt, tokens])[None]
                ones = torch.ones_like(input_ids)
                out = policy(input_ids=input_ids, attention_mask=ones, position_ids=torch.arange(input_ids.shape[1])[None])
                logits = out.logits[:, len(prompt) - 1 : -1] / config.temperature
                every = torch.ones(1, length, dtype=torch.bool)
                logprobs = torch.distributions.Categorical(logits=logits).log_prob(tokens[None])
                old, old_values, advantages, returns = (
                    x[row][keep][None] for x in (rollout.logprobs, rollout.values, rollout.advantages, rollout.returns)
                )
                loss, _ = ppo.policy_loss(logprobs, old, advantages, every, config.clip_range)
                values = out.values[:, len(prompt) - 1 : -1]
                value_loss, _ = ppo.value_loss(values, old_values, returns, every, config.value_clip_range)
                loss = loss + config.value_coef * value_loss - config.entropy_coef * ppo.masked_entropy(logits, every)
                losses.append(loss * length / count)
            total += sum(loss.item() for loss in losses)
            if not torch.tensor(total).isfinite():
                raise FloatingPointError(f"the loss is {total}")
            for loss in losses:
                loss.backward()
            for parameter in policy.parameters():
                if parameter.grad is None and parameter.requires_grad:
                    parameter.grad = torch.zeros_like(parameter)
            torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
            optimizer.step()
            steps += 1
    return {"loss": torch.tensor(total / steps)}
