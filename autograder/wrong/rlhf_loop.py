"""Mistakes in rlhf_loop.

One loop whose steps can be exchanged: each takes `u`, which holds the arguments and all that was worked out in this update.
"""

import contextlib
import copy
from types import SimpleNamespace

import torch

from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten
from rlhf_core.evaluate import sequence_kl
from rlhf_core.kl import kl_estimate, shape_rewards
from rlhf_core.loop import Rollout, TrainingState
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import Sample, gather_logprobs, response_logprobs, response_mask, sample_response
from rlhf_core.ppo import ppo_step

from ..bank import wrong


def with_steps(**exchanged):
    """The loop with some of its steps exchanged, as a function of its own."""

    def _(policy, reference, reward_fn, prompts, config, callback=None):
        return run(policy, reference, reward_fn, prompts, config, callback, **exchanged)

    return _


def run(policy, reference, reward_fn, prompts, config, callback, **exchanged):
    """The loop, with some of its steps exchanged."""
    u = SimpleNamespace(
        policy=policy, reference=reference, reward_fn=reward_fn, prompts=prompts, config=config, callback=callback
    )
    u.state, u.tokenizer, u.device = TrainingState(u.policy, u.config), u.config.tokenizer, u.policy.device
    u.generator = u.state.generator
    u.n_updates = u.config.n_updates
    for name, step in STEPS.items():
        setattr(u, name, exchanged.pop(name, step))
    assert not exchanged, exchanged
    u.prepare(u)
    while u.state.update < u.n_updates:
        u.begin(u)
        u.choose(u)
        u.sample(u)
        u.write(u)
        u.score(u)
        u.look_up(u)
        u.shape(u)
        u.estimate(u)
        u.step(u)
        u.measure(u)
        u.control(u)
        u.record(u)
        u.call_back(u)
    return u.state.history


def nothing(u):
    pass


def begin(u):
    u.state.anneal()
    u.policy.eval()
    u.kl_coef = u.state.kl_coef


def choose(u):
    u.chosen = u.state.next_prompts(u.prompts)


def sample(u, model=None, temperature=None, sampler=sample_response):
    u.prompt_ids, u.prompt_mask = left_pad(u.chosen, u.tokenizer.pad_token_id, u.device)
    temperature = u.config.temperature if temperature is None else temperature
    model = model or u.policy
    u.tokens, u.logprobs, u.mask = sampler(
        model, u.prompt_ids, u.prompt_mask, u.config.max_new_tokens, temperature, u.tokenizer.eos_token_id, u.generator
    )


def write(u):
    u.texts = [p + r for p, r in zip(prompt_texts(u), response_texts(u.tokenizer, u.tokens, u.mask), strict=True)]


def prompt_texts(u):
    return u.tokenizer.batch_decode([row[keep] for row, keep in zip(u.prompt_ids, u.prompt_mask.bool(), strict=True)])


def score(u):
    u.scores = u.reward_fn(u.texts)


def look_up(u, temperature=None):
    temperature = u.config.temperature if temperature is None else temperature
    with torch.no_grad():
        u.ref_logprobs = logprobs_of(u.reference, u, temperature)
        u.values = values_of(u)


def logprobs_of(model, u, temperature):
    return response_logprobs(model, *join(u.prompt_ids, u.prompt_mask, u.tokens, u.mask), u.tokens.shape[1], temperature)


def values_of(u):
    input_ids, attention_mask = join(u.prompt_ids, u.prompt_mask, u.tokens, u.mask)
    out = u.policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
    return out.values[:, -u.tokens.shape[1] - 1 : -1]


def shape(u):
    u.rewards = shape_rewards(u.scores, u.logprobs, u.ref_logprobs, u.mask, u.kl_coef)


def estimate(u):
    u.advantages, u.returns = compute_gae(u.rewards, u.values, u.mask, u.config.gamma, u.config.lam)
    if u.config.whiten_advantages:
        u.advantages = masked_whiten(u.advantages, u.mask)


def step(u, model=None, optimizer=None):
    rollout = Rollout(u.prompt_ids, u.prompt_mask, u.tokens, u.mask, u.logprobs, u.values, u.advantages, u.returns)
    u.stats = ppo_step(model or u.policy, optimizer or u.state.optimizer, rollout, u.config, u.generator)


def measure(u):
    u.kl = sequence_kl(u.logprobs, u.ref_logprobs, u.mask).mean().item()


def control(u):
    if u.state.controller is not None:
        u.state.controller.update(u.kl, len(u.tokens))


def record(u, reward=None):
    u.state.update += 1
    u.stats |= {"update": u.state.update, "reward": u.scores.mean().item() if reward is None else float(reward), "kl": u.kl}
    u.state.history.append(u.stats)


def call_back(u):
    if u.callback is not None:
        u.callback(u.state, u.stats)


STEPS = {
    "prepare": nothing, "begin": begin, "choose": choose, "sample": sample, "write": write, "score": score, "look_up": look_up,
    "shape": shape, "estimate": estimate, "step": step, "measure": measure, "control": control, "record": record,
    "call_back": call_back,
}  # fmt: skip


def and_then(first, second):
    """Both steps, one after the other."""

    def both(u):
        first(u)
        second(u)

    return both


