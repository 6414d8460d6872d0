"""Mistakes in ppo_step."""

import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import torch

from rlhf_core import advantages as adv
from rlhf_core import ppo
from rlhf_core.kl import kl_estimate
from rlhf_core.padding import join, position_ids
from rlhf_core.policy import gather_logprobs

from ..bank import wrong

STATS = {"policy_loss": 0.0, "value_loss": 0.0, "entropy": 0.0}
FLOATS = ("logprobs", "values", "advantages", "returns")


def forward(policy, r, rows, logits_back=1, values_back=1, read=join, places=position_ids):
    """Logits and values of the response.  logits_back: how many places before a token its logits are read."""
    input_ids, attention_mask = read(r.prompt_ids[rows], r.prompt_mask[rows], r.tokens[rows], r.mask[rows])
    out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=places(attention_mask))
    end, length = input_ids.shape[1], r.tokens.shape[1]
    return (x[:, end - length - back : end - back] for x, back in ((out.logits, logits_back), (out.values, values_back)))


def total(policy, rollout, rows, config, forward=forward, **changes):
    """The loss of a minibatch.  Each of `changes` is a function that replaces one of the things that the loss is made of."""
    b = SimpleNamespace(config=config, rollout=rollout, rows=rows, tokens=rollout.tokens[rows], mask=rollout.mask[rows])
    b.old, b.old_values, b.advantages, b.returns = (getattr(rollout, name)[rows] for name in FLOATS)
    b.policy_mask = b.value_mask = b.entropy_mask = b.mask
    b.logits, b.values = forward(policy, rollout, rows)
    b.logits = b.entropy_logits = b.logits / config.temperature
    b.logprobs = gather_logprobs(b.logits, b.tokens)
    for name, change in changes.items():
        setattr(b, name, change(b))
    config = b.config
    policy_loss, _ = ppo.policy_loss(b.logprobs, b.old, b.advantages, b.policy_mask, config.clip_range)
    value_loss, _ = ppo.value_loss(b.values, b.old_values, b.returns, b.value_mask, config.value_clip_range)
    entropy = ppo.masked_entropy(b.entropy_logits, b.entropy_mask)
    loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
    return loss + getattr(b, "extra", 0.0)


def finite(loss):
    if not math.isfinite(loss.item()):
        raise FloatingPointError(f"the loss is {loss.item()}")
    return loss


def clip(policy, config):
    torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)


def update(policy, optimizer, loss, config, clip=clip):
    finite(loss)
    optimizer.zero_grad()
    loss.backward()
    clip(policy, config)
    optimizer.step()


def shuffled(n, config, generator):
    """The order of the rows in each epoch."""
    for _ in range(config.ppo_epochs):
        yield torch.randperm(n, generator=generator)


def cut(order, config):
    return order.split(config.minibatch_size)


def train(policy, optimizer, rollout, config, generator, loss=total, update=update, orders=shuffled, cut=cut):
    policy.eval()
    for order in orders(len(rollout.tokens), config, generator):
        for rows in cut(order, config):
            update(policy, optimizer, loss(policy, rollout, rows, config), config)
    return STATS


def with_loss(**changes):
    """A form of a mistake: a whole ppo_step with another loss."""

    def ppo_step(policy, optimizer, rollout, config, generator=None):
        return train(policy, optimizer, rollout, config, generator, loss=partial(total, **changes))

    return ppo_step


# What stays old


@wrong(about="state", read="epochs", hint="Which policy chose the tokens: this one, or the one of the rollout?")
def stale_logprobs(policy, optimizer, rollout, config, generator=None):
    """The old log-probabilities are taken from the policy of this very minibatch, so the ratio is always 1 and the clip never
    acts; they are those of the rollout."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, old=lambda b: b.logprobs.detach()))


@torch.no_grad()
def now(policy, rollout, config):
    """The policy's own log-probabilities and values of the whole rollout."""
    logits, values = forward(policy, rollout, slice(None))
    return gather_logprobs(logits / config.temperature, rollout.tokens), values


@wrong(about="state", read="epochs", hint="In the second epoch, to which policy is the ratio taken?")
def old_recomputed_each_epoch(policy, optimizer, rollout, config, generator=None):
    """The old log-probabilities are computed anew before each epoch, so the clip moves along with the policy; they stay those
    of the rollout through all epochs."""
    policy.eval()
    for order in shuffled(len(rollout.tokens), config, generator):
        old, _ = now(policy, rollout, config)
        for rows in cut(order, config):
            update(policy, optimizer, total(policy, rollout, rows, config, old=lambda b: old[b.rows]), config)  # noqa: B023
    return STATS


