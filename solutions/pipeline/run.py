"""The whole pipeline: reward model, PPO, evaluation, report. Each stage leaves its result in the run's folder; a run that is
resumed takes finished stages from there."""

import os
import random
import time
from functools import cached_property

import torch
from safetensors import SafetensorError
from tqdm.auto import tqdm

from rlhf_core.advantages import compute_gae
from rlhf_core.best_of_n import best_of_n, best_of_n_kl
from rlhf_core.config import RunConfig
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.errors import ConfigError, CourseError
from rlhf_core.evaluate import Evaluation, bootstrap_ci, evaluate_policy, five_level, summarize, win_rate
from rlhf_core.gold import GoldScorer
from rlhf_core.kl import shape_rewards
from rlhf_core.loop import rlhf_loop
from rlhf_core.models import PolicyWithValue, freeze, freeze_bottom, load_causal_lm, load_classifier, load_tokenizer
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import response_logprobs, sample_response
from rlhf_core.rewards import RewardWrapper, length_bonus

from .folder import RunFolder
from .reward_model import fine_tune, positive_probability

OPENING_WORDS = 30


class Run:
    """One run: its config, its folder, and the models and data, each loaded when first needed."""

    def __init__(self, config: RunConfig, folder: RunFolder):
        self.config, self.folder = config, folder
        self.device = pick_device(config.device)
        torch.set_num_threads(config.threads or os.cpu_count())
        config.ppo.seed = config.seed

    @cached_property
    def tokenizer(self):
        return load_tokenizer(self.config.policy)

    @cached_property
    def reference(self):
        return freeze(load_causal_lm(self.config.policy, self.device))

    @cached_property
    def reviews(self):
        data, seed = self.config.data, self.config.seed
        return {
            "train": load_reviews(data.source, "train").subset(data.train_reviews, seed),
            "test": load_reviews(data.source, "test").subset(data.test_reviews, seed),
        }

    @cached_property
    def prompts(self):
        """Training prompts, and held-out ones that the policy never continues while it is trained."""
        data, wanted = self.config.data, self.config.evaluation.n_prompts
        bounds = (data.prompt_min_tokens, data.prompt_max_tokens)
        train = make_prompts(self.reviews["train"].texts, self.tokenizer, *bounds, seed=self.config.seed)
        test = make_prompts(self.reviews["test"].texts, self.tokenizer, *bounds, seed=self.config.seed, exclude=train)
        if not train or len(test) < wanted:
            raise ConfigError(
                f"{len(train)} training and {len(test)} held-out prompts could be made, and the evaluation wants {wanted}: "
                "lower evaluation.n_prompts or raise data.test_reviews"
            )
        return {"train": train, "test": test[:wanted]}

    @cached_property
    def scorers(self):
        """Name -> function from texts to scores: the reward as trained on, P(positive), and the gold scorer's P(positive)."""
        config = self.config.reward
        # The reward stage leaves its model in the folder; before that, and without fine-tuning, there is none.
        tuned = self.folder / "checkpoints/reward_model"
        name = str(tuned) if (self.folder.stage("reward_model") or {}).get("fine_tuned") else config.model
        model, tokenizer = load_classifier(name, self.device), load_tokenizer(name)
        wrapper = RewardWrapper(model, tokenizer, config.batch_size, config.max_length)

        def p_positive(texts):
            return positive_probability(model, tokenizer, texts, config.batch_size, config.max_length)

        def reward(texts):
            scores = p_positive(texts).float() if config.score == "probability" else wrapper(texts)
            return scores + length_bonus(texts, config.target_words, config.length_bonus) if config.length_bonus else scores

        return {"reward": reward, "p_positive": p_positive, "gold_p_positive": GoldScorer()}

    def check_inputs(self):
        """Load all that the run names, so that what is missing or wrong is said before anything is computed or written."""
        self.new_policy()
        load_classifier(self.config.reward.model, self.device)
        return self.prompts

    def new_policy(self) -> PolicyWithValue:
        lm = load_causal_lm(self.config.policy, self.device)
        if self.config.frozen_layers >= 0:
            freeze_bottom(lm, self.config.frozen_layers)
        return PolicyWithValue(lm).to(self.device)

    def evaluate(self, policy, seed_offset: int = 0) -> Evaluation:
        return evaluate_policy(
            policy, self.reference, self.scorers, self.prompts["test"], self.tokenizer, self.config.ppo.max_new_tokens,
            seed=1000 + self.config.seed + seed_offset,
        )  # fmt: skip