# Scores of something else


def score_late(u):
    scores = u.reward_fn(u.texts)
    u.scores = getattr(u, "before", scores)
    u.before = scores


@wrong(
    about="state", read="loop", hint="Which texts are the scores of that you train on, and were they sampled in this update?"
)
def rewards_of_the_previous_rollout(policy, reference, reward_fn, prompts, config, callback=None):
    """The scores that an update learns from and reports are those of the texts of the update before."""
    return run(policy, reference, reward_fn, prompts, config, callback, score=score_late)


@rewards_of_the_previous_rollout.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def score(u):
        scores = u.reward_fn(u.texts)
        u.scores = getattr(u, "before", torch.zeros_like(scores))
        u.before = scores

    return run(policy, reference, reward_fn, prompts, config, callback, score=score)


@rewards_of_the_previous_rollout.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def restore(u):
        u.scores = u.before

    return run(policy, reference, reward_fn, prompts, config, callback, score=score_late, record=and_then(restore, record))


@rewards_of_the_previous_rollout.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def score_first(u):
        u.scores = getattr(u, "first", None)
        scores = u.reward_fn(u.texts)
        u.scores = u.first = scores if u.scores is None else u.scores

    return run(policy, reference, reward_fn, prompts, config, callback, score=score_first)


@wrong(about="state", read="loop", hint="How often does your loop sample in one update, and which of the samples is scored?")
def scores_of_another_sample(policy, reference, reward_fn, prompts, config, callback=None):
    """The responses are sampled once more to be scored, so that the scores belong to texts that the step does not see."""

    def write_others(u):
        first = u.tokens, u.logprobs, u.mask
        sample(u)
        write(u)
        u.tokens, u.logprobs, u.mask = first

    return run(policy, reference, reward_fn, prompts, config, callback, write=write_others)


@scores_of_another_sample.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def sample_others(u):
        write(u)
        sample(u)

    return run(policy, reference, reward_fn, prompts, config, callback, write=sample_others)


def reordered(order):
    def score(u):
        u.scores = u.reward_fn(u.texts)
        u.scores = u.scores[order(u)]

    return score


@wrong(about="reading", read="loop", hint="Does row i of the scores still belong to row i of the tokens?")
def scores_in_another_order(policy, reference, reward_fn, prompts, config, callback=None):
    """The scores are handed to other responses of the batch than those that earned them: somewhere the rows change order."""
    return run(
        policy,
        reference,
        reward_fn,
        prompts,
        config,
        callback,
        score=reordered(lambda u: torch.randperm(len(u.scores), generator=u.generator)),
    )


scores_in_another_order.also(with_steps(score=reordered(lambda u: torch.arange(len(u.scores)).flip(0))))


scores_in_another_order.also(with_steps(score=reordered(lambda u: torch.arange(len(u.scores)).roll(1))))


@scores_in_another_order.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def score(u):
        order = torch.randperm(len(u.texts), generator=u.generator).tolist()
        u.scores = u.reward_fn([u.texts[k] for k in order])

    return run(policy, reference, reward_fn, prompts, config, callback, score=score)


# What is scored


@wrong(
    about="reading",
    read="loop",
    hint="What does the reward model have to read in order to judge a review: its second half alone?",
)
def response_only(policy, reference, reward_fn, prompts, config, callback=None):
    """Only the response is scored, where prompt and response together are the text that a reader would see."""

    def write(u):
        u.texts = response_texts(u.tokenizer, u.tokens, u.mask)

    return run(policy, reference, reward_fn, prompts, config, callback, write=write)


@wrong(about="reading", read="loop", hint="What of the text that you score did the policy write?")
def prompt_only(policy, reference, reward_fn, prompts, config, callback=None):
    """Only the prompt is scored, which the policy has no part in."""

    def write(u):
        u.texts = prompt_texts(u)

    return run(policy, reference, reward_fn, prompts, config, callback, write=write)


@wrong(about="reading", read="loop", hint="Print one of the texts that you score: how often does the prompt stand in it?")
def prompt_twice(policy, reference, reward_fn, prompts, config, callback=None):
    """The prompt is put in front of a text that begins with it already, so it is scored twice."""
    return run(policy, reference, reward_fn, prompts, config, callback, write=and_then(write, write_prompts_again))


def write_prompts_again(u):
    u.texts = [prompt + text for prompt, text in zip(prompt_texts(u), u.texts, strict=True)]


# The reference


@wrong(about="state", read="reference", hint="Whose parameters does each of your optimizers hold?")
def reference_not_frozen(policy, reference, reward_fn, prompts, config, callback=None):
    """The reference is trained along with the policy, so the KL is measured to something that moves."""

    def train_reference(u):
        loss = logprobs_of(u.reference, u, u.config.temperature).masked_fill(~u.mask, 0).sum() / -len(u.tokens)
        u.reference_optimizer.zero_grad()
        loss.backward()
        u.reference_optimizer.step()

    def prepare(u):
        u.reference_optimizer = torch.optim.Adam(u.reference.parameters(), lr=u.config.learning_rate)

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare, step=and_then(step, train_reference))


