"""The 2024 notebook's recipe, faults and all: it runs, it prints rewards, and it does not learn.

Nine faults, each with a switch, so that a run can mend any of them (`--set notebook.repaired=[learning_rate,...]`) and measure
what it was worth.  The report compares the recipe as written with two others: only the learning rate mended, and all mended but
the learning rate.
"""

import torch
from tqdm.auto import tqdm

from rlhf_core.advantages import compute_gae, masked_whiten
from rlhf_core.errors import ConfigError
from rlhf_core.evaluate import summarize
from rlhf_core.loop import Rollout
from rlhf_core.padding import join, position_ids
from rlhf_core.policy import response_logprobs, response_mask, sample_response
from rlhf_core.ppo import PPOConfig, ppo_step
from rlhf_core.rewards import length_bonus

FAULTS = {
    "absolute_kl": "the absolute value of a KL estimate that went negative, so that the penalty pushes the wrong way",
    "sampling_mismatch": "temperature, top-k, top-p, a repetition penalty and n-gram blocking in the sampling, while the "
    "log-probabilities are the plain policy's",
    "length_bonus": "a length bonus that outweighs the sentiment",
    "prompt_in_response": "the prompt returned with the response, scored and trained on",
    "minimum_length": "a minimum length, so that the end of the text is never the policy's choice",
    "one_prompt": "one single prompt",
    "learning_rate": "a learning rate of 5e-8",
    "one_sample_evaluation": "an evaluation of one sample against one sample, under another decoding than in training",
    "padding_is_eos": "padding = EOS with no response mask, so that padding is trained on",
}

MENDED_LEARNING_RATE = 3e-4