@old_recomputed_each_epoch.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    for order in shuffled(len(rollout.tokens), config, generator):
        fresh = replace(rollout, **dict(zip(("logprobs", "values"), now(policy, rollout, config), strict=True)))
        for rows in cut(order, config):
            update(policy, optimizer, total(policy, fresh, rows, config), config)
    return STATS


@old_recomputed_each_epoch.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    old = rollout.logprobs  # right in the first epoch
    for order in shuffled(len(rollout.tokens), config, generator):
        for rows in cut(order, config):
            update(policy, optimizer, total(policy, rollout, rows, config, old=lambda b: old[b.rows]), config)  # noqa: B023
        old, _ = now(policy, rollout, config)
    return STATS


@wrong(about="state", read="epochs", hint="Does the rollout not have what you compute here?")
def old_recomputed_at_the_start(policy, optimizer, rollout, config, generator=None):
    """The old log-probabilities are computed from the policy before the first epoch; the rollout has those that were really
    sampled from."""
    policy.eval()
    old, _ = now(policy, rollout, config)
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, old=lambda b: old[b.rows]))


@old_recomputed_at_the_start.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    old, values = now(policy, rollout, config)
    return train(policy, optimizer, replace(rollout, logprobs=old, values=values), config, generator)


@wrong(about="state", read="epochs", hint="How far has a value moved, if its old value is the new one?")
def old_values_not_from_the_rollout(policy, optimizer, rollout, config, generator=None):
    """The old values are taken from the value head of now, so the clip of the value loss never acts; they are those of the
    rollout."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, old_values=lambda b: b.values.detach()))


@old_values_not_from_the_rollout.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    _, values = now(policy, rollout, config)
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, old_values=lambda b: values[b.rows]))


@wrong(about="gradient", read="step", hint="Which of the log-probabilities depend on the policy that you are changing?")
def no_policy_gradient(policy, optimizer, rollout, config, generator=None):
    """No gradient of the policy loss reaches the policy: the new log-probabilities come from the rollout, from a forward pass
    under no_grad, or are detached."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, logprobs=lambda b: b.old))


@no_policy_gradient.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, logprobs=lambda b: b.logprobs.detach()))


# The optimizer's step


def without_zero_grad(policy, optimizer, loss, config):
    finite(loss).backward()
    clip(policy, config)
    optimizer.step()


@wrong(about="state", read="step", hint="backward() adds to .grad. What is in it before?")
def no_zero_grad(policy, optimizer, rollout, config, generator=None):
    """The gradients of earlier minibatches are never zeroed, and each backward adds to them."""
    return train(policy, optimizer, rollout, config, generator, update=without_zero_grad)


@no_zero_grad.also
def _(policy, optimizer, rollout, config, generator=None):
    optimizer.zero_grad()
    return train(policy, optimizer, rollout, config, generator, update=without_zero_grad)


@no_zero_grad.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    for order in shuffled(len(rollout.tokens), config, generator):
        optimizer.zero_grad()
        for rows in cut(order, config):
            without_zero_grad(policy, optimizer, total(policy, rollout, rows, config), config)
    return STATS


@wrong(about="clip", read="step", hint="When are the gradients there, and when have they been used?")
def gradients_not_clipped(policy, optimizer, rollout, config, generator=None):
    """The optimizer steps with gradients whose norm was not clipped: it is clipped before backward() has written them, after
    the step has used them, or not at all."""
    return train(policy, optimizer, rollout, config, generator, update=partial(update, clip=lambda policy, config: None))


@gradients_not_clipped.also
def _(policy, optimizer, rollout, config, generator=None):
    def clipped_first(policy, optimizer, loss, config):
        clip(policy, config)
        finite(loss).backward()
        optimizer.step()
        optimizer.zero_grad()

    return train(policy, optimizer, rollout, config, generator, update=clipped_first)


@wrong(about="clip", read="step", hint="Does your clip keep the direction of the gradient?")
def clips_each_value(policy, optimizer, rollout, config, generator=None):
    """Each number of the gradient is clipped by itself (clip_grad_value_), which turns its direction; the norm of all of it is
    clipped."""

    def clip(policy, config):
        torch.nn.utils.clip_grad_value_(policy.parameters(), config.max_grad_norm)

    return train(policy, optimizer, rollout, config, generator, update=partial(update, clip=clip))


@wrong(about="clip", read="step", hint="How many norms do you compute in one step?")
def clips_each_parameter(policy, optimizer, rollout, config, generator=None):
    """Each parameter's gradient is clipped by its own norm, which turns the direction of the whole; there is one norm, over all
    parameters together."""

    def clip(policy, config):
        for parameter in policy.parameters():
            torch.nn.utils.clip_grad_norm_(parameter, config.max_grad_norm)

    return train(policy, optimizer, rollout, config, generator, update=partial(update, clip=clip))