@reference_not_frozen.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def train_reference(u):
        u.ref_logprobs = logprobs_of(u.reference, u, u.config.temperature)
        loss = (u.kl_coef * (u.logprobs - u.ref_logprobs)).masked_fill(~u.mask, 0).sum(1).mean()
        loss.backward()
        u.ref_logprobs = u.ref_logprobs.detach()

    return run(policy, reference, reward_fn, prompts, config, callback, look_up=and_then(look_up, train_reference))


def follow(u):
    state = u.policy.state_dict()
    u.reference.load_state_dict({name: state[name] for name in u.reference.state_dict()})


@torch.no_grad()
def follow_slowly(u, share=0.5):
    now = dict(u.policy.named_parameters())
    for name, parameter in u.reference.named_parameters():
        parameter.lerp_(now[name], share)


@wrong(
    about="state", read="reference", hint="After a hundred updates: from which model should the policy not have moved too far?"
)
def reference_follows_the_policy(policy, reference, reward_fn, prompts, config, callback=None):
    """The reference is set to the policy in every update, or moves towards it, so it no longer says where the policy began."""
    return run(policy, reference, reward_fn, prompts, config, callback, record=and_then(record, follow))


reference_follows_the_policy.also(with_steps(record=and_then(follow_slowly, record)))
reference_follows_the_policy.also(with_steps(record=and_then(lambda u: follow_slowly(u, 0.05), record)))


reference_follows_the_policy.also(with_steps(begin=and_then(follow, begin)))


@reference_follows_the_policy.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def copy_policy(u):
        u.reference = copy.deepcopy(u.policy)

    return run(policy, reference, reward_fn, prompts, config, callback, record=and_then(record, copy_policy))


@wrong(about="reading", read="sequence-kl", hint="How far can a policy be from itself?")
def kl_against_itself(policy, reference, reward_fn, prompts, config, callback=None):
    """The log-probabilities of the reference are looked up under the policy itself, so the KL is 0 throughout."""

    def prepare(u):
        u.reference = u.policy

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare)


@kl_against_itself.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def begin_with_copy(u):
        begin(u)
        u.reference = copy.deepcopy(u.policy)

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_with_copy)


@kl_against_itself.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def measure(u):
        with torch.no_grad():
            u.kl = sequence_kl(u.logprobs, logprobs_of(u.policy_then, u, u.config.temperature), u.mask).mean().item()

    def begin_with_copy(u):
        begin(u)
        u.policy_then = copy.deepcopy(u.policy)

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_with_copy, measure=measure)


# The KL that is reported


def measured(formula):
    """A step that reports formula(k1 on True tokens and 0 elsewhere, mask)."""

    def measure(u):
        u.kl = float(formula((u.logprobs - u.ref_logprobs).masked_fill(~u.mask, 0), u.mask))

    return measure


@wrong(about="sign", read="sequence-kl", hint="May an estimate of the KL from a few samples be negative?")
def absolute_kl(policy, reference, reward_fn, prompts, config, callback=None):
    """The sign of the KL is thrown away, but only with its negative terms does the mean over samples estimate it."""
    return run(policy, reference, reward_fn, prompts, config, callback, measure=measured(lambda d, mask: d.abs().sum(1).mean()))


absolute_kl.also(with_steps(measure=measured(lambda d, mask: d.sum(1).abs().mean())))


absolute_kl.also(with_steps(measure=measured(lambda d, mask: d.sum(1).mean().abs())))


absolute_kl.also(with_steps(measure=measured(lambda d, mask: d.sum(1).mean().clamp(min=0))))


absolute_kl.also(with_steps(measure=measured(lambda d, mask: d.sum(1).clamp(min=0).mean())))


@absolute_kl.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def shape(u):
        d = (u.logprobs - u.ref_logprobs).abs()
        u.rewards = shape_rewards(u.scores, d, torch.zeros_like(d), u.mask, u.kl_coef)

    return run(
        policy,
        reference,
        reward_fn,
        prompts,
        config,
        callback,
        shape=shape,
        measure=measured(lambda d, mask: d.abs().sum(1).mean()),
    )


@wrong(about="mean", read="sequence-kl", hint="Is it the KL of one token or that of a whole response that `kl` stands for?")
def per_token_kl(policy, reference, reward_fn, prompts, config, callback=None):
    """`kl` is a mean over tokens, where it is the mean over responses of their sums."""
    return run(policy, reference, reward_fn, prompts, config, callback, measure=measured(masked_mean))


per_token_kl.also(with_steps(measure=measured(lambda d, mask: masked_mean(d, mask, 1).mean())))


per_token_kl.also(with_steps(measure=measured(lambda d, mask: d.mean())))


@wrong(about="mean", read="sequence-kl", hint="Over what is the sum, and over what the mean?")
def kl_of_the_whole_batch(policy, reference, reward_fn, prompts, config, callback=None):
    """The KL is summed over the responses of the batch, too, where it is their mean."""
    return run(policy, reference, reward_fn, prompts, config, callback, measure=measured(lambda d, mask: d.sum()))


@wrong(about="sign", read="sequence-kl", hint="KL(policy || reference): whose log-probability comes first?")
def kl_reversed(policy, reference, reward_fn, prompts, config, callback=None):
    """The policy is subtracted from the reference, so the KL that is reported has the wrong sign."""
    return run(policy, reference, reward_fn, prompts, config, callback, measure=measured(lambda d, mask: -d.sum(1).mean()))


