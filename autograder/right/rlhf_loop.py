"""Valid variants of rlhf_loop."""

import copy
import itertools
import random
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from rlhf_core.advantages import compute_gae, masked_whiten
from rlhf_core.evaluate import sequence_kl
from rlhf_core.kl import AdaptiveKLController, shape_rewards
from rlhf_core.loop import Rollout, TrainingState
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import response_logprobs, sample_response
from rlhf_core.ppo import ppo_step

from ..bank import right


def of_response(policy, input_ids, mask, length, temperature):
    """Log-probabilities and values of the last `length` tokens, by one forward pass."""
    out = policy(input_ids=input_ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0))
    logprobs = F.log_softmax(out.logits[:, -length - 1 : -1] / temperature, dim=-1)
    return logprobs.gather(2, input_ids[:, -length:, None])[..., 0], getattr(out, "values", input_ids)[:, -length - 1 : -1]


@right
def everything_by_hand(policy, reference, reward_fn, prompts, config, callback=None):
    """No other exercise and no TrainingState: the prompts in their order, AdamW, torch's own generator, and PPO written out."""
    torch.manual_seed(config.seed)
    tokenizer, history, turn = config.tokenizer, [], itertools.cycle(prompts)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for n, p in policy.named_parameters() if "value" not in n], "lr": config.learning_rate},
            {"params": [p for n, p in policy.named_parameters() if "value" in n], "lr": config.value_learning_rate},
        ]
    )
    policy.eval()
    for _ in range(config.n_updates):
        batch = [next(turn) for _ in range(config.batch_size)]
        width, end = max(map(len, batch)), tokenizer.eos_token_id
        ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(p)) + list(p) for p in batch])
        seen = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch])
        running = torch.ones(len(batch), dtype=torch.long)
        with torch.no_grad():
            for _ in range(config.max_new_tokens):
                out = policy(input_ids=ids, attention_mask=seen, position_ids=(seen.cumsum(1) - 1).clamp(min=0))
                drawn = torch.distributions.Categorical(logits=out.logits[:, -1] / config.temperature).sample()
                ids = torch.cat([ids, torch.where(running.bool(), drawn, end)[:, None]], 1)
                seen = torch.cat([seen, running[:, None]], 1)
                running = running * (ids[:, -1] != end)
            length, mask = config.max_new_tokens, seen[:, width:].float()
            logprobs, values = of_response(policy, ids, seen, length, config.temperature)
            ref_logprobs, _ = of_response(reference, ids, seen, length, config.temperature)
        texts = [tokenizer.decode(row[keep], skip_special_tokens=True) for row, keep in zip(ids, seen.bool(), strict=True)]
        scores = reward_fn(texts).float()

        d = (logprobs - ref_logprobs) * mask
        rewards = -config.init_kl_coef * d
        last = mask.sum(1).long() - 1
        rewards[torch.arange(len(batch)), last] += scores
        advantages, ahead, value_ahead = torch.zeros_like(rewards), 0, 0
        for t in range(length - 1, -1, -1):
            ahead = (rewards[:, t] + config.gamma * value_ahead - values[:, t] + config.gamma * config.lam * ahead) * mask[:, t]
            advantages[:, t], value_ahead = ahead, values[:, t] * mask[:, t]
        returns = (advantages + values) * mask
        if config.whiten_advantages:
            count = mask.sum()
            centred = (advantages - (advantages * mask).sum() / count) * mask
            advantages = centred / ((centred**2).sum() / count + 1e-8).sqrt()

        for _ in range(config.ppo_epochs):
            for rows in torch.randperm(len(batch)).split(config.minibatch_size):
                new, new_values = of_response(policy, ids[rows], seen[rows], length, config.temperature)
                keep, a, low = mask[rows], advantages[rows], 1 - config.clip_range
                ratio = ((new - logprobs[rows]) * keep).exp()
                gain = torch.min(ratio * a, ratio.clamp(low, 1 + config.clip_range) * a)
                error = (new_values - returns[rows]) ** 2 / 2
                loss = ((config.value_coef * error - gain) * keep).sum() / keep.sum()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
                optimizer.step()
        history.append({"reward": sum(scores.tolist()) / len(batch), "kl": d.sum(1).mean().item()})
        if callback:
            callback(None, history[-1])
    return history


