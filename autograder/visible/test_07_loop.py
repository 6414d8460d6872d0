"""Lesson 7, the loop and an honest evaluation: what a learner sees."""

import functools
import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from autograder import oracles
from autograder.answer import EndOfCheck, kind
from autograder.compare import close, number
from autograder.driver.toys import ToyPolicy
from rlhf_core.padding import position_ids

pytestmark = pytest.mark.visible

# rlhf_loop: what was given to it, and what can be worked out from the texts and the weights alone

VOCABULARY, WIDTH, PLACES = 7, 8, 14  # six letters and the end
SMALL = {"n_updates": 3, "batch_size": 6, "max_new_tokens": 4, "minibatch_size": 3, "ppo_epochs": 2}
STEADY = {"gamma": 1.0, "lam": 1.0, "value_coef": 0.0, "value_learning_rate": 0.0, "final_learning_rate": 1.0}


def two_models(draw, apart=0.5, values=True):
    """Weights of a policy and of a reference that is some way off, as arguments of a run."""
    weights = draw.policy_weights(VOCABULARY, WIDTH, PLACES)
    if not values:
        weights["value"] = torch.zeros(WIDTH)
    moved = {name: x + draw.normal(*x.shape, scale=apart).float() if apart else x for name, x in weights.items()}
    return {"weights": weights, "reference_weights": moved}


def train(answer, models, **options):
    """What a run of the learner's loop gave, see driver/scenarios/rlhf_loop.py; it takes the weights as nested lists."""
    plain = {name: {key: weight.tolist() for key, weight in weights.items()} for name, weights in models.items()}
    return answer.run("train", **plain, **options)


def some_prompts(draw, n):
    """Prompts of three to five tokens, none of which begins with another one: a text shows which prompt it answers."""
    letters = range(1, VOCABULARY)
    starts = [[a, b, c] for a in letters for b in letters for c in letters]
    lengths = draw.integers(0, 3, n).tolist()
    ends = [draw.integers(1, VOCABULARY, length).tolist() for length in lengths]
    return [starts[k] + end for k, end in zip(draw.order(len(starts))[:n].tolist(), ends, strict=True)]


def seed(draw):
    return draw.integers(0, 10_000, 1).item()


def model_of(weights):
    """A ToyPolicy in float64 with weights from a state_dict, or from the two_models above."""
    value = weights["value_head.weight"][0] if "value_head.weight" in weights else weights["value"]
    return ToyPolicy({n: w.double() for n, w in (weights | {"value": value}).items() if "." not in n}).eval()


@torch.no_grad()
def distributions(weights, prompts, responses, width, temperature=1.0):
    """The log-probabilities (B, width, V) of every token that a policy could have put at each place of these responses.

    The rows are padded on the right only, where a causal model cannot see it.
    """
    rows = [(p + r + [0] * (5 + width))[: 5 + width] for p, r in zip(prompts, responses, strict=True)]
    logits = model_of(weights)(input_ids=torch.tensor(rows)).logits / temperature
    starts = torch.tensor([len(p) - 1 for p in prompts]).unsqueeze(1)
    places = (starts + torch.arange(width)).unsqueeze(-1).expand(-1, -1, logits.shape[-1])
    return logits.gather(1, places).log_softmax(-1)


@dataclass
class Update:
    """What was sampled in one update; responses with the end token where there was one."""

    prompts: list
    responses: list
    scores: torch.Tensor
    policy: dict  # weights when it was sampled
    reference: dict
    after: dict  # the policy's weights one update later
    width: int

    @property
    def mask(self):
        return torch.tensor([[t < len(r) for t in range(self.width)] for r in self.responses])

    @property
    def tokens(self):
        return torch.tensor([(r + [0] * self.width)[: self.width] for r in self.responses])

    def everything(self, weights, temperature=1.0):
        return distributions(weights, self.prompts, self.responses, self.width, temperature)

    def logprobs(self, weights, temperature=1.0):
        return self.everything(weights, temperature).gather(-1, self.tokens.unsqueeze(-1)).squeeze(-1)


def updates_of(answer, seen, prompts, config):
    """The updates of a run, from the texts that were scored; ends the check where these cannot be made out."""
    size, width = config["batch_size"], config["max_new_tokens"]
    n, texts = config["n_updates"], [list(text) for text in seen["texts"]]
    what = f"reward_fn has to score every response once: {n} updates of {size} make {n * size} texts; it got {len(texts)}."
    if not answer.expect(len(texts) == n * size, what, kind="wrong_number_of_texts", evidence=category(len(texts), n, size)):
        raise EndOfCheck
    found = [next((p for p in prompts if text[: len(p)] == p), None) for text in texts]
    responses = [text[len(p or ()) :] for text, p in zip(texts, found, strict=True)]
    odd = [p is None or len(r) > width or min(r, default=1) < 1 for p, r in zip(found, responses, strict=True)]
    bare = sum(p is None for p in found) > len(texts) // 4
    only = not any(responses)
    doubled = sum(p is not None and r[: len(p)] == p for p, r in zip(found, responses, strict=True)) > 0.9 * len(texts)
    seems = "no prompt" if bare else "nothing but the prompt" if only else "the prompt twice" if doubled else "odd text"
    what = f"reward_fn has to get prompt and response together, as text; what it got looks like {seems}."
    ok = not any(odd) and not only and not doubled
    if not answer.expect(ok, what, kind="wrong_texts", evidence="together" if ok else seems):
        raise EndOfCheck
    responses = [[*r, 0] if len(r) < width else r for r in responses]  # what is short has ended by itself
    policies, references, scores = seen["policies"], seen["references"], seen["scores"].double()
    return [
        Update(
            found[k * size : (k + 1) * size], responses[k * size : (k + 1) * size], scores[k * size : (k + 1) * size],
            policies[k], references[k], policies[k + 1], width,
        )
        for k in range(n)
    ]  # fmt: skip


def category(count, n, size):
    """How many texts, in words that do not depend on the sizes."""
    named = {
        n * size: "all",
        (n - 1) * size: "one update less",
        (n + 1) * size: "one update more",
        size: "one update",
        0: "none",
    }
    return named.get(count, "another number")


def history_of(answer, seen, config):
    """The history as a list of (reward, kl); ends the check where it is not one dict an update."""
    history, n = seen["history"], config["n_updates"]
    if not answer.expect(
        isinstance(history, tuple), f"The history has to be a list of dicts; it is {kind(history)}.", kind="wrong_type"
    ):
        raise EndOfCheck
    length = f"The history has {len(history)} entries; there are {n} updates, with one dict each."
    if not answer.expect(len(history) == n, length, kind="wrong_length", evidence=max(-2, min(len(history) - n, 2))):
        raise EndOfCheck
    rows = []
    for entry in history:
        numbers = [as_number(entry.get(name)) if isinstance(entry, dict) else None for name in ("reward", "kl")]
        what = "Every entry of the history is a dict with the finite numbers `reward` and `kl`."
        if None in numbers:
            answer.expect(False, what, f"This one is not: {str(entry)[:200]}.", kind="wrong_type")
            raise EndOfCheck
        rows.append(numbers)
    return rows