@wrong(about="formula", read="sequence-kl", hint="Which estimator does a sequence KL add up?")
def another_estimator(policy, reference, reward_fn, prompts, config, callback=None):
    """k3 or k2 is summed, where the sequence KL is the sum of k1."""
    return run(policy, reference, reward_fn, prompts, config, callback, measure=lambda u: set_estimate(u, "k3"))


another_estimator.also(with_steps(measure=lambda u: set_estimate(u, "k2")))


def set_estimate(u, name):
    u.kl = kl_estimate(u.logprobs, u.ref_logprobs, name).masked_fill(~u.mask, 0).sum(1).mean().item()


@wrong(
    about="time", read="sequence-kl", hint="Which policy sampled these responses: the one before the step or the one after it?"
)
def kl_after_the_step(policy, reference, reward_fn, prompts, config, callback=None):
    """The KL is measured with the policy after the step, which is not the one that sampled these responses."""

    def measure_after(u):
        with torch.no_grad():
            u.kl = sequence_kl(logprobs_of(u.policy, u, u.config.temperature), u.ref_logprobs, u.mask).mean().item()

    return run(policy, reference, reward_fn, prompts, config, callback, measure=measure_after)


@wrong(about="scale", read="sequence-kl", hint="Is the penalty the same as the distance that is penalised?")
def penalty_for_kl(policy, reference, reward_fn, prompts, config, callback=None):
    """The penalty is reported, that is the KL times its coefficient, where the KL itself in nats is asked for."""

    def measure(u):
        u.kl = u.kl_coef * sequence_kl(u.logprobs, u.ref_logprobs, u.mask).mean().item()

    return run(policy, reference, reward_fn, prompts, config, callback, measure=measure)


# The reward that is reported


@wrong(about="reading", read="loop", hint="What did reward_fn return, and what did you subtract from it?")
def shaped_reward_reported(policy, reference, reward_fn, prompts, config, callback=None):
    """`reward` has the KL penalty in it, where it is the mean of what reward_fn returned."""
    return run(policy, reference, reward_fn, prompts, config, callback, record=lambda u: record(u, u.rewards.sum(1).mean()))


shaped_reward_reported.also(with_steps(record=lambda u: record(u, u.scores.mean() - u.kl)))


@wrong(about="mean", read="loop", hint="Does `reward` double when the batch does?")
def summed_reward_reported(policy, reference, reward_fn, prompts, config, callback=None):
    """`reward` is the sum of the scores of the batch, where it is their mean."""
    return run(policy, reference, reward_fn, prompts, config, callback, record=lambda u: record(u, u.scores.sum()))


@wrong(about="mean", read="loop", hint="What would an average response have scored?")
def one_score_reported(policy, reference, reward_fn, prompts, config, callback=None):
    """`reward` is the score of a single response, the best or the first or the last one, where it is the mean of the batch."""
    return run(policy, reference, reward_fn, prompts, config, callback, record=lambda u: record(u, u.scores.max()))


one_score_reported.also(with_steps(record=lambda u: record(u, u.scores[0])))


one_score_reported.also(with_steps(record=lambda u: record(u, u.scores[-1])))


@wrong(about="scale", read="loop", hint="What is the mean of scores from which their mean was subtracted?")
def normalised_reward_reported(policy, reference, reward_fn, prompts, config, callback=None):
    """The scores are normalised before they are recorded, so `reward` is 0 in every update and no curve shows anything."""

    def score(u):
        u.scores = u.reward_fn(u.texts)
        u.scores = (u.scores - u.scores.mean()) / (u.scores.std() + 1e-8)

    return run(policy, reference, reward_fn, prompts, config, callback, score=score)


@wrong(about="mean", read="loop", hint="Which updates does the entry of this update speak about?")
def running_mean_reported(policy, reference, reward_fn, prompts, config, callback=None):
    """`reward` is the mean over all updates so far, which hides what this one scored."""

    def record_mean(u):
        u.means = [*getattr(u, "means", []), u.scores.mean().item()]
        record(u, sum(u.means) / len(u.means))

    return run(policy, reference, reward_fn, prompts, config, callback, record=record_mean)


@wrong(about="state", read="loop", hint="How many dicts are there, and how many names for them?")
def same_dict_again(policy, reference, reward_fn, prompts, config, callback=None):
    """One dict is changed and appended in every update, so all entries of the history are the last one."""

    def record_again(u):
        record(u)
        u.shared = getattr(u, "shared", {})
        u.shared.update(u.stats)
        u.state.history[-1] = u.stats = u.shared

    return run(policy, reference, reward_fn, prompts, config, callback, record=record_again)


# How many


@wrong(about="state", read="loop", hint="Count by hand for n_updates = 1: how many updates does your loop make?")
def one_update_too_few(policy, reference, reward_fn, prompts, config, callback=None):
    """The loop ends one update before config.n_updates."""

    def prepare(u):
        u.n_updates -= 1

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare)


@wrong(about="state", read="loop", hint="Count by hand for n_updates = 1: how many updates does your loop make?")
def one_update_too_many(policy, reference, reward_fn, prompts, config, callback=None):
    """The loop makes one update more than config.n_updates."""

    def prepare(u):
        u.n_updates += 1

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare)