class Recipe:
    """The notebook's loop over one policy, with the faults that are in force; counts what each fault does on the way."""

    def __init__(self, run, repaired):
        unknown = sorted(set(repaired) - set(FAULTS))
        if unknown:
            raise ConfigError(f"notebook.repaired names {unknown[0]!r}; the nine faults are {', '.join(FAULTS)}")
        self.run, self.config = run, run.config.notebook
        self.faults = set(FAULTS) - set(repaired)
        self.tokenizer = run.tokenizer
        if not self.config.prompt.split():
            raise ConfigError("notebook.prompt is empty: the policy needs at least one word to continue")
        self.fixed_prompt = self.tokenizer(self.config.prompt)["input_ids"]

    def train(self, policy, description: str) -> tuple[list[dict], dict]:
        """n_batches PPO updates. Returns their history and what was counted about each fault."""
        config, run = self.config, self.run
        rate = config.learning_rate if "learning_rate" in self.faults else MENDED_LEARNING_RATE
        optimizer = torch.optim.Adam(policy.parameters(), lr=rate)
        generator = torch.Generator().manual_seed(run.config.seed)
        torch.manual_seed(run.config.seed)  # generate() draws from the global state
        before = torch.cat([p.detach().flatten().clone() for p in policy.lm.parameters()])
        ppo = PPOConfig(ppo_epochs=4, minibatch_size=config.batch_size)
        history, evidence = [], []
        for update in tqdm(range(1, config.n_batches + 1), desc=description):
            prompt_ids = self._prompts(update)
            sequences = self._generate(policy, prompt_ids, generator)
            rollout, stats = self._rollout(policy, prompt_ids, sequences)
            step = ppo_step(policy, optimizer, rollout, ppo, generator)
            history.append({"update": update, "kl_coef": config.kl_coef} | step | stats["history"])
            evidence.append(stats["evidence"])
        after = torch.cat([p.detach().flatten() for p in policy.lm.parameters()])
        counted = {name: sum(row[name] for row in evidence) / len(evidence) for name in evidence[0]}
        counted["relative_weight_change"] = ((after - before).norm() / before.norm()).item()
        counted["different_prompts"] = 1 if "one_prompt" in self.faults else config.n_batches * config.batch_size
        return history, counted

    def _prompts(self, update):
        n = self.config.batch_size
        if "one_prompt" in self.faults:
            return torch.tensor([self.fixed_prompt] * n)
        prompts = self.run.prompts["train"]
        return torch.tensor([prompts[(update * n + i) % len(prompts)] for i in range(n)])

    def _generate(self, policy, prompt_ids, generator):
        """Prompt and response (B, P + T), after the end filled with EOS, as `generate` returns them."""
        eos, new = self.tokenizer.eos_token_id, self.config.max_new_tokens
        options = {}
        if "sampling_mismatch" in self.faults:
            options |= {"temperature": 0.7, "top_k": 50, "top_p": 0.95, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3}
        if "minimum_length" in self.faults:
            options |= {"min_new_tokens": new // 2}
        if not options:
            mask = torch.ones_like(prompt_ids)
            return torch.cat([prompt_ids, sample_response(policy, prompt_ids, mask, new, 1.0, eos, generator).tokens], 1)
        return policy.lm.generate(
            prompt_ids, attention_mask=torch.ones_like(prompt_ids), do_sample=True, max_new_tokens=new,
            pad_token_id=eos, **({"top_k": 0} | options),
        )  # fmt: skip

    def _rollout(self, policy, prompt_ids, sequences):
        config, eos = self.config, self.tokenizer.eos_token_id
        # Where the prompt counts as response, only its first token is left to be conditioned on.
        start = 1 if "prompt_in_response" in self.faults else prompt_ids.shape[1]
        context, tokens = sequences[:, :start], sequences[:, start:]
        honest = torch.zeros_like(tokens, dtype=torch.bool)
        response_start = prompt_ids.shape[1] - start
        honest[:, response_start:] = response_mask(tokens[:, response_start:], eos)
        mask = torch.ones_like(honest) if "padding_is_eos" in self.faults else honest.clone()
        if "padding_is_eos" not in self.faults and "prompt_in_response" in self.faults:
            mask[:, :response_start] = True

        ones = torch.ones_like(context)
        input_ids, attention_mask = join(context, ones, tokens, mask)
        with torch.no_grad():
            logprobs = response_logprobs(policy, input_ids, attention_mask, tokens.shape[1])
            ref_logprobs = response_logprobs(self.run.reference, input_ids, attention_mask, tokens.shape[1])
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
            values = out.values[:, -tokens.shape[1] - 1 : -1]

        texts = self.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        responses = self.tokenizer.batch_decode(sequences[:, prompt_ids.shape[1] :], skip_special_tokens=True)
        sentiment = self.run.scorers["reward"](texts)
        bonus = torch.zeros_like(sentiment)
        if "length_bonus" in self.faults:
            scored = texts if "prompt_in_response" in self.faults else responses
            bonus = length_bonus(scored, config.max_new_tokens, config.length_bonus)
        scores = sentiment + bonus

        k1 = logprobs - ref_logprobs
        signed_kl = (k1 * mask).sum(1)
        penalty = k1.abs() if "absolute_kl" in self.faults else k1
        last = mask.long().cumsum(1).argmax(1)
        rewards = -config.kl_coef * penalty * mask
        rewards[torch.arange(len(rewards)), last] += scores
        advantages, returns = compute_gae(rewards, values, mask, 1.0, 0.95)
        advantages = masked_whiten(advantages, mask)
        rollout = Rollout(context, ones, tokens, mask, logprobs, values, advantages, returns)
        history = {"reward": scores.mean().item(), "kl": signed_kl.mean().item(), "sentiment": sentiment.mean().item()}
        evidence = {
            "trained_on_prompt": mask[:, :response_start].sum().item() / mask.sum().item(),
            "trained_on_padding": (mask & ~honest)[:, response_start:].sum().item() / mask.sum().item(),
            "bonus_share_of_reward": (bonus.abs().mean() / (bonus.abs().mean() + sentiment.abs().mean())).item(),
            "batches_with_negative_kl": float(signed_kl.mean().item() < 0),
            "forbidden_or_reweighted": self._outside_policy(policy, input_ids, attention_mask, tokens, honest),
        }
        return rollout, {"history": history, "evidence": evidence}

    @torch.no_grad()
    def _outside_policy(self, policy, input_ids, attention_mask, tokens, mask) -> float:
        """Probability that the plain policy gives to what top-k and top-p would never draw, mean over tokens."""
        if "sampling_mismatch" not in self.faults:
            return 0.0
        out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
        plain = out.logits[:, -tokens.shape[1] - 1 : -1].softmax(-1)
        kept = plain.topk(50).values.sum(-1)
        return (1 - kept)[mask].mean().item()


def arms_of(config) -> dict[str, list[str]]:
    """What each arm of the comparison mends."""
    arms = {"as written": list(config.repaired)}
    if config.arms:
        arms["learning rate alone mended"] = ["learning_rate"]
        arms["all mended but the learning rate"] = [name for name in FAULTS if name != "learning_rate"]
    return arms


def train_notebook(run) -> dict:
    """Stage 2 of the recipe: each arm from the same start; all of them evaluated the honest way."""
    result = {"arms": {}}
    config = run.config
    for name, repaired in arms_of(config.notebook).items():
        recipe = Recipe(run, repaired)
        policy = run.new_policy()
        history, evidence = recipe.train(policy, f"2 {name}")
        evaluation = run.evaluate(policy)
        result["arms"][name] = {"evidence": evidence, "summary": summarize(evaluation, config.seed), "history": history}
        if name == "as written":
            headline = one_against_one(run, recipe, policy)
            run.folder.save("checkpoints/policy_with_value.pt", policy.state_dict())
            run.folder.write_lines("metrics.jsonl", history)
    return result | {"headline": headline}


def one_against_one(run, recipe, policy) -> dict:
    """The notebook's own headline: one greedy sample before, one after, for one prompt."""
    prompt_ids = torch.tensor([recipe.fixed_prompt])
    scores = {}
    for when, model in (("before", run.reference), ("after", policy.lm)):
        sequence = model.generate(
            prompt_ids,
            attention_mask=torch.ones_like(prompt_ids),
            do_sample=False,
            max_new_tokens=recipe.config.max_new_tokens,
            pad_token_id=recipe.tokenizer.eos_token_id,
            repetition_penalty=1.2,
        )
        text = recipe.tokenizer.decode(sequence[0], skip_special_tokens=True)
        scores[when] = {"text": text, "reward": run.scorers["reward"]([text]).item()}
    return scores


def compare(before: dict, after: dict) -> str:
    """How two intervals of a measure lie: "rises", "falls" or "overlaps"."""
    if after["ci_low"] > before["ci_high"]:
        return "rises"
    return "falls" if after["ci_high"] < before["ci_low"] else "overlaps"


def explanation(result: dict, before: dict) -> list[str]:
    """What the arms together say about the nine faults, in sentences, from the measured intervals."""
    how = {
        "rises": "the reward rises",
        "falls": "the reward falls",
        "overlaps": "the reward's interval overlaps the one before",
    }
    lines = []
    for name, arm in result["arms"].items():
        kl, moved = arm["summary"]["sequence_kl"]["mean"], arm["evidence"]["relative_weight_change"]
        outcome = how[compare(before["reward"], arm["summary"]["reward"])]
        lines.append(
            f"{name.capitalize()}: {outcome}; the weights moved by {moved:.1e} of their size, the policy by {kl:.3f} nats."
        )
    arms = {name: compare(before["reward"], arm["summary"]["reward"]) for name, arm in result["arms"].items()}
    alone, others = arms.get("learning rate alone mended"), arms.get("all mended but the learning rate")
    if alone is None:
        return lines
    if others == "overlaps":
        lines.append(
            "The learning rate is enough to explain that nothing was learned: with the other eight faults mended and it left "
            "in place, nothing is learned either."
        )
    else:
        lines.append("The learning rate is not the whole explanation: with the other eight mended, something changes.")
    if alone == "rises":
        lines.append("Mending it alone lets the reward rise: the other eight faults make the result worse, not impossible.")
    else:
        lines.append(
            "It is not the only one: with the learning rate alone mended the reward still does not rise, so the other eight "
            "are enough to prevent it too. The policy then moves, but towards what the faulty reward and samples ask for."
        )
    return lines


def verdict(result: dict, before: dict, n_eval: int, repaired: list[str]) -> list[dict]:
    """The nine faults, each with what this run measured about it; of those in `repaired` it says only that."""
    written, one = result["arms"]["as written"], result["headline"]
    seen = written["evidence"]
    # The interval of a mean over n texts is 2 * 1.96 standard errors wide.
    spread = (before["reward"]["ci_high"] - before["reward"]["ci_low"]) / 3.92 * n_eval**0.5
    measured = {
        "learning_rate": f"the weights moved by {seen['relative_weight_change']:.1e} of their size, and the sequence KL after "
        f"training is {written['summary']['sequence_kl']['mean']:.4f} nats",
        "absolute_kl": f"the KL estimate of a batch was negative in {seen['batches_with_negative_kl']:.0%} of the batches; its "
        "absolute value was subtracted as a penalty all the same",
        "sampling_mismatch": f"{seen['forbidden_or_reweighted']:.0%} of the plain policy's probability is on tokens that top-k "
        "alone never draws",
        "length_bonus": f"the bonus is {seen['bonus_share_of_reward']:.0%} of the reward's size",
        "prompt_in_response": f"{seen['trained_on_prompt']:.0%} of the tokens trained on are the prompt's",
        "minimum_length": "the end of the text was forbidden in the first half of every response",
        "one_prompt": f"{seen['different_prompts']} prompt in training, {n_eval} others in the evaluation",
        "one_sample_evaluation": f"the headline compares {one['before']['reward']:.2f} with {one['after']['reward']:.2f}, one "
        f"text each, while single texts differ with a standard deviation of {spread:.2f}",
        "padding_is_eos": f"{seen['trained_on_padding']:.0%} of the tokens trained on are padding",
    }
    measured |= dict.fromkeys(repaired, "mended in this run")
    return [{"fault": name, "what": what, "measured": measured[name]} for name, what in FAULTS.items()]