def pick_device(name: str) -> str:
    """ "auto" is a GPU where there is one. Raises ConfigError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} is not available here: {str(error).splitlines()[0]} (try device=auto)") from None
    return name


# ---------------------------------------------------------------------------------------------------------------- stages


def train_reward_model(run: Run) -> dict:
    """Stage 1: fine-tune the sentiment model on the training reviews; accuracy on held-out ones before and after."""
    config, seed = run.config.reward, run.config.seed
    model, tokenizer = load_classifier(config.model, run.device), load_tokenizer(config.model)
    held_out = run.reviews["test"].subset(600, seed)
    seen = {"whole": held_out.texts, "opening": [" ".join(text.split()[:OPENING_WORDS]) for text in held_out.texts]}
    label = torch.tensor(held_out.labels).bool()

    def accuracy():
        shares = {}
        for name, texts in seen.items():
            positive = positive_probability(model, tokenizer, texts, config.batch_size, config.max_length) > 0.5
            shares[name] = (positive == label).double().mean().item()
        return shares

    result = {"model": config.model, "fine_tuned": config.epochs > 0, "accuracy_before": accuracy()}
    if config.epochs:
        train = run.reviews["train"]
        result["train_losses"] = fine_tune(
            model, tokenizer, train.texts, train.labels, epochs=config.epochs, batch_size=config.batch_size,
            learning_rate=config.learning_rate, max_length=config.max_length, seed=seed, description="1 reward model",
        )  # fmt: skip
        result["accuracy_after"] = accuracy()
        save_pretrained(run, "checkpoints/reward_model", model, tokenizer)
    return result


def evaluate_before(run: Run) -> dict:
    return evaluation_to_json(run.evaluate(run.reference))


def train_policy(run: Run) -> dict:
    """Stage 2: PPO against the reward model, with a checkpoint every few updates."""
    config, folder = run.config, run.folder
    policy = run.new_policy()
    config.ppo.tokenizer = run.tokenizer
    config.ppo.resume = folder.load("checkpoints/training.pt", run.device)
    history = config.ppo.resume["history"] if config.ppo.resume else []
    folder.write_lines("metrics.jsonl", history)  # without the updates that came after the checkpoint
    bar = tqdm(total=config.ppo.n_updates, initial=len(history), desc="2 PPO")

    def after_update(state, stats):
        bar.set_postfix(reward=f"{stats['reward']:.2f}", kl=f"{stats['kl']:.2f}")
        bar.update()
        folder.append_line("metrics.jsonl", stats)
        if state.update % config.checkpoint_every == 0 or state.update == config.ppo.n_updates:
            folder.save("checkpoints/training.pt", state.state_dict())

    with bar:
        try:
            history = rlhf_loop(policy, run.reference, run.scorers["reward"], run.prompts["train"], config.ppo, after_update)
        except FloatingPointError as error:
            raise CourseError(
                f"PPO stopped after update {bar.n}: {error}. The checkpoints up to there are kept in {folder / 'checkpoints'}. "
                f"Start anew with a smaller step, for example --set ppo.learning_rate={config.ppo.learning_rate / 3:.1g}"
            ) from error
    # A learner's own loop may not have called back: what it returns and the policy it changed are what counts.
    folder.write_lines("metrics.jsonl", [{"update": i} | row for i, row in enumerate(history, 1)])
    folder.save("checkpoints/policy_with_value.pt", policy.state_dict())
    save_pretrained(run, "checkpoints/policy", policy.lm, run.tokenizer)
    return {"updates": len(history)}


def evaluate_after(run: Run) -> dict:
    return evaluation_to_json(run.evaluate(trained_policy(run)))


def trained_policy(run: Run) -> PolicyWithValue:
    policy = run.new_policy()
    policy.load_state_dict(run.folder.load("checkpoints/policy_with_value.pt", run.device))
    return policy


def sample_best_of_n(run: Run) -> dict:
    """The yardstick: many samples of the untrained policy for some prompts, the best of n by the reward."""
    config, scores = run.config.evaluation, {name: [] for name in run.scorers}
    generator = torch.Generator(device=run.device).manual_seed(2000 + run.config.seed)
    prompts = [p for p in run.prompts["test"][: config.best_of_n_prompts] for _ in range(config.best_of_n_samples)]
    for start in tqdm(range(0, len(prompts), 256), desc="3 best of n"):
        prompt_ids, prompt_mask = left_pad(prompts[start : start + 256], run.tokenizer.pad_token_id, run.device)
        sample = sample_response(
            run.reference, prompt_ids, prompt_mask, run.config.ppo.max_new_tokens, 1.0, run.tokenizer.eos_token_id, generator
        )
        prompt_texts = run.tokenizer.batch_decode(prompts[start : start + 256])
        responses = response_texts(run.tokenizer, sample.tokens, sample.mask)
        texts = [prompt + response for prompt, response in zip(prompt_texts, responses, strict=True)]
        for name, scorer in run.scorers.items():
            scores[name].append(torch.as_tensor(scorer(texts), dtype=torch.float64))
    table = {name: torch.cat(parts).view(-1, config.best_of_n_samples) for name, parts in scores.items()}
    curve, n = [], 1
    while n <= config.best_of_n_samples:
        best = best_of_n(table["reward"], n)
        row = {"n": n, "kl": best_of_n_kl(n)}
        for name, values in table.items():
            per_prompt = values.gather(1, best).mean(1)
            low, high = bootstrap_ci(per_prompt, generator=torch.Generator().manual_seed(run.config.seed))
            row[name] = {"mean": per_prompt.mean().item(), "ci_low": low, "ci_high": high}
        curve.append(row)
        n *= 2
    return {"prompts": len(table["reward"]), "curve": curve}


def token_advantages(run: Run) -> dict:
    """For the colouring: a few responses of the trained policy, each token with its advantage under the last value head."""
    policy, ppo = trained_policy(run), run.config.ppo
    prompts = run.prompts["test"][:4]
    prompt_ids, prompt_mask = left_pad(prompts, run.tokenizer.pad_token_id, run.device)
    generator = torch.Generator(device=run.device).manual_seed(3000 + run.config.seed)
    tokens, logprobs, mask = sample_response(
        policy, prompt_ids, prompt_mask, ppo.max_new_tokens, 1.0, run.tokenizer.eos_token_id, generator
    )
    input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
    length = tokens.shape[1]
    with torch.no_grad():
        ref_logprobs = response_logprobs(run.reference, input_ids, attention_mask, length)
        out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
    texts = [run.tokenizer.decode(p) + r for p, r in zip(prompts, response_texts(run.tokenizer, tokens, mask), strict=True)]
    scores = run.scorers["reward"](texts).to(run.device)
    rewards = shape_rewards(scores, logprobs, ref_logprobs, mask, ppo.init_kl_coef)
    advantages, _ = compute_gae(rewards, out.values[:, -length - 1 : -1], mask, ppo.gamma, ppo.lam)
    rows = []
    for prompt, row, keep, values in zip(prompts, tokens, mask, advantages, strict=True):
        pairs = [[run.tokenizer.decode([token]), None] for token in prompt]
        pairs += [[run.tokenizer.decode([token]), value.item()] for token, value in zip(row[keep], values[keep], strict=True)]
        rows.append(pairs)
    return {"rows": rows, "scores": scores.tolist()}


STAGES = {
    "reward_model": train_reward_model,
    "evaluate_before": evaluate_before,
    "ppo": train_policy,
    "evaluate_after": evaluate_after,
    "best_of_n": sample_best_of_n,
    "advantages": token_advantages,
}


def perform(run: Run, stages: dict) -> dict[str, dict]:
    """Do every stage that the folder does not hold yet; the results of all of them, each with its `wall_s`."""
    results = {}
    for name, stage in stages.items():
        result = run.folder.stage(name)
        if result is None:
            started = time.perf_counter()
            random.seed(run.config.seed)
            torch.manual_seed(run.config.seed)
            result = stage(run)
            result["wall_s"] = round(time.perf_counter() - started, 2)
            run.folder.finish(name, result)
        results[name] = result
    return results


# ---------------------------------------------------------------------------------------------------------------- results


def save_pretrained(run: Run, name: str, model, tokenizer):
    """A folder that plain transformers loads."""
    try:
        model.save_pretrained(run.folder / name)
        tokenizer.save_pretrained(run.folder / name)
    except (OSError, SafetensorError) as error:
        raise CourseError(f"could not write {run.folder / name}: {error}. Make room, then go on with --resume") from error


def evaluation_to_json(evaluation: Evaluation) -> dict:
    return {
        "prompts": evaluation.prompts,
        "responses": evaluation.responses,
        "token_ids": evaluation.token_ids,
        "scores": {name: values.tolist() for name, values in evaluation.scores.items()},
        "sequence_kl": evaluation.sequence_kl.tolist(),
        "ref_nll": evaluation.ref_nll.tolist(),
    }


def evaluation_from_json(stored: dict) -> Evaluation:
    return Evaluation(
        stored["prompts"], stored["responses"], stored["token_ids"],
        {name: torch.tensor(values, dtype=torch.float64) for name, values in stored["scores"].items()},
        torch.tensor(stored["sequence_kl"], dtype=torch.float64), torch.tensor(stored["ref_nll"], dtype=torch.float64),
    )  # fmt: skip


def figures_of(run: Run, results: dict) -> dict:
    """The content of report.json: every figure that the report shows."""
    before, after = (evaluation_from_json(results[f"evaluate_{when}"]) for when in ("before", "after"))
    seed = run.config.seed
    summary = {"before": summarize(before, seed), "after": summarize(after, seed)}
    figures = {
        "preset": run.config.preset,
        "recipe": run.config.recipe,
        "seed": seed,
        "device": run.device,
        "wall_s": {name: result["wall_s"] for name, result in results.items()},
        "n_eval": len(before.prompts),
        **summary,
        "win_rate": float(win_rate(after.scores["reward"], before.scores["reward"])),
        "learned": summary["after"]["reward"]["ci_low"] > summary["before"]["reward"]["ci_high"],
        "reward_model": {key: value for key, value in results["reward_model"].items() if key != "wall_s"},
    }
    if "best_of_n" in results:
        spent = max(summary["after"]["sequence_kl"]["mean"], 0.0)
        curve = results["best_of_n"]["curve"]
        figures["best_of_n"] = min(curve, key=lambda row: abs(row["kl"] - spent))
        figures["best_of_n_curve"] = curve
    return figures


def samples_of(results: dict) -> list[dict]:
    """One row a held-out prompt: what was written before and after, and what it scored."""
    before, after = results["evaluate_before"], results["evaluate_after"]
    rows = []
    for i, prompt in enumerate(before["prompts"]):
        row = {"prompt": prompt}
        for when, stored in (("before", before), ("after", after)):
            scores = {name: values[i] for name, values in stored["scores"].items()}
            row[when] = stored["responses"][i]
            row[f"{when}_scores"] = scores | {"sequence_kl": stored["sequence_kl"][i]}
            row[f"{when}_reading"] = five_level(scores["p_positive"])
        rows.append(row)
    return rows