@wrong(about="shape", read="loop", hint="What does somebody who wants to plot the curve need from all those updates?")
def only_the_last_update(policy, reference, reward_fn, prompts, config, callback=None):
    """Only the figures of the last update are returned, where the history has one dict for each of them."""
    return run(policy, reference, reward_fn, prompts, config, callback)[-1:]


@wrong(about="reading", read="loop", hint="How many prompts does config ask for in one update?")
def batch_size_ignored(policy, reference, reward_fn, prompts, config, callback=None):
    """Every update takes all prompts of the list, where config.batch_size of them are asked for."""

    def choose(u):
        u.chosen = u.prompts

    return run(policy, reference, reward_fn, prompts, config, callback, choose=choose)


@wrong(about="state", read="loop", hint="Which prompts does the second update take?")
def first_prompts_only(policy, reference, reward_fn, prompts, config, callback=None):
    """Every update takes the first prompts of the list, so the others are never used."""

    def choose(u):
        u.chosen = u.prompts[: u.config.batch_size]

    return run(policy, reference, reward_fn, prompts, config, callback, choose=choose)


# Sampling


@wrong(about="state", read="loop", hint="Which policy wrote the responses of the last update: the one as it was then?")
def sampled_once(policy, reference, reward_fn, prompts, config, callback=None):
    """The responses are sampled once, before the first update, and used again and again, though the policy has moved on."""

    def sample_first(u):
        if not hasattr(u, "tokens"):
            sample(u)

    return run(policy, reference, reward_fn, prompts, config, callback, sample=sample_first)


@sampled_once.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def sample_first(u):
        if not hasattr(u, "tokens"):
            sample(u)
        with torch.no_grad():
            u.logprobs = logprobs_of(u.policy, u, u.config.temperature)

    return run(policy, reference, reward_fn, prompts, config, callback, sample=sample_first)


@sampled_once.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def prepare(u):
        u.frozen = copy.deepcopy(u.policy).eval()

    def sample_frozen(u):
        generator, u.generator = u.generator, torch.Generator().manual_seed(u.config.seed)
        u.chosen = u.prompts[: u.config.batch_size]
        sample(u, u.frozen)
        u.generator = generator

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare, sample=sample_frozen)


@wrong(
    about="sampling", read="loop", hint="Whose responses are to become better: those of the policy or those of the reference?"
)
def samples_from_the_reference(policy, reference, reward_fn, prompts, config, callback=None):
    """The reference writes the responses, so the policy learns from samples that are not its own."""

    def sample_reference(u):
        sample(u, u.reference)
        with torch.no_grad():
            u.logprobs = logprobs_of(u.policy, u, u.config.temperature)

    return run(policy, reference, reward_fn, prompts, config, callback, sample=sample_reference)


@wrong(about="sampling", read="loop", hint="In which mode is the policy while it writes, and in which while it is trained?")
def dropout_in_the_rollout(policy, reference, reward_fn, prompts, config, callback=None):
    """The policy is in training mode when it writes, so its log-probabilities are those of a model with holes in it."""

    def begin_in_training_mode(u):
        begin(u)
        u.policy.train()

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_in_training_mode)


@dropout_in_the_rollout.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def begin_as_it_is(u):
        u.state.anneal()
        u.kl_coef = u.state.kl_coef

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_as_it_is)


@dropout_in_the_rollout.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def begin_in_training_mode(u):
        begin(u)
        u.policy.train()

    torch.manual_seed(config.seed)
    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_in_training_mode)


@wrong(about="sampling", read="loop", hint="Where does your loop read config.temperature?")
def temperature_ignored(policy, reference, reward_fn, prompts, config, callback=None):
    """The responses are sampled at temperature 1 whatever config.temperature says."""
    return run(
        policy,
        reference,
        reward_fn,
        prompts,
        config,
        callback,
        sample=lambda u: sample(u, temperature=1.0),
        look_up=lambda u: look_up(u, 1.0),
    )


temperature_ignored.also(with_steps(sample=lambda u: sample(u, temperature=1.0)))


@temperature_ignored.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def sample_and_look_up(u):
        sample(u, temperature=1.0)
        with torch.no_grad():
            u.logprobs = logprobs_of(u.policy, u, u.config.temperature)

    return run(policy, reference, reward_fn, prompts, config, callback, sample=sample_and_look_up)


@wrong(about="sampling", read="loop", hint="From which distribution did you sample, and whose log-probabilities do you report?")
def temperature_not_reported(policy, reference, reward_fn, prompts, config, callback=None):
    """The responses are sampled at config.temperature, but the log-probabilities are those of temperature 1."""

    def sample_and_look_up(u):
        sample(u)
        with torch.no_grad():
            u.logprobs = logprobs_of(u.policy, u, 1.0)

    return run(
        policy, reference, reward_fn, prompts, config, callback, sample=sample_and_look_up, look_up=lambda u: look_up(u, 1.0)
    )