@wrong(about="clip", read="step", hint="What should happen to a gradient that is small already?")
def always_rescales_the_gradient(policy, optimizer, rollout, config, generator=None):
    """The gradient is scaled to max_grad_norm even where its norm is smaller; only larger ones are scaled down."""

    def clip(policy, config):
        gradients = [p.grad for p in policy.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        for gradient in gradients:
            gradient.mul_(config.max_grad_norm / (norm + 1e-6))

    return train(policy, optimizer, rollout, config, generator, update=partial(update, clip=clip))


@wrong(about="state", read="step", hint="Which parameters may move, and who decides that?")
def reference_trained(policy, optimizer, rollout, config, generator=None):
    """All parameters of the policy are moved, by a step of your own or by another optimizer, also those that the given
    optimizer leaves alone, such as a part shared with the frozen reference."""
    return train(policy, torch.optim.SGD(policy.parameters(), lr=optimizer.defaults["lr"]), rollout, config, generator)


@reference_trained.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(policy, torch.optim.AdamW(policy.parameters(), lr=1e-3), rollout, config, generator)


@reference_trained.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.requires_grad_(True)
    held = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    rest = [parameter for parameter in policy.parameters() if parameter not in held]
    if rest:
        optimizer.add_param_group({"params": rest})
    return train(policy, optimizer, rollout, config, generator)


@wrong(about="state", read="step", hint="After backward and clipping, what changes the parameters, and how often?")
def steps_twice(policy, optimizer, rollout, config, generator=None):
    """The optimizer takes two steps for each minibatch; it is one."""

    def update_and_step(*given):
        update(*given)
        optimizer.step()

    return train(policy, optimizer, rollout, config, generator, update=update_and_step)


@steps_twice.also
def _(policy, optimizer, rollout, config, generator=None):
    def cut_twice(order, config):
        return [rows for rows in cut(order, config) for _ in range(2)]

    return train(policy, optimizer, rollout, config, generator, cut=cut_twice)


@wrong(about="state", read="step", hint="After your function has run, are the parameters other ones than before?")
def never_steps(policy, optimizer, rollout, config, generator=None):
    """The optimizer's step is never taken, so the policy stays as it was."""

    def compute_only(policy, optimizer, loss, config):
        optimizer.zero_grad()
        finite(loss).backward()
        clip(policy, config)

    return train(policy, optimizer, rollout, config, generator, update=compute_only)


@never_steps.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(policy, optimizer, rollout, config, generator, update=lambda policy, optimizer, loss, config: finite(loss))


def one_step(policy, optimizer, rollout, orders, config, share=False, clip_each=False):
    """The gradients of the minibatches of these orders are added up, or averaged, for a single step."""
    optimizer.zero_grad()
    batches = [rows for order in orders for rows in cut(order, config)]
    for rows in batches:
        loss = finite(total(policy, rollout, rows, config))
        (loss / len(batches) if share else loss).backward()
        if clip_each:
            clip(policy, config)
    clip(policy, config)
    optimizer.step()


@wrong(about="state", read="epochs", hint="How many steps does an epoch of four minibatches take?")
def one_step_an_epoch(policy, optimizer, rollout, config, generator=None):
    """The losses or gradients of all minibatches of an epoch are collected for one step of the optimizer; each minibatch has a
    step of its own, and the next one is computed with the parameters that it leaves."""
    policy.eval()
    for order in shuffled(len(rollout.tokens), config, generator):
        one_step(policy, optimizer, rollout, [order], config)
    return STATS


@one_step_an_epoch.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    for order in shuffled(len(rollout.tokens), config, generator):
        one_step(policy, optimizer, rollout, [order], config, share=True)
    return STATS


@one_step_an_epoch.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    for order in shuffled(len(rollout.tokens), config, generator):
        one_step(policy, optimizer, rollout, [order], config, clip_each=True)
    return STATS


@wrong(about="state", read="epochs", hint="When does the second epoch begin to differ from the first?")
def one_step_in_all(policy, optimizer, rollout, config, generator=None):
    """The losses or gradients of all epochs are collected for a single step of the optimizer; each minibatch has a step of its
    own."""
    policy.eval()
    one_step(policy, optimizer, rollout, list(shuffled(len(rollout.tokens), config, generator)), config)
    return STATS


@one_step_in_all.also
def _(policy, optimizer, rollout, config, generator=None):
    policy.eval()
    one_step(policy, optimizer, rollout, list(shuffled(len(rollout.tokens), config, generator)), config, share=True)
    return STATS


# Epochs and minibatches


def in_order(n, config, generator):
    return [torch.arange(n)] * config.ppo_epochs


@wrong(about="sampling", read="epochs", hint="In which order do the rows come in your first epoch?")
def never_reshuffles(policy, optimizer, rollout, config, generator=None):
    """The rows are taken in the order of the batch in every epoch; draw a permutation for each."""
    return train(policy, optimizer, rollout, config, generator, orders=in_order)


@wrong(about="sampling", read="epochs", hint="In your second epoch, which rows are together in a minibatch?")
def fixed_permutation_reused(policy, optimizer, rollout, config, generator=None):
    """One permutation is drawn before the loop and used in every epoch, so the same rows are always together; draw a new one in
    each epoch."""

    def orders(n, config, generator):
        return [torch.randperm(n, generator=generator)] * config.ppo_epochs

    return train(policy, optimizer, rollout, config, generator, orders=orders)


def reseeded(n, config, generator):
    for _ in range(config.ppo_epochs):
        yield torch.randperm(n, generator=torch.Generator().manual_seed(generator.initial_seed() if generator else 0))


@wrong(about="sampling", read="epochs", hint="What does a generator give right after it was seeded?")
def reseeds_each_epoch(policy, optimizer, rollout, config, generator=None):
    """The permutations come from a generator that is seeded again in each epoch, so they are all the same; let the one that was
    given go on."""
    return train(policy, optimizer, rollout, config, generator, orders=reseeded)


@wrong(about="sampling", read="epochs", hint="What do your permutations look like in the second call?")
def reseeds_each_call(policy, optimizer, rollout, config, generator=None):
    """The permutations come from a generator that is seeded again in each call, so every update repeats those of the first; let
    the one that was given go on."""
    own = torch.Generator().manual_seed(generator.initial_seed() if generator else 0)
    return train(policy, optimizer, rollout, config, own)


@wrong(about="sampling", read="epochs", hint="From where does your permutation take its randomness?")
def generator_ignored(policy, optimizer, rollout, config, generator=None):
    """The permutations are drawn without the generator, from torch's global random state, so a run cannot be repeated."""
    return train(policy, optimizer, rollout, config, None)


@wrong(about="sampling", read="epochs", hint="Does the generator's seed change your permutations?")
def fixed_seed(policy, optimizer, rollout, config, generator=None):
    """The permutations come from a generator with a seed written into the code, not from the one that is given."""
    return train(policy, optimizer, rollout, config, torch.Generator().manual_seed(0))


@wrong(about="sampling", read="epochs", hint="Can a row come twice in one of your epochs?")
def rows_drawn_with_replacement(policy, optimizer, rollout, config, generator=None):
    """The rows of a minibatch are drawn independently, so that an epoch sees some twice and others never; cut a permutation
    into minibatches."""

    def orders(n, config, generator):
        return [torch.randint(n, (n,), generator=generator) for _ in range(config.ppo_epochs)]

    return train(policy, optimizer, rollout, config, generator, orders=orders)


@rows_drawn_with_replacement.also
def _(policy, optimizer, rollout, config, generator=None):
    def orders(n, config, generator):
        for _ in range(config.ppo_epochs):
            size = config.minibatch_size
            yield torch.cat([torch.randint(n, (size,), generator=generator) for _ in range(0, n, size)])

    return train(policy, optimizer, rollout, config, generator, orders=orders)


@rows_drawn_with_replacement.also
def _(policy, optimizer, rollout, config, generator=None):
    def orders(n, config, generator):
        for _ in range(config.ppo_epochs):
            size = config.minibatch_size
            yield torch.cat([torch.randperm(n, generator=generator)[: min(size, n - s)] for s in range(0, n, size)])

    return train(policy, optimizer, rollout, config, generator, orders=orders)


@wrong(about="reading", read="epochs", hint="Seven rows, minibatches of two: which row is never seen?")
def drops_the_last_minibatch(policy, optimizer, rollout, config, generator=None):
    """The last minibatch is left out where it is smaller than the others; it counts too."""

    def full_ones(order, config):
        return [rows for rows in cut(order, config) if len(rows) == config.minibatch_size]

    return train(policy, optimizer, rollout, config, generator, cut=full_ones)


@drops_the_last_minibatch.also
def _(policy, optimizer, rollout, config, generator=None):
    def all_but_the_last(order, config):
        return cut(order, config)[: max(len(order) // config.minibatch_size, 1)]

    return train(policy, optimizer, rollout, config, generator, cut=all_but_the_last)


@drops_the_last_minibatch.also
def _(policy, optimizer, rollout, config, generator=None):
    stats = drops_the_last_minibatch.forms[0](policy, optimizer, rollout, config, generator)
    return {name: value / (len(rollout.tokens) // config.minibatch_size) for name, value in stats.items()}


@drops_the_last_minibatch.also
def _(policy, optimizer, rollout, config, generator=None):
    def all_but_the_last(order, config):
        return cut(order, config)[:-1]

    return train(policy, optimizer, rollout, config, generator, cut=all_but_the_last)


@wrong(about="reading", read="epochs", hint="Which field of the config says how often the batch is gone through?")
def only_one_epoch(policy, optimizer, rollout, config, generator=None):
    """The batch is gone through once, whatever ppo_epochs says."""
    return train(policy, optimizer, rollout, replace(config, ppo_epochs=1), generator)


@wrong(about="reading", read="epochs", hint="How many rows are in each of your forward passes?")
def minibatch_size_ignored(policy, optimizer, rollout, config, generator=None):
    """The batch is not cut by minibatch_size: every step sees all the rows, or a single one."""
    return train(policy, optimizer, rollout, config, generator, cut=lambda order, config: [order])


@minibatch_size_ignored.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(policy, optimizer, rollout, config, generator, cut=lambda order, config: order.split(1))


@wrong(about="reading", read="epochs", hint="Is minibatch_size how large a minibatch is, or how many there are?")
def minibatch_size_as_their_number(policy, optimizer, rollout, config, generator=None):
    """The batch is cut into minibatch_size pieces; it is the number of rows in each piece."""
    return train(policy, optimizer, rollout, config, generator, cut=lambda order, config: order.chunk(config.minibatch_size))


@wrong(about="reading", read="epochs", hint="Which rows does an epoch of yours never see?")
def one_minibatch_an_epoch(policy, optimizer, rollout, config, generator=None):
    """Each epoch takes a single minibatch of its permutation and leaves the other rows out."""
    return train(policy, optimizer, rollout, config, generator, cut=lambda order, config: cut(order, config)[:1])


@one_minibatch_an_epoch.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(policy, optimizer, rollout, config, generator, cut=lambda order, config: cut(order, config)[-1:])


@wrong(about="reading", read="epochs", hint="Take one permuted row: do all its tensors come from the same place?")
def rows_mixed_up(policy, optimizer, rollout, config, generator=None):
    """The tokens of a minibatch are permuted, but the tensors that belong to them are taken in the order of the batch, so
    tokens meet the advantages of others."""

    def orders(n, config, generator):
        for order in shuffled(n, config, generator):
            places.update({int(row): place for place, row in enumerate(order)})
            yield order

    def unpermuted(name, b):
        return getattr(b.rollout, name)[[places[int(row)] for row in b.rows]]

    places = {}
    loss = partial(total, advantages=lambda b: unpermuted("advantages", b))
    return train(policy, optimizer, rollout, config, generator, loss=loss, orders=orders)


@rows_mixed_up.also
def _(policy, optimizer, rollout, config, generator=None):
    def orders(n, config, generator):
        for order in shuffled(n, config, generator):
            places.update({int(row): place for place, row in enumerate(order)})
            yield order

    def unpermuted(name, b):
        return getattr(b.rollout, name)[[places[int(row)] for row in b.rows]]

    places = {}
    names = dict(zip(("old", "old_values", "advantages", "returns"), FLOATS, strict=True))
    loss = partial(total, **{mine: partial(unpermuted, name) for mine, name in names.items()})
    return train(policy, optimizer, rollout, config, generator, loss=loss, orders=orders)


@wrong(about="mean", read="epochs", hint="Each minibatch has a step of its own: by what do you still divide?")
def loss_divided_by_the_minibatches(policy, optimizer, rollout, config, generator=None):
    """The loss of each minibatch is divided by their number or weighed by its rows, though each takes a step of its own."""

    def loss(policy, rollout, rows, config):
        return total(policy, rollout, rows, config) / -(-len(rollout.tokens) // config.minibatch_size)

    return train(policy, optimizer, rollout, config, generator, loss=loss)


@loss_divided_by_the_minibatches.also
def _(policy, optimizer, rollout, config, generator=None):
    def loss(policy, rollout, rows, config):
        return total(policy, rollout, rows, config) * len(rows) / len(rollout.tokens)

    return train(policy, optimizer, rollout, config, generator, loss=loss)


@loss_divided_by_the_minibatches.also
def _(policy, optimizer, rollout, config, generator=None):
    def loss(policy, rollout, rows, config):
        return total(policy, rollout, rows, config) * len(rows) / config.minibatch_size

    return train(policy, optimizer, rollout, config, generator, loss=loss)


@loss_divided_by_the_minibatches.also
def _(policy, optimizer, rollout, config, generator=None):
    def loss(policy, rollout, rows, config):
        return total(policy, rollout, rows, config) / config.ppo_epochs

    return train(policy, optimizer, rollout, config, generator, loss=loss)


# The forward pass


@wrong(about="state", read="step", hint="In which mode is the policy when it computes the new log-probabilities?")
def dropout_on(policy, optimizer, rollout, config, generator=None):
    """The policy is in training mode, so dropout changes its log-probabilities and the ratio is not 1 before anything was
    learned; put it in evaluation mode."""
    for order in shuffled(len(rollout.tokens), config, generator):
        for rows in cut(order, config):
            policy.train()
            update(policy, optimizer, total(policy, rollout, rows, config), config)
    return STATS


dropout_on.also(with_loss(forward=lambda policy, r, rows: forward(policy.train(), r, rows)))


@wrong(about="time", read="step", hint="The logits at a place speak about the token after it: where does the response begin?")
def logits_off_by_one(policy, optimizer, rollout, config, generator=None):
    """The logits are not read one place before each token of the response, so they speak about another token."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, forward=partial(forward, logits_back=0)))


logits_off_by_one.also(with_loss(forward=partial(forward, logits_back=0, values_back=0)))
logits_off_by_one.also(with_loss(forward=partial(forward, logits_back=2)))
logits_off_by_one.also(with_loss(forward=partial(forward, logits_back=2, values_back=2)))


@wrong(about="time", read="step", hint="Before or after a token is produced: which state does its value belong to?")
def values_off_by_one(policy, optimizer, rollout, config, generator=None):
    """The values are read at the tokens themselves, after they were produced; like the logits, they stand one place before."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, forward=partial(forward, values_back=0)))


values_off_by_one.also(with_loss(forward=partial(forward, values_back=2)))


def unmasked(prompt_ids, prompt_mask, tokens, mask):
    input_ids = torch.cat([prompt_ids, tokens], 1)
    return input_ids, torch.ones_like(input_ids)


def open_ended(prompt_ids, prompt_mask, tokens, mask):
    """The prompt is masked, and nothing behind the response."""
    return join(prompt_ids, prompt_mask, tokens, torch.ones_like(mask))


def forward_without_a_mask(policy, r, rows, at_padding=0):
    """The places come from the mask, but the mask itself is not passed."""
    input_ids, attention_mask = join(r.prompt_ids[rows], r.prompt_mask[rows], r.tokens[rows], r.mask[rows])
    places = position_ids(attention_mask).masked_fill(attention_mask == 0, at_padding)
    out = policy(input_ids=input_ids, position_ids=places)
    start = -r.tokens.shape[1] - 1
    return out.logits[:, start:-1], out.values[:, start:-1]


@wrong(about="mask", read="step", hint="What does the policy read in front of a short prompt?")
def attention_mask_forgotten(policy, optimizer, rollout, config, generator=None):
    """The policy is called without the attention mask, so it reads the padding in front of the prompt."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, forward=forward_without_a_mask))


attention_mask_forgotten.also(with_loss(forward=partial(forward, read=unmasked)))
attention_mask_forgotten.also(with_loss(forward=partial(forward_without_a_mask, at_padding=1)))


@wrong(about="reading", read="step", hint="Which position has the first real token of a row that is padded on the left?")
def position_ids_forgotten(policy, optimizer, rollout, config, generator=None):
    """The policy is called without position ids, so the padding on the left shifts the places of a short prompt."""
    places = partial(forward, places=lambda attention_mask: None)
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, forward=places))


position_ids_forgotten.also(with_loss(forward=partial(forward, places=lambda attention_mask: attention_mask.cumsum(-1))))


@wrong(about="reading", read="step", hint="What were the logits divided by when the tokens were sampled?")
def temperature_forgotten(policy, optimizer, rollout, config, generator=None):
    """Logits are not divided by the temperature everywhere, so new and old log-probabilities, or the entropy, are those of
    different distributions."""
    return train(policy, optimizer, rollout, replace(config, temperature=1.0), generator)


temperature_forgotten.also(with_loss(entropy_logits=lambda b: b.logits * b.config.temperature))
temperature_forgotten.also(
    with_loss(logprobs=lambda b: gather_logprobs(b.logits * b.config.temperature, b.tokens)),
)


@wrong(about="scale", read="step", hint="Does a high temperature make your distribution flatter or sharper?")
def multiplied_by_the_temperature(policy, optimizer, rollout, config, generator=None):
    """The logits are multiplied by the temperature; they are divided by it."""
    return train(policy, optimizer, rollout, replace(config, temperature=1 / config.temperature), generator)


@wrong(about="scale", read="step", hint="Is the sum of your probabilities still 1?")
def logprobs_divided_by_the_temperature(policy, optimizer, rollout, config, generator=None):
    """The log-probabilities are divided by the temperature; the logits are, before they are normalised."""

    def logprobs(b):
        return gather_logprobs(b.logits * b.config.temperature, b.tokens) / b.config.temperature

    return train(policy, optimizer, rollout, config, generator, loss=partial(total, logprobs=logprobs))


# The loss


@wrong(about="mask", read="step", hint="Which of the three terms know where a response ends?")
def mask_forgotten(policy, optimizer, rollout, config, generator=None):
    """The mask of the responses is left out in the loss or in a term of it, so padding counts like tokens."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, **everywhere))


def all_true(b):
    return torch.ones_like(b.mask)


everywhere = dict.fromkeys(("policy_mask", "value_mask", "entropy_mask"), all_true)
mask_forgotten.also(with_loss(**everywhere, forward=partial(forward, read=open_ended)))
for term in everywhere:
    mask_forgotten.also(with_loss(**{term: all_true}))
    mask_forgotten.also(with_loss(**{term: all_true}, forward=partial(forward, read=open_ended)))


def penalised(coef, penalty):
    """Another term in the loss, or in the advantages, that pulls the policy to the one of the rollout."""
    return {"extra": lambda b: coef * adv.masked_mean(penalty(b), b.mask)}


@wrong(about="formula", read="policy-loss", hint="What do the advantages contain already? And what does the clip do?")
def kl_counted_twice(policy, optimizer, rollout, config, generator=None):
    """A penalty for the KL to the policy of the rollout is added to the loss, but the rewards contain the KL penalty already
    and the clip holds the policy near the rollout's: the loss has three terms."""
    penalty = penalised(0.1, lambda b: b.logprobs - b.old)
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, **penalty))


for coef in (0.1, 0.2, 1.0, 0.05):
    if coef != 0.1:
        kl_counted_twice.also(with_loss(**penalised(coef, lambda b: b.logprobs - b.old)))
    kl_counted_twice.also(with_loss(**penalised(coef, lambda b: b.old - b.logprobs)))
    kl_counted_twice.also(with_loss(**penalised(coef, lambda b: kl_estimate(b.logprobs, b.old, "k3"))))
    kl_counted_twice.also(with_loss(**penalised(coef, lambda b: kl_estimate(b.old, b.logprobs, "k3"))))
    kl_counted_twice.also(with_loss(**penalised(coef, lambda b: kl_estimate(b.old, b.logprobs, "k2"))))
    kl_counted_twice.also(with_loss(advantages=lambda b, c=coef: b.advantages - c * (b.logprobs - b.old).detach()))


@wrong(about="sign", read="step", hint="Should the optimizer make the entropy larger or smaller?")
def entropy_sign(policy, optimizer, rollout, config, generator=None):
    """The entropy is added to the loss, which makes the policy sharper; it is a bonus, so it is subtracted."""
    return train(policy, optimizer, rollout, replace(config, entropy_coef=-config.entropy_coef), generator)


@wrong(about="scale", read="step", hint="Which field of the config weighs the entropy?")
def entropy_coef_forgotten(policy, optimizer, rollout, config, generator=None):
    """The entropy is subtracted with weight 1, whatever entropy_coef says."""
    return train(policy, optimizer, rollout, replace(config, entropy_coef=1.0), generator)


@wrong(about="formula", read="step", hint="How many terms has the loss in the docstring?")
def no_entropy_bonus(policy, optimizer, rollout, config, generator=None):
    """The entropy is missing from the loss, or no gradient comes from it."""
    return train(policy, optimizer, rollout, replace(config, entropy_coef=0.0), generator)


@wrong(about="scale", read="step", hint="Which field of the config weighs the value loss?")
def value_coef_forgotten(policy, optimizer, rollout, config, generator=None):
    """The value loss is added with weight 1, whatever value_coef says."""
    return train(policy, optimizer, rollout, replace(config, value_coef=1.0), generator)


@wrong(about="formula", read="step", hint="How many terms has the loss in the docstring?")
def no_value_loss(policy, optimizer, rollout, config, generator=None):
    """The value loss is missing from the loss, or no gradient comes from it, so the value head learns nothing."""
    return train(policy, optimizer, rollout, replace(config, value_coef=0.0), generator)


@wrong(about="sign", read="step", hint="Should the value head's error become larger or smaller?")
def value_loss_sign(policy, optimizer, rollout, config, generator=None):
    """The value loss is subtracted, so that the error of the value head grows; it is added."""
    return train(policy, optimizer, rollout, replace(config, value_coef=-config.value_coef), generator)


@wrong(about="sign", read="policy-loss", hint="policy_loss is a loss already: what does a minus in front of it do?")
def policy_loss_sign(policy, optimizer, rollout, config, generator=None):
    """The policy loss is subtracted, though its minus sign is inside it already, so that bad tokens become more likely."""

    def negated(policy, rollout, rows, config):
        terms = replace(config, value_coef=-config.value_coef, entropy_coef=-config.entropy_coef)
        return -total(policy, rollout, rows, terms)

    return train(policy, optimizer, rollout, config, generator, loss=negated)


policy_loss_sign.also(with_loss(advantages=lambda b: -b.advantages))


@wrong(about="sign", read="step", hint="An optimizer makes its loss smaller. What does yours make smaller?")
def gradient_ascent(policy, optimizer, rollout, config, generator=None):
    """The whole loss is negated, so the optimizer makes it larger."""
    return train(policy, optimizer, rollout, config, generator, loss=lambda *given: -total(*given))


@wrong(about="reading", read="value-loss", hint="Which two clip ranges does the config have?")
def clip_ranges_mixed_up(policy, optimizer, rollout, config, generator=None):
    """One clip range is used for both losses, or each for the other; the ratio has clip_range, the value value_clip_range."""
    return train(policy, optimizer, rollout, replace(config, value_clip_range=config.clip_range), generator)


@clip_ranges_mixed_up.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(policy, optimizer, rollout, replace(config, clip_range=config.value_clip_range), generator)


@clip_ranges_mixed_up.also
def _(policy, optimizer, rollout, config, generator=None):
    swapped = replace(config, clip_range=config.value_clip_range, value_clip_range=config.clip_range)
    return train(policy, optimizer, rollout, swapped, generator)


@wrong(about="reading", read="value-loss", hint="What does the value head learn: how good a state is, or how good a token?")
def values_learn_the_advantages(policy, optimizer, rollout, config, generator=None):
    """The value loss is given the advantages where it needs the returns."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, returns=lambda b: b.advantages))


@wrong(
    about="reading",
    read="policy-loss",
    hint="Is a token good because its return is high, or because it is higher than expected?",
)
def returns_for_advantages(policy, optimizer, rollout, config, generator=None):
    """The policy loss is given the returns where it needs the advantages."""
    return train(policy, optimizer, rollout, config, generator, loss=partial(total, advantages=lambda b: b.returns))


@returns_for_advantages.also
def _(policy, optimizer, rollout, config, generator=None):
    return train(
        policy, optimizer, rollout, config, generator, loss=partial(total, advantages=lambda b: b.returns - b.old_values)
    )


@returns_for_advantages.also
def _(policy, optimizer, rollout, config, generator=None):
    loss = partial(total, advantages=lambda b: b.returns - b.values.detach())
    return train(policy, optimizer, rollout, config, generator, loss=loss)


def standardised(x, mask, at_least=2):
    """Mean 0 and unbiased deviation 1 over the True tokens; 0 where there are fewer than `at_least`."""
    kept = x[mask]
    return (x - kept.mean()) / (kept.std() + 1e-8) if len(kept) >= at_least else x - x


@wrong(about="scale", read="epochs", hint="The rollout has the advantages as they are to be used. What do you do to them?")
def whitens_again(policy, optimizer, rollout, config, generator=None):
    """The advantages are whitened in here, in each minibatch or all at once; they come as they are to be used."""
    loss = partial(total, advantages=lambda b: adv.masked_whiten(b.advantages, b.mask))
    return train(policy, optimizer, rollout, config, generator, loss=loss)


whitens_again.also(with_loss(advantages=lambda b: standardised(b.advantages, b.mask)))
whitens_again.also(with_loss(advantages=lambda b: adv.masked_whiten(b.advantages, b.mask, shift_mean=False)))
whitens_again.also(with_loss(advantages=lambda b: (b.advantages - b.advantages.mean()) / (b.advantages.std() + 1e-8)))
whitens_again.also(with_loss(advantages=lambda b: adv.masked_whiten(b.rollout.advantages, b.rollout.mask)[b.rows]))
whitens_again.also(with_loss(advantages=lambda b: standardised(b.rollout.advantages, b.rollout.mask)[b.rows]))
whitens_again.also(with_loss(advantages=lambda b: standardised(b.advantages, b.mask, at_least=0)))
whitens_again.also(with_loss(advantages=lambda b: standardised(b.rollout.advantages, b.rollout.mask, at_least=0)[b.rows]))


@wrong(about="shape", read="step", hint="What does a caller plot after the update?")
def returns_nothing(policy, optimizer, rollout, config, generator=None):
    """The policy is trained, but the stats are not returned: None comes back instead of a dict of floats."""
    train(policy, optimizer, rollout, config, generator)