def as_number(value):
    """A float, or None for what is no finite number."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    return float(value) if isinstance(value, float | int) and math.isfinite(value) else None


def first_fit(value, candidates):
    """The name of the first candidate that the value equals; a candidate is a number, or a function that works it out."""
    for name, x in candidates:
        if math.isclose(value, x() if callable(x) else x, rel_tol=1e-3, abs_tol=1e-4):
            return name
    return "none of these"


SEQUENCE_KL = "the mean of k1 summed"


def kl_candidates(update, last, coefficient, temperature=1.0):
    """What could be taken for the mean sequence KL of an update, by name; the first ones are right."""
    mask, d = update.mask, k1_of(update, temperature)
    tokens, k1 = mask.sum(), d.sum(1)
    k3 = (-d).expm1() + d

    def after():
        return k1_of(update, temperature, policy=update.after).sum(1).mean()

    return [
        (SEQUENCE_KL, k1.mean()),
        # With a temperature that the reference is not divided by, as it is not the reference that was sampled from.
        (SEQUENCE_KL, lambda: k1_of(update, temperature, reference_temperature=1.0).sum(1).mean()),
        ("zero", 0.0),
        ("the KL at temperature 1", lambda: k1_of(update).sum(1).mean()),
        ("minus the KL", -k1.mean()),
        ("absolute values", d.abs().sum(1).mean()),
        ("absolute values", k1.abs().mean()),
        ("absolute values", k1.mean().abs()),
        ("absolute values", k1.clamp(min=0).mean()),
        ("a mean over tokens", d.sum() / tokens),
        ("a mean over tokens", (k1 / mask.sum(1)).mean()),
        ("a mean over tokens", d.mean()),
        ("a mean over tokens", d[:, : int(mask.sum(1).max())].mean()),
        ("a sum over the batch", d.sum()),
        ("another estimator", k3.sum(1).mean()),
        ("another estimator", k3.sum() / tokens),
        ("another estimator", d.square().sum(1).mean() / 2),
        ("another estimator", d.square().sum(1).mean()),
        ("the KL times its coefficient", coefficient * k1.mean()),
        ("the KL of the policy after the step", after),
        ("the step from the old policy to the new one", lambda: after() - k1.mean()),
        ("the KL of the last update", lambda: k1_of(last, temperature).sum(1).mean()),
    ]


def k1_of(update, temperature=1.0, policy=None, reference_temperature=None):
    """(B, T) log-probability of each sampled token under the policy, minus that under the reference; 0 behind the end."""
    own = update.logprobs(update.policy if policy is None else policy, temperature)
    theirs = update.logprobs(update.reference, reference_temperature or temperature)
    return (own - theirs).masked_fill(~update.mask, 0)


def moved(before, after, rate):
    """Whether the policy went anywhere at this learning rate. Weight decay, which shrinks all alike, is no move."""
    for name, x in before.items():
        if not name.startswith("value_head"):
            step = (after[name] - x).double()
            x = x.double()
            step = step - (step * x).sum() / x.square().sum().clamp(min=1e-12) * x
            if step.abs().max() > 0.05 * rate:
                return True
    return False


@torch.no_grad()
def expectations(policy, reference, prompts, worth, width):
    """Exactly, over all responses that there are: the mean sequence KL and the mean worth of the letters of a response."""
    letters = torch.arange(1, VOCABULARY)
    policy, reference = model_of(policy), model_of(reference)
    worth = torch.tensor([0.0, *worth], dtype=torch.float64)
    kl = score = 0.0
    for prompt in prompts:
        rows, reach = torch.tensor([prompt]), torch.ones(1, dtype=torch.float64)
        for _ in range(width):
            p = policy(input_ids=rows).logits[:, -1].log_softmax(-1)
            q = reference(input_ids=rows).logits[:, -1].log_softmax(-1)
            kl += (reach * (p.exp() * (p - q)).sum(-1)).sum().item()
            score += (reach * (p.exp() * worth).sum(-1)).sum().item()
            reach = (reach.unsqueeze(1) * p.exp()[:, 1:]).flatten()
            rows = torch.cat([rows.repeat_interleave(len(letters), 0), letters.repeat(len(rows)).unsqueeze(1)], 1)
    return kl / len(prompts), score / len(prompts)


def as_measured(answer, draw, config):
    """A few updates, and what the history says about them against what the texts and the weights say."""
    prompts, config = some_prompts(draw, config["batch_size"] + 1), {**config, "seed": seed(draw)}
    worth, models = draw.uniform(-1, 1, VOCABULARY - 1).tolist(), two_models(draw)
    constants = [1.0, 4.0, 9.0][: config["n_updates"]]
    seen = train(answer, models, prompts=prompts, config=config, worth=worth, constants=constants, with_callback=True)
    history = history_of(answer, seen, config)
    updates = updates_of(answer, seen, prompts, config)
    coefficient, means = config["init_kl_coef"], [u.scores.mean().item() for u in updates]
    # What other checks judge tells mistakes apart already here.
    answer.witness([read_only(seen), len(seen["reported"]) == len(history), told(seen) == history, falls(seen)])

    fits = []
    for k, ((reward, kl), update) in enumerate(zip(history, updates, strict=True)):
        candidates = [
            ("the mean", means[k]), ("the scores of the update before", means[k - 1] if k else 0.0),
            ("the scores of the last update", means[-1]), ("the mean minus the penalty", means[k] - kl),
            ("the mean minus the penalty", means[k] - coefficient * kl),
            ("the mean minus the penalty", lambda u=update, m=means[k]: m - coefficient * k1_of(u).sum(1).mean()),
            ("the sum", update.scores.sum()), ("one text", update.scores.max()), ("one text", update.scores[0]),
            ("one text", update.scores[-1]), ("a mean over all updates", sum(means[: k + 1]) / (k + 1)), ("zero", 0.0),
        ]  # fmt: skip
        fits.append(first_fit(reward, candidates))
    show = [f"update {k + 1}: {number(h[0])}, expected {number(means[k])}" for k, h in enumerate(history)]
    what = "`reward` in the history is not the mean score of the texts of that update."
    answer.expect(set(fits) == {"the mean"}, what + hint(fits, "the mean"), f"{'; '.join(show)}.", kind="value", evidence=fits)

    temperature = config.get("temperature", 1.0)
    choices = [kl_candidates(update, updates[-1], coefficient, temperature) for update in updates]
    fits = [first_fit(kl, candidates) for (_, kl), candidates in zip(history, choices, strict=True)]
    show = [f"update {k + 1}: {number(h[1])}, expected {number(choices[k][0][1])}" for k, h in enumerate(history)]
    what = "`kl` in the history is not the mean sequence KL of the texts of that update."
    answer.expect(
        set(fits) == {SEQUENCE_KL}, what + hint(fits, SEQUENCE_KL), f"{'; '.join(show)}.", kind="value", evidence=fits
    )

    steps = [moved(u.policy, u.after, config["learning_rate"]) for u in updates]
    answer.expect(all(steps), "The policy has to be another one after every update; it is still the same.", evidence=steps)
    again = [sorted(a.responses) == sorted(b.responses) for a, b in itertools.pairwise(updates)]
    what = "Two updates scored the same responses: every update has to sample new ones from the policy as it is by then."
    answer.expect(not any(again), what, evidence=again)


def hint(fits, right):
    """What a wrong number is, if that is known."""
    found = next((fit for fit in fits if fit not in (right, "none of these")), None)
    return f" It looks like: {found}." if found else ""


def read_only(seen):
    """Whether the reference has the same weights as before, and no gradient."""
    start, end = seen["references"][0], seen["references"][-1]
    return all(torch.equal(start[name], end[name]) for name in start), seen["reference_gradient"] == 0


def told(seen):
    """Reward and KL as the callback got them."""
    return [[as_number((stats or {}).get(name)) for name in ("reward", "kl")] for stats in seen["reported"]]


def falls(seen):
    """Whether the learning rate falls, where a TrainingState holds the optimizer."""
    rates = [state["learning_rate"] for state in seen["states"] if "learning_rate" in state]
    return not rates or rates[-1] < 0.75 * rates[0]


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(3)
def test_loop_reports_what_it_sampled(answer, draw):
    """The history holds each update's mean score and mean sequence KL."""
    config = {"n_updates": 2, "batch_size": 6, "minibatch_size": 6, "max_new_tokens": 4, "temperature": 0.8}
    as_measured(answer, draw, config | {"learning_rate": 0.05, "value_learning_rate": 0.05, "init_kl_coef": 0.2})