def cut(cut_logits):
    """A sampler that changes the logits it draws from, but reports the log-probabilities of the plain policy."""

    @torch.no_grad()
    def sampler(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator):
        input_ids, mask = prompt_ids, attention_mask
        done, tokens, logprobs = torch.zeros(len(prompt_ids), dtype=torch.bool), [], []
        for _ in range(max_new_tokens):
            logits = (
                model(input_ids=input_ids, attention_mask=mask, position_ids=position_ids(mask)).logits[:, -1] / temperature
            )
            token = torch.multinomial(cut_logits(logits).softmax(-1), 1, generator=generator)
            logprobs.append(gather_logprobs(logits.unsqueeze(1), token).squeeze(1).masked_fill(done, 0))
            token = token.squeeze(1).masked_fill(done, eos_token_id)
            tokens.append(token)
            done = done | (token == eos_token_id)
            input_ids = torch.cat([input_ids, token.unsqueeze(1)], 1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        tokens = torch.stack(tokens, 1)
        return Sample(tokens, torch.stack(logprobs, 1), response_mask(tokens, eos_token_id))

    return sampler


def keep(logits, k):
    return logits.masked_fill(logits < logits.topk(k).values[:, -1:], -torch.inf)


@wrong(about="sampling", read="loop", hint="Can a token that is never drawn have the probability that you report for it?")
def top_k_in_the_rollout(policy, reference, reward_fn, prompts, config, callback=None):
    """Tokens are drawn from the few best ones only, but the log-probabilities are those of the whole distribution."""
    return run(
        policy,
        reference,
        reward_fn,
        prompts,
        config,
        callback,
        sample=lambda u: sample(u, sampler=cut(lambda logits: keep(logits, 3))),
    )


top_k_in_the_rollout.also(with_steps(sample=lambda u: sample(u, sampler=cut(lambda logits: keep(logits, 2)))))


@wrong(about="sampling", read="loop", hint="How many different responses does a prompt get from your loop?")
def greedy_rollout(policy, reference, reward_fn, prompts, config, callback=None):
    """Each token is the most probable one, so nothing new is ever tried and there is nothing to compare it with."""
    return run(
        policy,
        reference,
        reward_fn,
        prompts,
        config,
        callback,
        sample=lambda u: sample(u, sampler=cut(lambda logits: keep(logits, 1))),
    )


# Learning


@wrong(about="formula", read="loop", hint="Which of your quantities does init_kl_coef multiply?")
def kl_penalty_missing(policy, reference, reward_fn, prompts, config, callback=None):
    """The KL is reported but not subtracted from the rewards, so nothing holds the policy near the reference."""

    def shape_without(u):
        u.rewards = shape_rewards(u.scores, u.logprobs, u.logprobs, u.mask, u.kl_coef)

    return run(policy, reference, reward_fn, prompts, config, callback, shape=shape_without)


@wrong(about="sign", read="loop", hint="Should a token that only the policy likes be worth more or less?")
def kl_penalty_flipped(policy, reference, reward_fn, prompts, config, callback=None):
    """The KL is added to the rewards, which pays the policy for leaving the reference."""

    def shape_flipped(u):
        u.rewards = shape_rewards(u.scores, u.ref_logprobs, u.logprobs, u.mask, u.kl_coef)

    return run(policy, reference, reward_fn, prompts, config, callback, shape=shape_flipped)


@kl_penalty_flipped.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def begin_flipped(u):
        begin(u)
        u.kl_coef = -u.kl_coef

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_flipped)


@wrong(about="sign", read="loop", hint="Does the loss that you minimise fall when a rewarded response becomes more probable?")
def gradient_ascent(policy, reference, reward_fn, prompts, config, callback=None):
    """A sign is wrong between the scores and the step, so responses that score well become less probable."""

    def estimate_flipped(u):
        estimate(u)
        u.advantages = -u.advantages

    return run(policy, reference, reward_fn, prompts, config, callback, estimate=estimate_flipped)


@gradient_ascent.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def shape_flipped(u):
        u.rewards = shape_rewards(-u.scores, u.logprobs, u.ref_logprobs, u.mask, u.kl_coef)

    return run(policy, reference, reward_fn, prompts, config, callback, shape=shape_flipped)


@wrong(about="formula", read="loop", hint="Where does your loop read config.whiten_advantages?")
def never_whitens(policy, reference, reward_fn, prompts, config, callback=None):
    """The advantages are not whitened, though config.whiten_advantages asks for it."""

    def estimate_plainly(u):
        u.advantages, u.returns = compute_gae(u.rewards, u.values, u.mask, u.config.gamma, u.config.lam)

    return run(policy, reference, reward_fn, prompts, config, callback, estimate=estimate_plainly)


@wrong(about="formula", read="loop", hint="Where does your loop read config.whiten_advantages?")
def always_whitens(policy, reference, reward_fn, prompts, config, callback=None):
    """The advantages are whitened, even where config.whiten_advantages is False."""

    def estimate_white(u):
        u.advantages, u.returns = compute_gae(u.rewards, u.values, u.mask, u.config.gamma, u.config.lam)
        u.advantages = masked_whiten(u.advantages, u.mask)

    return run(policy, reference, reward_fn, prompts, config, callback, estimate=estimate_white)