@right
def prompts_drawn_and_scored_in_pieces(policy, reference, reward_fn, prompts, config, callback=None):
    """Prompts are drawn with replacement, texts scored a few at a time, log-probabilities looked up again after sampling."""
    state, tokenizer = TrainingState(policy, config), config.tokenizer
    for update in range(config.n_updates):
        state.anneal()
        policy.train(False)
        drawn = torch.randint(len(prompts), (config.batch_size,), generator=state.generator).tolist()
        prompt_ids, prompt_mask = left_pad([prompts[k] for k in drawn], tokenizer.pad_token_id)
        tokens, _, mask = sample_response(
            policy, prompt_ids, prompt_mask, config.max_new_tokens, config.temperature, tokenizer.eos_token_id, state.generator
        )
        input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
        texts = tokenizer.batch_decode([row[keep].tolist() for row, keep in zip(input_ids, attention_mask.bool(), strict=True)])
        scores = torch.cat([reward_fn(texts[k : k + 4]) for k in range(0, len(texts), 4)])
        with torch.no_grad():
            logprobs = response_logprobs(policy, input_ids, attention_mask, tokens.shape[1], config.temperature)
            ref_logprobs = response_logprobs(reference, input_ids, attention_mask, tokens.shape[1], config.temperature)
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
        values = out.values[:, prompt_ids.shape[1] - 1 : -1]
        rewards = shape_rewards(scores, logprobs, ref_logprobs, mask, state.kl_coef)
        advantages, returns = compute_gae(rewards, values, mask, config.gamma, config.lam)
        advantages = masked_whiten(advantages, mask) if config.whiten_advantages else advantages
        rollout = Rollout(prompt_ids, prompt_mask, tokens, mask, logprobs, values, advantages, returns)
        stats = ppo_step(policy, state.optimizer, rollout, config, state.generator)
        stats["kl"] = sequence_kl(logprobs, ref_logprobs, mask).mean().item()
        stats["reward"] = scores.mean().item()
        if state.controller is not None:
            state.controller.update(stats["kl"], config.batch_size)
        state.update = update + 1
        state.history.append(stats)
        if callback is not None:
            callback(state, dict(stats))
    return state.history