@pytest.mark.exercise("rlhf_loop")
def test_loop_uses_the_scores_as_told(answer, draw):
    """Each update learns from its own scores, with one optimizer for the whole run."""
    prompts = some_prompts(draw, 9)
    config = STEADY | {"n_updates": 3, "batch_size": 8, "minibatch_size": 8, "max_new_tokens": 3, "init_kl_coef": 0.0}
    config |= {"learning_rate": 0.01, "whiten_advantages": False, "seed": seed(draw)}
    seen = train(answer, two_models(draw, values=False), prompts=prompts, config=config, constants=[0.0, 2.0, 2.0])
    weights = seen["policies"]
    pairs = list(itertools.pairwise(weights))
    steps = [moved(a, b, config["learning_rate"]) for a, b in pairs][:2]
    what = "In the first update scores, values and the KL coefficient are 0, so there is nothing to learn; the policy moved."
    answer.expect(steps[:1] != [True], what)
    what = "In the second update every score is 2 and every value 0, so every advantage is 2; the policy stood still."
    answer.expect(len(steps) == 2 and steps[1], what)
    anew = len(pairs) == 3 and all(same_size(a, b) for a, b in pairs[1:])
    what = (
        "Each step changes all weights by the same amount, as Adam does in its very first step only: "
        "keep one optimizer, it remembers the gradients of the updates before."
    )
    answer.expect(not anew, what)

    config |= {"whiten_advantages": True, "n_updates": 2, "seed": seed(draw)}
    seen = train(answer, two_models(draw, values=False), prompts=prompts, config=config, constants=[2.0, 2.0])
    still = not any(moved(a, b, config["learning_rate"]) for a, b in itertools.pairwise(seen["policies"]))
    what = "Every advantage is the same here, so whitening leaves 0 of it and nothing is learned; the policy moved."
    answer.expect(still, what)

    # Each prompt ends in a letter of its own, which the policy has no output for. Only texts with the first of these score, so
    # only its embedding takes part in what is learned.
    models, own = two_models(draw, values=False), range(VOCABULARY, VOCABULARY + 4)
    for weights in models.values():
        weights["embedding"] = torch.cat([weights["embedding"], draw.normal(len(own), WIDTH).float()])
    prompts = [[*draw.integers(1, VOCABULARY, 2 + k % 2).tolist(), letter] for k, letter in enumerate(own)]
    config |= {"whiten_advantages": False, "n_updates": 8, "batch_size": 4, "minibatch_size": 4, "seed": seed(draw)}
    worth = [2.0 if token == own[0] else 0.0 for token in range(1, own[-1] + 1)]
    seen = train(answer, models, prompts=prompts, config=config, worth=worth)
    first, last = ({str(k): seen["policies"][k_]["embedding"][k] for k in own} for k_ in (0, -1))
    learned = [moved({str(k): first[str(k)]}, last, config["learning_rate"]) for k in own]
    what = "One prompt scores 2 and all others 0, but it is from the responses to others that the policy learned."
    answer.expect(learned == [True, False, False, False], what, evidence=(learned[0], any(learned[1:])))


def same_size(before, after):
    """Whether nearly all weights that moved did so by the same amount."""
    steps = torch.cat([(after[n] - before[n]).flatten() for n in before if not n.startswith("value_head")]).abs()
    steps = steps[steps > 0]
    return len(steps) > 0 and (steps > 0.95 * steps.max()).double().mean().item() > 0.8


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(2)
def test_loop_shapes_what_the_step_gets(answer, draw):
    """A PPO step gets the advantages and returns that lessons 4 and 5 define."""
    config = {"n_updates": 2, "batch_size": 6, "minibatch_size": 6, "max_new_tokens": 5, "temperature": 0.8, "gamma": 0.9}
    config |= {"lam": 0.6, "init_kl_coef": 0.4, "learning_rate": 0.05, "seed": seed(draw)}
    worth, models = draw.uniform(-1, 1, VOCABULARY - 1).tolist(), two_models(draw)
    for whiten in (False, True):
        handed_over(answer, draw, models, worth, config | {"whiten_advantages": whiten})
    steered(answer, draw, models, worth, config)


def handed_over(answer, draw, models, worth, config):
    """Compare every rollout that reached `ppo_step` with the oracles'. A loop that takes the step by itself shows none.

    Such a loop can make the same mistakes as any other, so what is seen here is evidence of the minor kind.
    """
    seen = rollouts_of(answer, draw, models, worth, config)
    if seen is None:
        return
    fits = [fits_of(handed, models, worth, config) for handed in seen["rollouts"]]
    answer.witness(fits, minor=True)
    for update, found in enumerate(fits, 1):
        for name, fit in found.items():
            if fit != RIGHT:
                answer.report("value", f"In update {update} ppo_step gets other {name} than it should.{hint([fit], RIGHT)}")


def rollouts_of(answer, draw, models, worth, config):
    """What the loop hands to `ppo_step` in each update; None where it does not call it once in each."""
    plain = {name: {key: weight.tolist() for key, weight in weights.items()} for name, weights in models.items()}
    prompts = some_prompts(draw, config["batch_size"] + 2)
    seen = answer.run("rollouts", **plain, prompts=prompts, config=config, worth=worth)
    if len(seen["rollouts"]) == config["n_updates"]:
        return seen
    answer.witness("no rollouts", minor=True)
    history, first, last = seen["history"], seen["policies"][0], seen["policies"][-1]
    trained = any(not torch.equal(last[name], first[name]) for name in last)
    what = "The run ends without one entry of the history for each update, or without a change of the policy."
    ran = isinstance(history, tuple) and len(history) == config["n_updates"] and trained
    answer.expect(ran, what, kind="no_training", minor=True)
    return None