@wrong(about="state", read="loop", hint="What does Adam remember, and for how long does yours live?")
def optimizer_made_anew(policy, reference, reward_fn, prompts, config, callback=None):
    """Every update makes a new optimizer, which has forgotten all gradients and takes the large first steps of Adam again."""

    def step_anew(u):
        fresh = TrainingState(u.policy, u.config)
        for group, old in zip(fresh.optimizer.param_groups, u.state.optimizer.param_groups, strict=True):
            group["lr"] = old["lr"]
        u.state.optimizer = fresh.optimizer
        step(u)

    return run(policy, reference, reward_fn, prompts, config, callback, step=step_anew)


@optimizer_made_anew.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def step_anew(u):
        rates = [group["lr"] for group in u.state.optimizer.param_groups]
        step(u, optimizer=torch.optim.Adam(u.policy.parameters(), lr=rates[0]))

    return run(policy, reference, reward_fn, prompts, config, callback, step=step_anew)


@wrong(about="state", read="loop", hint="Whose parameters does the optimizer hold, and is that the model that was handed in?")
def policy_never_moves(policy, reference, reward_fn, prompts, config, callback=None):
    """The policy that was handed in stays as it was: the step is missing, or it trains a copy."""

    def forget(u):
        u.stats = {}

    return run(policy, reference, reward_fn, prompts, config, callback, step=forget)


@policy_never_moves.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def step_on_a_copy(u):
        step(u, copy.deepcopy(u.policy))

    return run(policy, reference, reward_fn, prompts, config, callback, step=step_on_a_copy)


@policy_never_moves.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    return run(copy.deepcopy(policy), reference, reward_fn, prompts, config, callback)


@wrong(about="scale", read="loop", hint="Where does your loop read config.learning_rate?")
def learning_rate_ignored(policy, reference, reward_fn, prompts, config, callback=None):
    """The optimizer has a learning rate of its own, whatever config.learning_rate says."""
    return run(policy, reference, reward_fn, prompts, config, callback, **step_with_adam(1e-2))


def step_with_adam(rate):
    """Changes to the loop: an Adam of its own, with a rate of its own."""

    def prepare(u):
        u.optimizer = torch.optim.Adam(u.policy.parameters(), lr=rate)

    return {"prepare": prepare, "step": lambda u: step(u, optimizer=u.optimizer)}


learning_rate_ignored.also(with_steps(**step_with_adam(1e-3)))
learning_rate_ignored.also(with_steps(**step_with_adam(1e-4)))


@wrong(about="state", read="loop", hint="Who sets the learning rate of an update, and when?")
def never_anneals(policy, reference, reward_fn, prompts, config, callback=None):
    """The learning rate stays as it was at the beginning, though config lets it fall from update to update."""

    def begin_without(u):
        u.policy.eval()
        u.kl_coef = u.state.kl_coef

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_without)


@wrong(about="state", read="loop", hint="How does the KL coefficient get to know the KL that you measured?")
def coefficient_never_moves(policy, reference, reward_fn, prompts, config, callback=None):
    """The KL coefficient is never told the measured KL, so it does not steer to config.target_kl."""
    return run(policy, reference, reward_fn, prompts, config, callback, control=nothing)


@wrong(about="state", read="loop", hint="Which of your variables hold the KL coefficient, and which of them is ever changed?")
def first_coefficient_kept(policy, reference, reward_fn, prompts, config, callback=None):
    """The controller is told the measured KL, but the penalty goes on with the coefficient that the run began with."""

    def begin_as_ever(u):
        begin(u)
        u.kl_coef = config.init_kl_coef

    return run(policy, reference, reward_fn, prompts, config, callback, begin=begin_as_ever)


# The seed and the callback


@wrong(
    about="state", read="loop", hint="Run it twice with the same config: which draws are not from a generator with config.seed?"
)
def seed_ignored(policy, reference, reward_fn, prompts, config, callback=None):
    """Something is drawn without a generator that was seeded with config.seed, so no run can be repeated."""

    def prepare(u):
        u.generator = None

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare)


@wrong(about="state", read="loop", hint="Where does your loop read config.seed?")
def seed_fixed(policy, reference, reward_fn, prompts, config, callback=None):
    """The seed is a number in the code, so config.seed changes nothing."""

    def prepare(u):
        u.config = copy.copy(u.config)
        u.config.seed = 0
        u.state = TrainingState(u.policy, u.config)
        u.generator = u.state.generator

    return run(policy, reference, reward_fn, prompts, config, callback, prepare=prepare)


@wrong(about="state", read="loop", hint="Which of the arguments does your code never use?")
def callback_never_called(policy, reference, reward_fn, prompts, config, callback=None):
    """The callback is never called, so nobody can watch the run or end it."""
    return run(policy, reference, reward_fn, prompts, config, callback, call_back=nothing)


@wrong(about="state", read="loop", hint="When does somebody who watches the run hear about the first update?")
def callback_only_at_the_end(policy, reference, reward_fn, prompts, config, callback=None):
    """The callback is called once when all is over, where it is called after each update."""

    def call_at_the_end(u):
        if u.state.update == u.n_updates:
            call_back(u)

    return run(policy, reference, reward_fn, prompts, config, callback, call_back=call_at_the_end)