@right
def one_row_at_a_time(policy, reference, reward_fn, prompts, config, callback=None):
    """Each prompt is answered alone and without padding, and its text is scored at once; one Adam with a constant rate."""
    generator, shuffle = torch.Generator().manual_seed(config.seed), random.Random(config.seed)
    tokenizer, history, waiting = config.tokenizer, [], []
    head = list(policy.value_head.parameters())
    rest = [p for p in policy.parameters() if not any(p is q for q in head)]
    optimizer = torch.optim.Adam(
        [{"params": rest}, {"params": head, "lr": config.value_learning_rate}], lr=config.learning_rate
    )
    reference.eval().requires_grad_(False)
    while len(history) < config.n_updates:
        policy.eval()
        batch, responses, scores = [], [], []
        for _ in range(config.batch_size):
            if not waiting:
                waiting = list(prompts)
                shuffle.shuffle(waiting)
            prompt = list(waiting.pop())
            response = []
            while len(response) < config.max_new_tokens and response[-1:] != [tokenizer.eos_token_id]:
                ids = torch.tensor([prompt + response])
                with torch.no_grad():
                    out = policy(
                        input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=torch.arange(ids.shape[1])[None]
                    )
                p = (out.logits[0, -1] / config.temperature).softmax(0)
                response.append(torch.multinomial(p, 1, generator=generator).item())
            batch.append(prompt)
            responses.append(response)
            text = tokenizer.decode(prompt) + tokenizer.decode(response, skip_special_tokens=True)
            scores.append(reward_fn([text])[0])
        prompt_ids, prompt_mask = left_pad(batch, tokenizer.pad_token_id)
        length, end = max(map(len, responses)), tokenizer.eos_token_id
        tokens = torch.tensor([r + [end] * (length - len(r)) for r in responses])
        mask = torch.arange(length) < torch.tensor([[len(r)] for r in responses])
        with torch.no_grad():
            joined = join(prompt_ids, prompt_mask, tokens, mask)
            logprobs, values = of_response(policy, *joined, length, config.temperature)
            ref_logprobs, _ = of_response(reference, *joined, length, config.temperature)
        rewards = shape_rewards(torch.stack(scores), logprobs, ref_logprobs, mask, config.init_kl_coef)
        advantages, returns = compute_gae(rewards, values, mask, config.gamma, config.lam)
        if config.whiten_advantages:
            kept = advantages[mask]
            advantages = ((advantages - kept.mean()) / (kept.std() + 1e-8)).masked_fill(~mask, 0)
        rollout = SimpleNamespace(
            prompt_ids=prompt_ids, prompt_mask=prompt_mask, tokens=tokens, mask=mask, logprobs=logprobs, values=values,
            advantages=advantages, returns=returns,
        )  # fmt: skip
        ppo_step(policy, optimizer, rollout, config, generator)
        kl = (logprobs - ref_logprobs)[mask].sum() / config.batch_size
        history.append({"kl": float(kl), "reward": float(torch.stack(scores).mean()), "length": length})
        if callback is not None:
            callback(SimpleNamespace(update=len(history), history=history), history[-1])
    return history


@right
def with_its_own_controller(policy, reference, reward_fn, prompts, config, callback=None):
    """The state is used for optimizer and prompts; the KL coefficient is kept aside; the reference is a frozen copy."""
    state, tokenizer = TrainingState(policy, config), config.tokenizer
    frozen = copy.deepcopy(reference).eval()
    controller = None
    if config.target_kl is not None:
        controller = AdaptiveKLController(config.init_kl_coef, config.target_kl, config.kl_horizon)
    for _ in range(config.n_updates):
        policy.eval()
        state.anneal()
        prompt_ids, prompt_mask = left_pad(state.next_prompts(prompts), tokenizer.pad_token_id, policy.device)
        sample = sample_response(
            policy, prompt_ids, prompt_mask, config.max_new_tokens, config.temperature, tokenizer.eos_token_id, state.generator
        )
        mask, length = sample.mask, sample.tokens.shape[1]
        before = tokenizer.batch_decode([row[keep == 1] for row, keep in zip(prompt_ids, prompt_mask, strict=True)])
        after = response_texts(tokenizer, sample.tokens, mask)
        scores = reward_fn([p + r for p, r in zip(before, after, strict=True)])
        joined = join(prompt_ids, prompt_mask, sample.tokens, mask)
        with torch.inference_mode():
            ref_logprobs, _ = of_response(frozen, *joined, length, config.temperature)
            _, values = of_response(policy, *joined, length, config.temperature)
        ref_logprobs, values = ref_logprobs.clone(), values.clone()
        coefficient = config.init_kl_coef if controller is None else controller.value
        rewards = shape_rewards(scores, sample.logprobs, ref_logprobs, mask, coefficient)
        advantages, returns = compute_gae(rewards, values, mask, config.gamma, config.lam)
        if config.whiten_advantages:
            advantages = masked_whiten(advantages, mask)
        rollout = Rollout(prompt_ids, prompt_mask, sample.tokens, mask, sample.logprobs, values, advantages, returns)
        stats = ppo_step(policy, state.optimizer, rollout, config, state.generator)
        kl = torch.where(mask, sample.logprobs - ref_logprobs, 0.0).sum(1).mean()
        if controller is not None:
            controller.update(kl.item(), config.batch_size)
        state.update += 1
        state.history += [{**stats, "reward": scores.mean(), "kl": kl}]
        if callback is not None:
            callback(state, state.history[-1])
    return list(state.history)