def steered(answer, draw, models, worth, config):
    """Where a TrainingState's controller has moved the KL coefficient, the penalty has to be by that one."""
    start, size = config["init_kl_coef"], config["batch_size"]
    config = config | {"target_kl": 0.01, "kl_horizon": size, "whiten_advantages": False}
    seen = rollouts_of(answer, draw, models, worth, config)
    moved_to = seen and next((state["kl_coef"] for state in seen["states"] if "kl_coef" in state), start)
    if seen is None or abs(moved_to - start) < 0.01 * start:
        return
    second = judged(seen["rollouts"][1], models, config)
    if second is None:
        return  # handed_over says so
    used = coefficient_of(second, worth, config)
    what = "With a target_kl the penalty has to use the KL coefficient as it is by then: read state.kl_coef in every update."
    show = f"In update 2 the controller says {number(moved_to)}; the penalty is by {number(used)}, as in the first."
    answer.expect(abs(used - start) > 0.01 * start, what, show)


def coefficient_of(h, worth, config):
    """The KL coefficient that the returns of a rollout speak of; they are a straight line in it."""
    scores = scores_of(h, worth)

    def returns(coefficient):
        rewards = oracles.shape_rewards(scores, h.logprobs, h.ref, h.mask, coefficient)
        return oracles.compute_gae(rewards, h.values, h.mask, config["gamma"], config["lam"])[1][h.mask]

    at_0 = returns(0.0)
    slope = returns(1.0) - at_0
    return ((h.got.returns[h.mask] - at_0) @ slope / (slope @ slope)).item()


def scores_of(h, worth):
    letters = torch.tensor([0.0, *worth, 0.0], dtype=torch.float64)
    return torch.stack([letters[ids[m]].sum() for ids, m in zip(*h.inputs, strict=True)])


RIGHT = "as they should be"


@torch.no_grad()
def judged(handed, models, config):
    """A rollout as the loop made it, `got`, and what belongs to its tokens: inputs, and logprobs, ref, values of the oracles.

    None where its shapes do not fit together.
    """
    got = SimpleNamespace(**{name: x.double() if x.is_floating_point() else x for name, x in handed["rollout"].items()})
    if (got.prompt_ids.ndim, got.tokens.ndim) != (2, 2) or not got.tokens.shape == got.mask.shape == got.values.shape:
        return None
    policy, reference, mask = model_of(handed["policy"]), model_of(models["reference_weights"]), got.mask.bool()
    policy.value_head.bias.data += handed["policy"]["value_head.bias"]
    inputs = torch.cat([got.prompt_ids, got.tokens], 1), torch.cat([got.prompt_mask.bool(), mask], 1)
    length, warmth = mask.shape[1], config["temperature"]
    logprobs, plain = (oracles.response_logprobs(policy, *inputs, length, t) for t in (warmth, 1.0))
    ref, plain_ref = (oracles.response_logprobs(reference, *inputs, length, t) for t in (warmth, 1.0))
    said = policy(input_ids=inputs[0], attention_mask=inputs[1], position_ids=position_ids(inputs[1].long()))
    values = said.values[:, -length - 1 : -1]
    return SimpleNamespace(
        got=got, mask=mask, inputs=inputs, values=values, logprobs=logprobs, ref=ref, plain=plain, plain_ref=plain_ref
    )


def fits_of(handed, models, worth, config) -> dict:
    """What each part of a rollout is."""
    h = judged(handed, models, config)
    if h is None:
        return {"tokens, mask and values": "of different shapes"}
    return {name: first_fit_of(getattr(h.got, name), candidates, h.mask) for name, candidates in handed_right(h, worth, config)}


def handed_right(h, worth, config):
    """What each part of a rollout may be, by name; the first candidate is the right one."""
    mask, logprobs, ref, values, plain = h.mask, h.logprobs, h.ref, h.values, h.plain
    late = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    scores = scores_of(h, worth)
    gamma, lam, coefficient = config["gamma"], config["lam"], config["init_kl_coef"]

    def shaped(penalty, values=values, gamma=gamma, lam=lam, scores=scores):
        rewards = oracles.shape_rewards(scores, penalty, torch.zeros_like(penalty), mask, coefficient)
        return oracles.compute_gae(rewards, values, mask, gamma, lam)

    k1 = logprobs - ref
    stories = {  # worked out as far as they are asked for: mostly the first is enough
        RIGHT: lambda: shaped(k1),
        "without the KL penalty": lambda: shaped(0 * k1),
        "with the penalty's sign turned": lambda: shaped(-k1),
        "with the absolute value of the KL": lambda: shaped(k1.abs()),
        "with the KL counted twice": lambda: shaped(2 * k1),
        "with the KL counted twice, on every token and in the score": lambda: shaped(
            k1, scores=scores - coefficient * (k1 * mask).sum(1)
        ),
        "with gamma and lambda exchanged": lambda: shaped(k1, gamma=lam, lam=gamma),
        "with the values one place late": lambda: shaped(k1, values=late),
        "with a reference at temperature 1": lambda: shaped(logprobs - h.plain_ref),
        "with both policies at temperature 1": lambda: shaped(plain - h.plain_ref),
        "without lambda": lambda: shaped(k1, lam=1.0),
        "without gamma": lambda: shaped(k1, gamma=1.0),
    }

    def advantages():
        for name, story in stories.items():
            plain, _ = story()
            white = [oracles.masked_whiten(plain, mask, unbiased=unbiased) for unbiased in (False, True)]
            used, spare, not_so = (white, plain, "not") if config["whiten_advantages"] else ([plain], white[0], "already")
            yield from ((name, x) for x in used)
            yield f"{name}, but {not_so} whitened", spare

    def returns():
        for name, story in stories.items():
            plain, target = story()
            yield name, target
            for unbiased in (False, True):
                yield "from whitened advantages", oracles.masked_whiten(plain, mask, unbiased=unbiased) + values * mask

    return [
        ("logprobs", [(RIGHT, logprobs), ("at temperature 1", plain), ("the reference's", ref)]),
        ("values", [(RIGHT, values), ("one place late", late)]),
        ("advantages", advantages()),
        ("returns", returns()),
    ]


def first_fit_of(got, candidates, mask):
    """The name of the first candidate that agrees with a tensor where the mask is True."""
    if got.shape != mask.shape:
        return "of another shape"
    for name, candidate in candidates:
        if close(got, candidate, rtol=1e-3, atol=1e-4)[mask].all():
            return name
    return "none of these"


