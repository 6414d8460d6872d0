"""Lesson 7: the loop."""

import time

import torch

from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten
from rlhf_core.evaluate import sequence_kl
from rlhf_core.kl import shape_rewards
from rlhf_core.loop import Rollout, TrainingState
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import response_logprobs, sample_response
from rlhf_core.ppo import ppo_step


def rlhf_loop(policy, reference, reward_fn, prompts, config, callback=None):
    state, tokenizer = TrainingState(policy, config), config.tokenizer
    reference.eval()
    while state.update < config.n_updates:
        state.anneal()
        kl_coef, started = state.kl_coef, time.perf_counter()

        # 1. The policy answers a batch of prompts. Dropout is off: the ratio of new to old has to begin at exactly 1.
        policy.eval()
        prompt_ids, prompt_mask = left_pad(state.next_prompts(prompts), tokenizer.pad_token_id, policy.device)
        tokens, logprobs, mask = sample_response(
            policy, prompt_ids, prompt_mask, config.max_new_tokens, config.temperature, tokenizer.eos_token_id, state.generator
        )
        sampled = time.perf_counter()

        # 2. The whole texts are scored, and every token is looked up under the reference and the value head.
        prompt_texts = tokenizer.batch_decode([row[keep] for row, keep in zip(prompt_ids, prompt_mask.bool(), strict=True)])
        texts = [p + r for p, r in zip(prompt_texts, response_texts(tokenizer, tokens, mask), strict=True)]
        scores = reward_fn(texts).to(policy.device)
        length = tokens.shape[1]
        input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
        with torch.no_grad():
            ref_logprobs = response_logprobs(reference, input_ids, attention_mask, length, config.temperature)
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
            values = out.values[:, -length - 1 : -1]

        # 3. Rewards, advantages, returns.
        rewards = shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef)
        advantages, returns = compute_gae(rewards, values, mask, config.gamma, config.lam)
        if config.whiten_advantages:
            advantages = masked_whiten(advantages, mask)
        scored = time.perf_counter()

        # 4. The PPO step, and the KL coefficient for the next update.
        rollout = Rollout(prompt_ids, prompt_mask, tokens, mask, logprobs, values, advantages, returns)
        stats = ppo_step(policy, state.optimizer, rollout, config, state.generator)
        kl = sequence_kl(logprobs, ref_logprobs, mask).mean().item()
        if state.controller is not None:
            state.controller.update(kl, len(tokens))

        # 5. The record of this update.
        state.update += 1
        variance_left = masked_mean((returns - values).square(), mask) - masked_mean(returns - values, mask).square()
        variance = masked_mean(returns.square(), mask) - masked_mean(returns, mask).square()
        stats |= {
            "update": state.update,
            "reward": scores.mean().item(),
            "kl": kl,
            "kl_coef": kl_coef,
            "length": mask.sum(1).float().mean().item(),
            "explained_variance": (1 - variance_left / variance.clamp(min=1e-8)).item(),
            "seconds_sampling": sampled - started,
            "seconds_scoring": scored - sampled,
            "seconds_step": time.perf_counter() - scored,
        }
        state.history.append(stats)
        if callback is not None:
            callback(state, stats)
    return state.history
