"""Lesson 6: the PPO step."""

import math
from collections import defaultdict

import torch

from rlhf_core import advantages as adv
from rlhf_core import kl, ppo
from rlhf_core.padding import join, position_ids
from rlhf_core.policy import gather_logprobs


def policy_loss(logprobs, old_logprobs, advantages, mask, clip_range):
    # 1. The ratio of the new policy to the one that sampled (equation 6). Only the new one gets a gradient.
    log_ratio = logprobs - old_logprobs.detach()
    log_ratio = log_ratio.masked_fill(~mask, 0.0)
    ratio = log_ratio.exp()
    # 2. The clipped surrogate (equation 7): the smaller of the two promises, so that moving out of the clip gains nothing.
    advantages = advantages.detach()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range) * advantages
    loss = -adv.masked_mean(torch.minimum(plain, clipped), mask)
    # 3. For the plots.
    with torch.no_grad():
        outside = ((ratio - 1).abs() > clip_range).to(ratio.dtype)
        stats = {
            "clip_fraction": adv.masked_mean(outside, mask).item(),
            "approx_kl": adv.masked_mean(kl.kl_estimate(old_logprobs, logprobs, "k3"), mask).item(),
            "ratio": adv.masked_mean(ratio, mask).item(),
        }
    return loss, stats


def value_loss(values, old_values, returns, mask, clip_range):
    # Padding may hold anything finite; zero it before differences of it can overflow.
    values, old_values, returns = (x.masked_fill(~mask, 0.0) for x in (values, old_values.detach(), returns.detach()))
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    plain_error, clipped_error = (values - returns).square(), (clipped - returns).square()
    loss = 0.5 * adv.masked_mean(torch.maximum(plain_error, clipped_error), mask)
    with torch.no_grad():
        outside = ((values - old_values).abs() > clip_range).to(values.dtype)
        stats = {
            "value_clip_fraction": adv.masked_mean(outside, mask).item(),
            "value_error": adv.masked_mean(plain_error, mask).sqrt().item(),
        }
    return loss, stats


def masked_entropy(logits, mask):
    logprobs = logits.masked_fill(~mask.unsqueeze(-1), 0.0).log_softmax(-1)
    return adv.masked_mean(-(logprobs.exp() * logprobs).sum(-1), mask)


def ppo_step(policy, optimizer, rollout, config, generator=None):
    policy.eval()  # dropout would make the ratio differ from 1 before anything was learned
    n, length = rollout.tokens.shape
    device = generator.device if generator is not None else "cpu"
    totals, count = defaultdict(float), 0
    for _ in range(config.ppo_epochs):
        for rows in torch.randperm(n, generator=generator, device=device).split(config.minibatch_size):
            # 1. One forward pass over prompt and response; the logits and values of the response begin one place before it.
            mask, tokens = rollout.mask[rows], rollout.tokens[rows]
            input_ids, attention_mask = join(rollout.prompt_ids[rows], rollout.prompt_mask[rows], tokens, mask)
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
            logits = out.logits[:, -length - 1 : -1] / config.temperature
            values = out.values[:, -length - 1 : -1]
            # 2. The three losses, against the log-probabilities and values of the rollout.
            logprobs = gather_logprobs(logits, tokens)
            pg_loss, pg_stats = ppo.policy_loss(
                logprobs, rollout.logprobs[rows], rollout.advantages[rows], mask, config.clip_range
            )
            vf_loss, vf_stats = ppo.value_loss(
                values, rollout.values[rows], rollout.returns[rows], mask, config.value_clip_range
            )
            with torch.set_grad_enabled(config.entropy_coef != 0):
                entropy = ppo.masked_entropy(logits, mask)
            loss = pg_loss + config.value_coef * vf_loss - config.entropy_coef * entropy
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the loss is {loss.item()} (policy {pg_loss.item()}, value {vf_loss.item()})")
            # 3. One optimizer step.
            optimizer.zero_grad()
            loss.backward()
            grad_norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
            optimizer.step()
            stats = {"policy_loss": pg_loss.item(), "value_loss": vf_loss.item(), "entropy": entropy.item()}
            stats |= {"grad_norm": grad_norm.item()} | pg_stats | vf_stats
            for name, value in stats.items():
                totals[name] += value
            count += 1
    return {name: value / count for name, value in totals.items()}