@pytest.mark.exercise("rlhf_loop")
def test_loop_repeats_itself(answer, draw):
    """The same config.seed gives the same history, another seed another one."""
    prompts, models = some_prompts(draw, 7), two_models(draw)
    config = SMALL | {"n_updates": 2, "learning_rate": 0.02, "seed": seed(draw)}
    other = config | {"seed": config["seed"] + 1}
    runs = [
        train(answer, models, prompts=prompts, config=c, worth=[1.0], global_seed=k)
        for k, c in enumerate([config, config, other])
    ]
    first, again, another = ([list(t) for t in run["texts"]] for run in runs)
    histories = [history_of(answer, run, config) for run in runs[:2]]
    ok = first == again and torch.allclose(torch.tensor(histories[0]), torch.tensor(histories[1]), rtol=1e-3, atol=1e-4)
    what = "Two runs with the same config.seed differ: draw everything from a generator with that seed."
    answer.expect(ok, what)
    answer.expect(first != another, "Two runs with different seeds are the same: config.seed is not used.")


@pytest.mark.exercise("rlhf_loop")
def test_loop_calls_back(answer, draw):
    """The callback is called once an update, and what it raises ends the run."""
    prompts, models = some_prompts(draw, 7), two_models(draw)
    config = SMALL | {"learning_rate": 0.02, "final_learning_rate": 0.2, "target_kl": 0.1, "kl_horizon": 12}
    config |= {"init_kl_coef": 0.3, "seed": seed(draw)}
    seen = train(answer, models, prompts=prompts, config=config, with_callback=True)
    history, n = history_of(answer, seen, config), config["n_updates"]
    reported = seen["reported"]
    what = f"The callback has to be called once after each update: {n} times here, not {len(reported)} times."
    if answer.expect(len(reported) == n, what, evidence=category(len(reported), n, 1)):
        what = "The second argument of the callback has to be the stats of that update, as they are in the history."
        answer.expect(told(seen) == history, what)
        steering(answer, draw, seen, history, config)

    stopped = train(answer, models, prompts=prompts, config=config, stop_after=2)
    what = "What the callback raises has to end the run and come out of rlhf_loop: do not catch it."
    answer.expect(stopped["stopped"] and len(stopped["reported"]) == 2, what)
    scored = category(len(stopped["texts"]), 2, config["batch_size"])
    answer.expect(
        scored == "all", "The callback raised after the second update, and the loop did not stop there.", evidence=scored
    )


def steering(answer, draw, seen, history, config):
    """Where a TrainingState holds the KL coefficient and the optimizer, both have to change from update to update."""
    what = "The learning rate has to fall from update to update, as config says, and yours does not: state.anneal() sets it."
    answer.expect(falls(seen), what)
    values = [state["kl_coef"] for state in seen["states"] if "kl_coef" in state]
    start, observed = config["init_kl_coef"], [(kl, config["batch_size"]) for _, kl in history]
    expected = oracles.adaptive_kl_values(start, config["target_kl"], config["kl_horizon"], observed)
    # A coefficient that is brought up to date after the callback is one update late.
    fits = len(values) != len(expected) or any(
        torch.allclose(torch.tensor(values), torch.tensor(e), rtol=1e-3) for e in (expected, [start, *expected[:-1]])
    )
    what = "With a target_kl the KL coefficient has to follow the measured KL: tell state.controller about it in every update."
    show = f"It is {', '.join(map(number, values))}, expected {', '.join(map(number, expected))}."
    answer.expect(fits or comes_down(answer, draw), what, show)


def comes_down(answer, draw):
    """Whether the KL does what target_kl asks for, however the coefficient is kept: it starts too small against the reward."""
    config = STEADY | {"n_updates": 20, "batch_size": 36, "max_new_tokens": 3, "minibatch_size": 36, "ppo_epochs": 2}
    config |= {"learning_rate": 0.05, "init_kl_coef": 1e-2, "target_kl": 0.01, "kl_horizon": 9, "whiten_advantages": False}
    prompts, models = some_prompts(draw, 36), two_models(draw, values=False)
    noise = draw.normal(VOCABULARY - 1, scale=0.1).tolist()
    seen = train(answer, models, prompts=prompts, config=config, worth=noise)
    reference = models["reference_weights"]
    first, last = (expectations(w, reference, prompts, noise, 3)[0] for w in (models["weights"], seen["policies"][-1]))
    answer.down = first, last
    return last < first


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(2)
def test_loop_samples_from_the_policy(answer, draw):
    """Responses are plain samples at config.temperature, without dropout."""
    samples(answer, draw, temperature=0.7, max_new_tokens=8)


def samples(answer, draw, temperature, max_new_tokens):
    still = STEADY | {"learning_rate": 0.0, "n_updates": 1, "whiten_advantages": False, "init_kl_coef": 0.1}
    config = {**still, "batch_size": 6, "max_new_tokens": max_new_tokens, "seed": seed(draw)}
    prompts = some_prompts(draw, 7)
    seen = train(answer, two_models(draw, 0.0), prompts=prompts, config=config, dropout=0.5)
    kl = history_of(answer, seen, config)[0][1]
    what = "Policy and reference are the same model here, so the first KL is exactly 0. Yours is not: is dropout still on?"
    answer.expect(abs(kl) < 1e-4, what, f"It is {number(kl)}.")

    config |= {"batch_size": 216, "minibatch_size": 216, "temperature": temperature, "seed": seed(draw)}
    prompts = some_prompts(draw, 216)
    models = two_models(draw, 0.8)
    seen = train(answer, models, prompts=prompts, config=config)
    kl = history_of(answer, seen, config)[0][1]
    (update,) = updates_of(answer, seen, prompts, config)
    candidates = kl_candidates(update, update, config["init_kl_coef"], temperature)
    fit = first_fit(kl, candidates)
    what = f"At temperature {temperature} `kl` is not the one under the distribution that was sampled from."
    show = f"It is {number(kl)}, expected {number(candidates[0][1])}."
    answer.expect(fit == SEQUENCE_KL, what + hint([fit], SEQUENCE_KL), show, kind="value", evidence=fit)
    sources = [
        ("the policy", update.policy, temperature), ("the policy at temperature 1", update.policy, 1.0),
        ("the reference", update.reference, temperature), ("the reference", update.reference, 1.0),
    ]  # fmt: skip
    source = next((name for name, weights, t in sources if sampled_from(update, weights, t, sources)), "none of these")
    best = update.everything(update.policy).argmax(-1)
    if (best == update.tokens)[update.mask].all():
        source = "the most probable token each time"
    what = "The responses are not plain samples from the policy at config.temperature."
    # A KL that is not understood comes from log-probabilities that are not, and so may the samples.
    source = source if fit == SEQUENCE_KL or source == "the policy" else "not asked"
    answer.expect(source in ("the policy", "not asked"), what + hint([source], ""), evidence=source)
    still = not moved(update.policy, update.after, 1e-4)
    answer.expect(still, "With a learning rate of 0 nothing may move, and the policy did.", kind="behaviour")