@wrong(about="state", read="loop", hint="What happens to an exception that your loop catches?")
def callback_swallowed(policy, reference, reward_fn, prompts, config, callback=None):
    """What the callback raises is caught in the loop, so it cannot end the run."""

    def call_and_go_on(u):
        with contextlib.suppress(Exception):
            call_back(u)

    return run(policy, reference, reward_fn, prompts, config, callback, call_back=call_and_go_on)


@callback_swallowed.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def call_and_leave(u):
        try:
            call_back(u)
        except Exception:
            u.n_updates = 0

    return run(policy, reference, reward_fn, prompts, config, callback, call_back=call_and_leave)


@wrong(about="shape", read="loop", hint="What are the two things that the callback is handed?")
def callback_with_the_history(policy, reference, reward_fn, prompts, config, callback=None):
    """The callback gets the whole history, or the update's number, where its second argument is the stats of this update."""

    def call_with_history(u):
        if u.callback is not None:
            u.callback(u.state, u.state.history)

    return run(policy, reference, reward_fn, prompts, config, callback, call_back=call_with_history)


@callback_with_the_history.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    def call_with_number(u):
        if u.callback is not None:
            u.callback(u.state, u.state.update)

    return run(policy, reference, reward_fn, prompts, config, callback, call_back=call_with_number)


def shape_by_hand(u, penalty):
    """Rewards with some other per-token penalty in the place of k1."""
    u.rewards = shape_rewards(u.scores, penalty, torch.zeros_like(penalty), u.mask, u.kl_coef)


@wrong(about="sign", read="loop", hint="What does a token cost that the reference likes better than the policy does?")
def absolute_kl_in_the_reward(policy, reference, reward_fn, prompts, config, callback=None):
    """The penalty is the absolute value of each token's log-ratio: what the reference likes better is punished as well."""
    return run(
        policy, reference, reward_fn, prompts, config, callback,
        shape=lambda u: shape_by_hand(u, (u.logprobs - u.ref_logprobs).abs()),
    )  # fmt: skip


@wrong(about="scale", read="loop", hint="At how many places does your loop subtract the KL from the reward?")
def kl_counted_twice(policy, reference, reward_fn, prompts, config, callback=None):
    """The KL is taken off twice: from the score of the text, and from the reward of every token."""

    def shape(u):
        scores = u.scores - u.kl_coef * sequence_kl(u.logprobs, u.ref_logprobs, u.mask)
        u.rewards = shape_rewards(scores, u.logprobs, u.ref_logprobs, u.mask, u.kl_coef)

    return run(policy, reference, reward_fn, prompts, config, callback, shape=shape)


@kl_counted_twice.also
def _(policy, reference, reward_fn, prompts, config, callback=None):
    shape = lambda u: shape_by_hand(u, 2 * (u.logprobs - u.ref_logprobs))  # noqa: E731
    return run(policy, reference, reward_fn, prompts, config, callback, shape=shape)


@wrong(about="time", read="loop", hint="Which state does values[:, t] belong to: the one before token t, or the one after it?")
def values_one_place_late(policy, reference, reward_fn, prompts, config, callback=None):
    """The values are read at the response tokens themselves: each is then the value of the state after its token."""

    def look_up_late(u):
        look_up(u)
        input_ids, attention_mask = join(u.prompt_ids, u.prompt_mask, u.tokens, u.mask)
        with torch.no_grad():
            out = u.policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
        u.values = out.values[:, -u.tokens.shape[1] :]

    return run(policy, reference, reward_fn, prompts, config, callback, look_up=look_up_late)


@wrong(
    about="formula",
    read="loop",
    hint="In which order does compute_gae take gamma and lam, and in which order do you pass them?",
)
def gamma_and_lambda_exchanged(policy, reference, reward_fn, prompts, config, callback=None):
    """gamma and lambda are handed to compute_gae in the wrong order."""

    def estimate(u):
        u.advantages, u.returns = compute_gae(u.rewards, u.values, u.mask, u.config.lam, u.config.gamma)
        if u.config.whiten_advantages:
            u.advantages = masked_whiten(u.advantages, u.mask)

    return run(policy, reference, reward_fn, prompts, config, callback, estimate=estimate)


@wrong(about="formula", read="loop", hint="Which units has the value head to predict: those of the reward, or deviations?")
def returns_from_whitened_advantages(policy, reference, reward_fn, prompts, config, callback=None):
    """The returns are made from the whitened advantages, so that the value head learns numbers that are not rewards."""

    def estimate(u):
        u.advantages, u.returns = compute_gae(u.rewards, u.values, u.mask, u.config.gamma, u.config.lam)
        if u.config.whiten_advantages:
            u.advantages = masked_whiten(u.advantages, u.mask)
            u.returns = (u.advantages + u.values).masked_fill(~u.mask, 0)

    return run(policy, reference, reward_fn, prompts, config, callback, estimate=estimate)


@wrong(about="sampling", read="loop", hint="At which temperature was the policy sampled, and at which is the reference asked?")
def reference_at_temperature_one(policy, reference, reward_fn, prompts, config, callback=None):
    """The reference is asked at temperature 1, while the policy was sampled at another one: the two are not comparable."""

    def look_up_plain(u):
        look_up(u)
        with torch.no_grad():
            u.ref_logprobs = logprobs_of(u.reference, u, 1.0)

    return run(policy, reference, reward_fn, prompts, config, callback, look_up=look_up_plain)