def sampled_from(update, weights, temperature, sources):
    """Whether these tokens could be samples of a distribution: how far some sums over them are from what they should be.

    For a function f of a token, f minus its mean under the distribution is a fair game, whatever was sampled before it.  By
    Freedman's inequality its sum S over all tokens is beyond t with a chance of at most 2 exp(-t^2 / 2 (V + b t / 3)), V the
    sum of the variances and b the largest step; here t is chosen so that this is 4e-9.
    """
    logprobs, mask, tokens = update.everything(weights, temperature), update.mask, update.tokens.unsqueeze(-1)
    p, ranks = logprobs.exp(), logprobs.argsort(-1).argsort(-1)
    others = [(update.everything(w, t) - logprobs).clamp(-2, 2) for _, w, t in sources]
    for f in [logprobs.clamp(min=-4), *((ranks < k).double() for k in range(1, logprobs.shape[-1])), *others]:
        step = f - (p * f).sum(-1, keepdim=True)
        variance, largest = (p * step.square()).sum(-1)[mask].sum(), step[mask].abs().max()
        room = LUCK_OF_SAMPLES * largest / 3
        bound = room + (room.square() + 2 * LUCK_OF_SAMPLES * variance).sqrt() + 1e-6
        if step.gather(-1, tokens).squeeze(-1)[mask].sum().abs() > bound:
            return False
    return True


LUCK_OF_SAMPLES = 20.0  # 2 exp(-20) = 4e-9


@pytest.mark.exercise("rlhf_loop")
def test_loop_of_small_batches(answer, draw):
    """Every prompt gets its turn, and where few samples give a negative KL, the history says so."""
    small_batches(answer, draw, 7, {"n_updates": 30, "batch_size": 5, "minibatch_size": 5, "max_new_tokens": 2})


def small_batches(answer, draw, n, config):
    # The reference is so near that about half of the means are negative.
    config = STEADY | {"learning_rate": 0.0, "init_kl_coef": 0.1, "whiten_advantages": False, "seed": seed(draw)} | config
    prompts = some_prompts(draw, n)
    seen = train(answer, two_models(draw, 0.05), prompts=prompts, config=config, dropout=0.0)
    history = history_of(answer, seen, config)
    negative = sum(kl < -1e-6 for _, kl in history)
    what = "The mean of a few samples of the KL is often negative, when policy and reference are near; yours never is."
    answer.expect(negative > 0, what)
    found = [next((k for k, p in enumerate(prompts) if list(text[: len(p)]) == p), None) for text in seen["texts"]]
    ok = len(set(found) - {None}) == n or None in found  # texts without a prompt are another check's business
    answer.expect(ok, "Some of the prompts were never used.", f"{len(set(found))} of {n} were.")


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(2)
def test_loop_stays_near_the_reference(answer, draw):
    """With no reward but the KL penalty, the policy returns to the reference."""
    penalises(answer, draw, {"n_updates": 16, "batch_size": 120, "max_new_tokens": 3, "minibatch_size": 120, "ppo_epochs": 2})


def penalises(answer, draw, config, **more):
    prompts, models = some_prompts(draw, config["batch_size"]), two_models(draw, 0.8, values=False)
    config = STEADY | {"learning_rate": 0.05, "init_kl_coef": 1.0, "whiten_advantages": False, "seed": seed(draw)} | config
    seen = train(answer, models, prompts=prompts, config=config)
    worth, width = [0.0] * (VOCABULARY - 1), config["max_new_tokens"]
    few = prompts[:8]
    first, last = (
        expectations(w, models["reference_weights"], few, worth, width)[0] for w in (models["weights"], seen["policies"][-1])
    )
    answer.penalised = first, last
    trend = "falls" if last < 0.95 * first else "rises" if last > 1.05 * first else "stays"
    what = f"With a reward that is always 0 and a large init_kl_coef, the KL to the reference has to fall; it {trend}."
    answer.expect(trend == "falls", what, f"It is {number(first)} before and {number(last)} after.", evidence=trend)
    same, without_gradient = read_only(seen)
    answer.expect(same, "The weights of the reference changed: it is only read.", kind="reference_changed")
    what = "A gradient flowed into the reference: it is only read, so look it up without one."
    answer.expect(without_gradient, what, kind="reference_changed")


@pytest.mark.exercise("rlhf_loop")
@pytest.mark.points(2)
def test_loop_learns(answer, draw):
    """Letters that are rewarded are written more often."""
    learns(answer, draw, {"n_updates": 16, "batch_size": 80, "max_new_tokens": 3, "minibatch_size": 80, "ppo_epochs": 3})


def learns(answer, draw, config):
    prompts, models = some_prompts(draw, config["batch_size"]), two_models(draw, 0.0)
    config = {**config, "learning_rate": 0.05, "final_learning_rate": 1.0, "init_kl_coef": 0.02, "seed": seed(draw)}
    # Reward the two letters of which there is about one in a response, so that there is room on both sides.
    width, before = config["max_new_tokens"], models["weights"]
    counts = [expectations(before, before, prompts[:6], row, width)[1] for row in torch.eye(VOCABULARY - 1).tolist()]
    chosen = min(itertools.combinations(range(len(counts)), 2), key=lambda pair: abs(sum(counts[k] for k in pair) - 1))
    worth = [float(k in chosen) for k in range(len(counts))]
    seen = train(answer, models, prompts=prompts, config=config, worth=worth)
    first, last = (expectations(w, before, prompts[:20], worth, width)[1] for w in (before, seen["policies"][-1]))
    answer.learned = first, last
    what = "The reward is how often two letters occur in a text. It has to rise clearly from update to update, and does not."
    show = f"A response is worth {number(first)} on average before and {number(last)} after {config['n_updates']} updates."
    answer.expect(last > first + 0.7 * (width - first), what, show)


# The evaluation


@pytest.mark.exercise("sequence_kl")
@pytest.mark.points(2)
def test_sequence_kl_ragged_rows(answer, draw):
    """One sum a response, over its own tokens; an empty response gives 0."""
    mask = draw.mask(5, 0, 2, 1, 3, 4, width=5)
    logprobs, ref_logprobs = draw.logprobs(6, 5), draw.logprobs(6, 5)
    answer.agrees(draw.junk(logprobs, mask), draw.junk(ref_logprobs, mask), mask)


@pytest.mark.exercise("sequence_kl")
def test_sequence_kl_keeps_the_sign(answer, draw):
    """A single response may have a negative sum, and a token a negative term."""
    mask = torch.ones(3, 4, dtype=torch.bool)
    ref_logprobs = draw.logprobs(3, 4)
    difference = draw.uniform(0.2, 1.0, 3, 4) * torch.tensor([[-1.0], [1.0], [-1.0]])
    difference[2, 1] *= -0.5
    answer.agrees(ref_logprobs + difference, ref_logprobs, mask)


@pytest.mark.exercise("sequence_kl")
def test_sequence_kl_edges(answer, draw):
    """A batch of one, one token, nothing at all; a square batch; the same policy twice."""
    answer.agrees(draw.logprobs(1, 1), draw.logprobs(1, 1), torch.ones(1, 1, dtype=torch.bool))
    answer.agrees(draw.logprobs(1, 3), draw.logprobs(1, 3), torch.tensor([[True, True, False]]))
    mask = torch.zeros(2, 3, dtype=torch.bool)
    answer.agrees(draw.junk(draw.logprobs(2, 3), mask), draw.junk(draw.logprobs(2, 3), mask), mask)
    answer.agrees(draw.logprobs(3, 3), draw.logprobs(3, 3), draw.mask(3, 2, 1, width=3))
    same = draw.logprobs(2, 3)
    answer.agrees(same, same.clone(), torch.ones(2, 3, dtype=torch.bool))


def scored_twice(draw, wins, ties, losses):
    """Scores before and after, paired, in a drawn order: so many pairs that were won, tied, lost, by margins of any size."""
    n = wins + ties + losses
    before = draw.normal(n, scale=3)
    margin = draw.uniform(0.1, 2.0, n) * torch.tensor([1.0] * wins + [0.0] * ties + [-1.0] * losses)
    order = draw.order(n)
    return (before + margin)[order], before[order]


@pytest.mark.exercise("win_rate")
@pytest.mark.points(2)
def test_win_rate_with_ties(answer, draw):
    """A win counts 1, a tie one half."""
    answer.agrees(*scored_twice(draw, 5, 2, 1))
    answer.agrees(*scored_twice(draw, 1, 3, 5))
    answer.agrees(*scored_twice(draw, 4, 0, 3))


@pytest.mark.exercise("win_rate")
def test_win_rate_is_paired(answer, draw):
    """Each response is compared with the one to the same prompt."""
    order = draw.order(6)
    steps = torch.arange(6.0, dtype=torch.float64)
    answer.agrees(steps.roll(-1)[order] - 3, steps[order] - 3)  # five small wins and one large loss


@pytest.mark.exercise("win_rate")
def test_win_rate_edges(answer, draw):
    """A single pair; nothing but ties; differences that are small."""
    for margin in (1.5, 0.0, -1.5):
        before = draw.normal(1)
        answer.agrees(before + margin, before)
    same = draw.normal(4)
    answer.agrees(same, same.clone())
    before = draw.normal(5)
    answer.agrees(before + torch.tensor([1, 1, 1, 1, -1]) / 4096, before)


# The bootstrap: its exact distribution, for values with two decimals

LUCK = 18.5  # exp(-LUCK) = 1e-8: how seldom a right answer may fall outside of the bounds


class Bootstrap:
    """The distribution of the mean of n values drawn from x with replacement, without drawing any.

    In units of 0.01 the values are whole numbers, so the distribution of their sum is that of one value folded n times with
    itself: the n-th power of its Fourier transform.
    """

    def __init__(self, steps):
        steps = torch.tensor(steps)
        self.n, self.start = len(steps), steps.min().item()
        one = torch.bincount(steps - self.start).double() / self.n
        size = 1 << (self.n * (len(one) - 1)).bit_length()  # the transform is fast at powers of two
        self.cdf = torch.fft.irfft(torch.fft.rfft(one, size) ** self.n, size).cumsum(0)

    def quantile(self, p):
        index = torch.searchsorted(self.cdf, torch.tensor(p, dtype=torch.float64)).clamp(max=len(self.cdf) - 1)
        return (index.item() / self.n + self.start) / 100

    def bounds(self, p, n_resamples):
        """Between which two numbers the p quantile of n_resamples means lies, but for a chance of 1e-8 on each side.

        By Chernoff's bound the p quantile of R draws lies below the q quantile of their distribution with a chance of at most
        exp(-R KL(p || q)), and alike above. Two places more, as there are several rules for the quantile of a sample.
        """
        room = 2 / n_resamples
        low = far_from(max(p - room, 1e-9), 1e-12, n_resamples)
        high = far_from(min(p + room, 1 - 1e-9), 1 - 1e-12, n_resamples)
        return self.quantile(low) - 1e-3, self.quantile(high) + 1e-3

    def around(self, p, n_resamples):
        """The p quantile, and roughly the deviation of that of n_resamples means."""
        p = min(max(p, 1e-9), 1 - 1e-9)
        low, high = self.bounds(p, n_resamples)
        return self.quantile(p), (high - low) / 12


@functools.lru_cache(maxsize=64)
def bootstrap_of(steps):
    return Bootstrap(steps)


def law_of(x):
    """The Bootstrap of values with two decimals."""
    return bootstrap_of(tuple((100 * x.double()).round().long().tolist()))


def far_from(p, end, n):
    """The q between p and the end where n KL(p || q) is LUCK, by halving."""
    near, far = p, end
    for _ in range(50):
        q = (near + far) / 2
        divergence = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        near, far = (near, q) if n * divergence > LUCK else (q, far)
    return far


def skewed(draw):
    """Nine positive values, of which the last is the largest by far and the first the next one."""
    values = torch.tensor([7.0, 0.2, 0.5, 0.9, 1.3, 1.8, 2.4, 3.1, 14.0], dtype=torch.float64)
    return (values + draw.uniform(0, 0.2, 9)).round(decimals=2)


def interval_of(answer, x, dtype=torch.float64, **options):
    """(low, high) as floats; ends the check where these are not what came back."""
    seen = answer.call({"x": x.to(dtype), **options})
    answer._side_effects(seen)
    returned = seen.returned
    if isinstance(returned, torch.Tensor) and returned.shape == (2,):
        returned = tuple(returned)
    pair = returned if isinstance(returned, tuple) and len(returned) == 2 else ()
    scalars = [v for v in pair if not isinstance(v, torch.Tensor) or v.ndim == 0]
    numbers = [float(v) for v in scalars if isinstance(v, float | int | torch.Tensor) and not isinstance(v, bool)]
    what = f"bootstrap_ci has to return low, high: two numbers. It returned {kind(seen.returned)}."
    if not answer.expect(len(numbers) == 2, what, kind="wrong_type"):
        raise EndOfCheck
    if not answer.expect(all(map(math.isfinite, numbers)), f"The interval is {numbers}: not finite.", kind="value"):
        raise EndOfCheck
    return numbers, seen


def rule_of(low, high, x, level, n_resamples, fine):
    """The name of the rule that comes nearest to this interval, of those that a learner may have used.

    fine: where the tails are thin enough to tell symmetric intervals from that of the percentiles.
    """
    x = x.double()
    whole, n, centre, tail = law_of(x), len(x), x.mean().item(), (1 - level) / 2
    error, z = x.std(unbiased=False).item() / math.sqrt(n), torch.special.ndtri(torch.tensor((1 + level) / 2)).item()
    if all((x - end).abs().min() < 1e-4 for end in (low, high)):
        return "values of the data"

    def drawn(lower, upper, law=whole):
        return law.around(lower, n_resamples), law.around(upper, n_resamples)

    def round_the_mean(half_width):
        return [(centre + side * half_width, 0.015 * half_width + 1e-4 * error) for side in (-1, 1)]

    ends = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    data, halves = x.quantile(ends).tolist(), torch.combinations(x, n // 2).mean(1)
    spread = 0.03 * (data[1] - data[0])
    smallest, largest = whole.around(0.7 / n_resamples, n_resamples), whole.around(1 - 0.7 / n_resamples, n_resamples)
    right = drawn(tail, 1 - tail)
    rules = [
        ("the percentiles", right),
        ("the ends exchanged", right[::-1]),
        ("no spread at all", round_the_mean(0.0)),
        ("one standard error", round_the_mean(error)),
        ("the deviation of the data", round_the_mean(z * error * math.sqrt(n))),
        ("the deviation of the data", round_the_mean(1.96 * error * math.sqrt(n))),
        ("the deviation of the data", round_the_mean(error * math.sqrt(n))),
        ("the quantiles of the data", [(q, spread) for q in data]),
        ("the standard error, divided once more", round_the_mean(z * error / math.sqrt(n))),
        ("the standard error, divided once more", round_the_mean(z * error / math.sqrt(n_resamples))),
        ("the level of 95 %", drawn(0.025, 0.975)),
        ("the level of 90 %", drawn(0.05, 0.95)),
        ("tails twice as large", drawn(2 * tail, 1 - 2 * tail)),
        ("the level for what lies outside", drawn(level / 2, 1 - level / 2)),
        ("the smallest and the largest mean", (smallest, largest)),
        ("one side only", (smallest, whole.around(level, n_resamples))),
        ("one side only", (whole.around(1 - level, n_resamples), largest)),
        ("both ends at the very bottom", drawn(tail / 100, (1 - tail) / 100)),
        ("the sum", [(n * middle, n * scale) for middle, scale in right]),
        ("one value left out", drawn(tail, 1 - tail, law_of(x[:-1]))),
        ("one value left out", drawn(tail, 1 - tail, law_of(x[1:]))),
        ("half of the values", [(q, 0.03 * error) for q in halves.quantile(ends).tolist()]),
    ]
    if fine:
        rules += [("a multiple of the standard error", round_the_mean(k * error)) for k in (z, z * math.sqrt(n / (n - 1)))]
        rules += [("the percentiles mirrored at the mean", [(2 * centre - middle, scale) for middle, scale in right[::-1]])]

    def distance(rule):
        return max(abs(end - middle) / max(scale, 1e-9) for end, (middle, scale) in zip((low, high), rule, strict=True))

    nearest = min(rules, key=lambda rule: distance(rule[1]))
    return (
        nearest[0]
        if distance(nearest[1]) < (9 if fine else 20)
        else "too narrow by far"
        if high - low < 0.4 * error
        else "none of these"
    )


def percentile_interval(answer, x, level, n_resamples, fine, dtype=torch.float64, **options):
    (low, high), _ = interval_of(answer, x, dtype, level=level, n_resamples=n_resamples, **options)
    law, tail, found = law_of(x), (1 - level) / 2, rule_of(low, high, x, level, n_resamples, fine)
    answer.witness(found)
    bounds = [law.bounds(p, n_resamples) for p in (tail, 1 - tail)]
    if not all(a <= end <= b for end, (a, b) in zip((low, high), bounds, strict=True)):
        what = "This is not the percentile interval of the mean." + hint([found], "the percentiles")
        show = (
            f"level {level}, {n_resamples} resamples: got {number(low)} to {number(high)}, expected about "
            f"{number(law.quantile(tail))} to {number(law.quantile(1 - tail))}; x = {x.tolist()}."
        )
        answer.report("value", what, show)


def rough_interval(answer, x, **options):
    """The width is that of an interval of 95 % roughly, whatever was drawn: 0.6 to 3 times that of the normal interval."""
    (low, high), _ = interval_of(answer, x, **options)
    truth = oracles.bootstrap_ci_normal(x)
    share = (high - low) / (truth[1] - truth[0])
    size = "right" if 0.6 < share < 3 else "too narrow" if share < 0.6 else "too wide"
    show = f"Got {number(low)} to {number(high)}, expected about {number(truth[0])} to {number(truth[1])}."
    answer.expect(size == "right", f"For {len(x)} values the interval of 95 % is {size}.", show, kind="value", evidence=size)


def generator(draw):
    return torch.Generator().manual_seed(seed(draw))


@pytest.mark.exercise("bootstrap_ci")
@pytest.mark.points(2)
def test_bootstrap_of_skewed_values(answer, draw):
    """The percentile interval of the mean, longer on the side where the values are."""
    percentile_interval(answer, skewed(draw), 0.95, 20_000, fine=True, generator=generator(draw))


@pytest.mark.exercise("bootstrap_ci")
def test_bootstrap_level(answer, draw):
    """Another level gives another width."""
    percentile_interval(answer, skewed(draw), 0.8, 10_000, fine=False, dtype=torch.float32, generator=generator(draw))


@pytest.mark.exercise("bootstrap_ci")
def test_bootstrap_of_many_values(answer, draw):
    """The width falls with the root of the number of values; the defaults."""
    rough_interval(answer, draw.normal(25, scale=2) - 1, generator=generator(draw))
    rough_interval(answer, draw.normal(400, scale=2) + 3, dtype=torch.float32)


@pytest.mark.exercise("bootstrap_ci")
def test_bootstrap_generator(answer, draw):
    """The generator alone decides: one seed, one interval."""
    x, first = draw.normal(31, scale=2).exp(), seed(draw)
    runs = [interval_of(answer, x, generator=torch.Generator().manual_seed(s)) for s in (first, first, first + 1)]
    same, other = runs[0][0] == runs[1][0], runs[0][0] != runs[2][0]
    answer.expect(same, "Two generators with the same seed gave different intervals: draw from the generator.")
    answer.expect(other, "Two generators with different seeds gave the same interval: draw from the generator.")
    untouched = not any(seen.moved_random_state for _, seen in runs)
    what = "The global random state moved, though a generator was given: draw from the generator."
    answer.expect(untouched, what, kind="changes_the_random_state")


@pytest.mark.exercise("bootstrap_ci")
def test_bootstrap_number_of_resamples(answer, draw):
    """From one resample there is one mean, so low and high are the same."""
    x = draw.normal(31, scale=2).exp()
    (low, high), _ = interval_of(answer, x, n_resamples=1, generator=generator(draw))
    ok = math.isclose(low, high, rel_tol=1e-5)
    answer.expect(ok, "With n_resamples=1 there is only one mean: low and high are both that.", f"Got {low} and {high}.")
    what = "The mean of a resample lies between the smallest and the largest value."
    answer.expect(x.min() <= low <= x.max(), what, f"Got {low}; the values go from {number(x.min())} to {number(x.max())}.")


@pytest.mark.exercise("bootstrap_ci")
def test_bootstrap_edges(answer, draw):
    """A single value, and values that are all the same."""
    for x in (torch.tensor([2.5]), torch.full((6,), -1.5)):
        (low, high), _ = interval_of(answer, x, torch.float32, generator=generator(draw))
        ok = all(math.isclose(end, x[0].item(), rel_tol=1e-4) for end in (low, high))
        answer.expect(ok, f"All values are {number(x[0])}, so is every mean of them.", f"Got {low} to {high}.", kind="value")
