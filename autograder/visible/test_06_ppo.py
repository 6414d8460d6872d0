"""Lesson 6, the PPO step: what a learner sees."""

import functools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from autograder import compare, oracles
from autograder.answer import EndOfCheck, cast, is_finite_number, kind
from autograder.draw import Draw
from autograder.driver.toys import ToyPolicy
from rlhf_core.padding import join, position_ids

pytestmark = pytest.mark.visible

# Where the ratio is, and the sign of the advantage. The clip stops the gradient in two of these six cases.
CASES = [(side, sign) for side in ("below", "inside", "above") for sign in (-1, 1)]
CLIPPED = [("below", -1), ("above", 1)]
NOT_CLIPPED = [("below", 1), ("above", -1)]


def dealt(draw, cases, mask):
    """One of the cases for each place of the mask, all of them about equally often among the True ones."""
    deck = [cases[i % len(cases)] for i in draw.order(int(mask.sum())).tolist()]
    return [deck.pop() if kept else cases[0] for kept in mask.flatten().tolist()]


def surrogate(draw, mask, clip_range, cases=CASES, reach=0.5):
    """logprobs, old_logprobs and advantages whose ratios lie below, inside and above the clip, away from its bounds."""
    low, high = math.log(1 - clip_range), math.log(1 + clip_range)
    ranges = {"below": (low - reach, low - 0.05), "inside": (low + 0.02, high - 0.02), "above": (high + 0.05, high + reach)}
    hands = dealt(draw, cases, mask)
    edges = torch.tensor([ranges[side] for side, _ in hands], dtype=torch.float64).reshape(*mask.shape, 2)
    log_ratio = torch.lerp(edges[..., 0], edges[..., 1], draw.uniform(0, 1, *mask.shape))
    sign = torch.tensor([sign for _, sign in hands]).reshape(mask.shape)
    logprobs = draw.uniform(-4, -1, *mask.shape)
    old_logprobs = (logprobs - log_ratio).round(decimals=2)
    advantages = sign * draw.uniform(0.3, 2.5, *mask.shape)
    return tuple(draw.junk(x, mask) for x in (logprobs, old_logprobs, advantages))


@pytest.mark.exercise("policy_loss")
@pytest.mark.points(3)
def test_policy_loss_on_every_side_of_the_clip(answer, draw):
    """Ratios below, inside and above the clip, with advantages of either sign."""
    mask = draw.mask(5, 0, 3, 2, 4, width=5)
    answer.agrees(*surrogate(draw, mask, 0.2), mask, clip_range=0.2)


@pytest.mark.exercise("policy_loss")
@pytest.mark.points(2)
def test_policy_loss_gradient_stops_at_the_clip(answer, draw):
    """No gradient where the clip takes the gain away, all of it where the ratio must come back."""
    mask = draw.mask(4, 1, 3, width=4)
    answer.agrees(*surrogate(draw, mask, 0.2, CLIPPED), mask, clip_range=0.2)
    answer.agrees(*surrogate(draw, mask, 0.2, NOT_CLIPPED), mask, clip_range=0.2)


@pytest.mark.exercise("policy_loss")
def test_policy_loss_at_ratio_one(answer, draw):
    """Before the first step: new and old are equal, and the gradient is full."""
    mask = draw.mask(4, 2, 0, 3, width=4)
    logprobs, _, advantages = surrogate(draw, mask, 0.2)
    answer.agrees(logprobs, logprobs, advantages, mask, clip_range=0.2)


@pytest.mark.exercise("policy_loss")
def test_policy_loss_other_clip_ranges(answer, draw):
    """A narrow clip and a wide one."""
    mask = draw.mask(4, 3, 2, width=4)
    for clip_range in (0.05, 0.4):
        answer.agrees(*surrogate(draw, mask, clip_range), mask, clip_range=clip_range)


@pytest.mark.exercise("policy_loss")
def test_policy_loss_far_from_the_old_policy(answer, draw):
    """Ratios from e^-8 to e^8."""
    mask = draw.mask(4, 1, 3, width=4)
    answer.agrees(*surrogate(draw, mask, 0.2, reach=8.0), mask, clip_range=0.2)


@pytest.mark.exercise("policy_loss")
def test_policy_loss_of_nothing(answer, draw):
    """No True token: 0, with a zero gradient."""
    mask = torch.zeros(2, 3, dtype=torch.bool)
    answer.agrees(*surrogate(draw, mask, 0.2), mask, clip_range=0.2)
    some = torch.tensor([[True]])
    answer.says_more(*surrogate(draw, some, 0.2, [("inside", 1)]), some, clip_range=0.2)


@pytest.mark.exercise("policy_loss")
def test_policy_loss_a_batch_of_one(answer, draw):
    """One row; one token."""
    for mask in ([[True, True, False]], [[True]]):
        mask = torch.tensor(mask)
        answer.agrees(*surrogate(draw, mask, 0.3, [("inside", 1), ("above", -1)]), mask, clip_range=0.3)


# Where the new value is, seen from the old one, and whether it came nearer to the return than the clip allows.
MOVES = [(side, nearer) for side in ("below", "inside", "above") for nearer in (True, False)]


def regression(draw, mask, clip_range, cases=MOVES):
    """values, old_values and returns: the clipped error is the larger one (no gradient) where a value outside the clip came
    nearer to its return than the clip allows."""
    hands = dealt(draw, cases, mask)
    old_values = draw.normal(*mask.shape, scale=2)
    way = torch.tensor([-1.0 if side == "below" else 1.0 for side, _ in hands], dtype=torch.float64).reshape(mask.shape)
    inside = torch.tensor([side == "inside" for side, _ in hands]).reshape(mask.shape)
    nearer = torch.tensor([near for _, near in hands]).reshape(mask.shape)
    share = torch.where(inside, draw.uniform(-0.8, 0.8, *mask.shape), draw.uniform(1.2, 3, *mask.shape))
    step = way * clip_range * share
    gap = way * draw.uniform(0.2, 1.5, *mask.shape)
    clipped = way * clip_range * share.clamp(-1, 1)
    values = (old_values + step).round(decimals=3)
    returns = (old_values + torch.where(nearer, step + gap, clipped - gap)).round(decimals=3)
    return tuple(draw.junk(x, mask) for x in (values, old_values, returns))


@pytest.mark.exercise("value_loss")
@pytest.mark.points(3)
def test_value_loss_on_every_side_of_the_clip(answer, draw):
    """Values that moved too far, nearer to the return or away from it, and others."""
    mask = draw.mask(5, 0, 3, 2, 4, width=5)
    answer.agrees(*regression(draw, mask, 0.3), mask, clip_range=0.3)


@pytest.mark.exercise("value_loss")
@pytest.mark.points(2)
def test_value_loss_gradient_stops_at_the_clip(answer, draw):
    """No gradient where a value came nearer than the clip allows, all of it elsewhere."""
    mask = draw.mask(4, 1, 3, width=4)
    answer.agrees(*regression(draw, mask, 0.3, [("below", True), ("above", True)]), mask, clip_range=0.3)
    answer.agrees(*regression(draw, mask, 0.3, [("below", False), ("above", False)]), mask, clip_range=0.3)


@pytest.mark.exercise("value_loss")
def test_value_loss_before_the_first_step(answer, draw):
    """New and old values are equal: half the mean squared error, with its full gradient."""
    mask = draw.mask(4, 2, 0, 3, width=4)
    values, _, returns = regression(draw, mask, 0.3)
    answer.agrees(values, values, returns, mask, clip_range=0.3)


@pytest.mark.exercise("value_loss")
def test_value_loss_other_clip_ranges(answer, draw):
    """A narrow clip and a wide one."""
    mask = draw.mask(4, 3, 2, width=4)
    for clip_range in (0.1, 1.5):
        answer.agrees(*regression(draw, mask, clip_range), mask, clip_range=clip_range)


@pytest.mark.exercise("value_loss")
def test_value_loss_of_nothing(answer, draw):
    """No True token: 0, with a zero gradient."""
    mask = torch.zeros(2, 3, dtype=torch.bool)
    answer.agrees(*regression(draw, mask, 0.3), mask, clip_range=0.3)
    some = torch.tensor([[True]])
    answer.says_more(*regression(draw, some, 0.3, [("inside", True)]), some, clip_range=0.3)


@pytest.mark.exercise("value_loss")
def test_value_loss_a_batch_of_one(answer, draw):
    """One row; one token."""
    for mask in ([[True, True, False]], [[True]]):
        mask = torch.tensor(mask)
        answer.agrees(*regression(draw, mask, 0.4, [("inside", True), ("above", False)]), mask, clip_range=0.4)


@pytest.mark.exercise("masked_entropy")
@pytest.mark.points(3)
def test_masked_entropy_of_ragged_rows(answer, draw):
    """The mean over the True tokens of a ragged batch, and its gradient."""
    mask = draw.mask(4, 0, 2, 3, width=4)
    answer.agrees(draw.junk(draw.normal(4, 4, 5, scale=1.5), mask), mask)


@pytest.mark.exercise("masked_entropy")
def test_masked_entropy_sharp_and_flat(answer, draw):
    """Distributions near one token, near none, and of two tokens only."""
    mask = draw.mask(3, 2, width=3)
    for scale in (6.0, 0.2):
        answer.agrees(draw.junk(draw.normal(2, 3, 4, scale=scale) + 3, mask), mask)
    answer.agrees(draw.junk(draw.normal(2, 3, 2), mask), mask)


@pytest.mark.exercise("masked_entropy")
@pytest.mark.points(2)
def test_masked_entropy_of_large_logits(answer, draw):
    """Logits of 1e4: finite, and so is the gradient."""
    mask = draw.mask(3, 2, width=3)
    apart = draw.normal(2, 3, 5, scale=1e4)
    answer.agrees(draw.junk(apart, mask), mask, coarse=True, atol=2e-3)
    near = 1e4 + draw.normal(2, 3, 5, scale=2.0)
    answer.agrees(draw.junk(near, mask), mask, coarse=True, atol=2e-3)


@pytest.mark.exercise("masked_entropy")
def test_masked_entropy_of_nothing(answer, draw):
    """No True token: 0, with a zero gradient."""
    mask = torch.zeros(2, 3, dtype=torch.bool)
    answer.agrees(draw.junk(draw.normal(2, 3, 4), mask), mask)
    answer.says_more(draw.normal(2, 3, 4), ~mask)


@pytest.mark.exercise("masked_entropy")
def test_masked_entropy_a_batch_of_one(answer, draw):
    """One row; one token."""
    for mask in ([[True, True, False]], [[True]]):
        mask = torch.tensor(mask)
        answer.agrees(draw.junk(draw.normal(*mask.shape, 4), mask), mask)


# ppo_step


@pytest.mark.exercise("ppo_step")
@pytest.mark.points(3)
def test_ppo_step_once_over_the_whole_batch(answer, draw):
    """One epoch, one minibatch: every term of the loss, with padding on both sides."""
    case = drawn(draw, (4, 0, 2, 3, 1, 4), value_clip_range=0.5, temperature=0.7, entropy_coef=0.3)
    for dtype in (torch.float32, torch.float64):
        case.learned(answer, dtype)


@pytest.mark.exercise("ppo_step")
@pytest.mark.points(2)
def test_ppo_step_several_epochs(answer, draw):
    """Three passes over the whole batch, with gradients that have to be clipped."""
    config = dict(ppo_epochs=3, minibatch_size=5, value_coef=1.5, max_grad_norm=0.1, temperature=1.4)
    drawn(draw, (3, 4, 0, 1, 2), lr=2.0, momentum=0.5, **config).learned(answer)


@pytest.mark.exercise("ppo_step")
@pytest.mark.points(2)
def test_ppo_step_minibatches_of_equal_rows(answer, draw):
    """Seven equal rows in minibatches of two, two epochs: eight steps."""
    case = drawn(draw, (3,), momentum=0.3, ppo_epochs=2, minibatch_size=2, entropy_coef=0.2)
    case.learned_from_equal_rows(answer, copies=7)


@pytest.mark.exercise("ppo_step")
@pytest.mark.points(2)
def test_ppo_step_minibatches_in_your_order(answer, draw):
    """Different rows in minibatches of three, two epochs, in the order that you drew."""
    config = dict(ppo_epochs=2, minibatch_size=3, entropy_coef=0.1, max_grad_norm=0.3, temperature=0.8)
    drawn(draw, (3, 0, 2, 1, 3), optimizer="Adam", lr=0.03, eps=1e-3, **config).learned_in_its_order(answer)


@pytest.mark.exercise("ppo_step")
@pytest.mark.points(2)
def test_ppo_step_draws_a_new_order_each_epoch(answer, draw):
    """Each epoch sees every row once, in an order of its own that follows from the generator."""
    shuffles(answer, draw, rows=20, size=8, epochs=2)


@pytest.mark.exercise("ppo_step")
def test_ppo_step_trains_what_the_optimizer_holds(answer, draw):
    """Parameters that are frozen, or that the optimizer does not hold, stay as they are."""
    held = ("head", "value_head.weight", "value_head.bias")
    drawn(draw, (2, 3, 1), ppo_epochs=2, entropy_coef=1.0).learned(answer, held=held, frozen=("position",))


@pytest.mark.exercise("ppo_step")
def test_ppo_step_of_one_token(answer, draw):
    """A batch of one row, one token, smaller than a minibatch; no generator."""
    drawn(draw, (1,), ppo_epochs=2, minibatch_size=64).learned(answer, seed=None)


@pytest.mark.exercise("ppo_step")
def test_ppo_step_with_nothing_to_learn(answer, draw):
    """No True token at all: the policy stays as it is."""
    drawn(draw, (0, 0, 0), width=2, ppo_epochs=2, minibatch_size=2, entropy_coef=0.1).learned(answer)


COMMON = 6  # token ids below it may stand anywhere; those from it on mark the rows


def drawn(draw, lengths, **settings):
    """The Case that follows from this draw; kept, as a diagnosis asks for it again and again."""
    return kept_case(draw.generator.initial_seed(), lengths, tuple(settings.items()))


@functools.lru_cache(maxsize=64)
def kept_case(seed, lengths, settings):
    return Case(Draw(seed, "ppo_step"), lengths, **dict(settings))


@dataclass(frozen=True)
class MakeOptimizer:
    """An optimizer of torch.optim for some of a model's parameters; held: their names, None for all."""

    optimizer: str
    options: dict
    names: list
    held: tuple | None

    def __call__(self, parameters):
        chosen = [p for name, p in zip(self.names, parameters, strict=True) if self.held is None or name in self.held]
        return getattr(torch.optim, self.optimizer)(chosen, **self.options)


class Case:
    """A toy policy and a rollout around what that policy says: every side of both clips, and padding full of junk.

    lengths: of the responses, in a drawn order.  Each prompt ends in the mark of its row, a token that stands nowhere else.
    config: what differs from the defaults.
    """

    def __init__(self, draw, lengths, width=None, optimizer="SGD", lr=0.1, momentum=None, eps=None, **config):
        self.config = dict(ppo_epochs=1, minibatch_size=len(lengths), clip_range=0.2, value_clip_range=0.4, value_coef=0.5)
        self.config |= dict(entropy_coef=0.0, max_grad_norm=1e3, temperature=1.0) | config
        options = {"lr": lr, "momentum": momentum, "eps": eps}
        self.optimizer, self.options = optimizer, {name: value for name, value in options.items() if value is not None}
        self.seed = int(draw.integers(1, 10**6, 1))
        weights = draw.policy_weights(vocabulary=COMMON + len(lengths), width=6, places=20)
        self.weights = {name: 0.7 * weight.double() for name, weight in weights.items()}
        mask = draw.mask(*lengths, width=width or max(lengths))
        self.rollout = rollout_of(draw, self.policy(), mask, self.config)

    def policy(self, dtype=torch.float64):
        return ToyPolicy(cast(self.weights, dtype))

    def run(self, answer, dtype=torch.float64, copies=1, rollout=None, **options):
        """What the scenario returned.  copies: how often the rows are repeated."""
        rollout = {name: x.repeat(copies, 1) for name, x in cast(rollout or self.rollout, dtype).items()}
        given = {"seed": self.seed, "optimizer": self.optimizer, "options": self.options} | options
        tensors = cast(self.weights, dtype) | rollout
        seen = answer.run("step", config=self.config, first_mark=COMMON, **given, **tensors)
        unchanged = all(compare.same(seen["rollout"][name], x) for name, x in rollout.items())
        what = "ppo_step changed the rollout in place: the caller still needs it, and so does the next epoch."
        answer.expect(unchanged, what, kind="changes_its_inputs", minor=True)
        return seen

    def changes(self, answer, seen, dtype=torch.float64):
        """How far each parameter has moved."""
        before, after = self.policy(dtype).state_dict(), seen["parameters"]
        same_shape = before.keys() == after.keys() and all(after[name].shape == x.shape for name, x in before.items())
        if not answer.expect(same_shape, "The policy's parameters have other shapes than before.", kind="wrong_shape"):
            raise EndOfCheck
        changes = {name: after[name].double() - x.double() for name, x in before.items()}
        by_itself = not any(seen["minibatches"]) and any(change.any() for change in changes.values())
        what = "The parameters moved without a step of the optimizer that was given: it decides which of them move, and how."
        if not answer.expect(not by_itself, what, kind="another_optimizer"):
            raise EndOfCheck
        return changes

    @functools.lru_cache(maxsize=32)  # noqa: B019 - a Case lives as long as its check is asked
    def expected(self, permutations, held=None, **changes):
        """How far the oracle moves each parameter; `changes` of the config."""
        policy, config = self.policy(), SimpleNamespace(**self.config | changes)
        make_optimizer = MakeOptimizer(self.optimizer, self.options, list(policy.state_dict()), held)
        after = oracles.ppo_step_parameters(policy, make_optimizer, SimpleNamespace(**self.rollout), config, permutations)
        return {name: x - policy.state_dict()[name] for name, x in after.items()}

    def learned(self, answer, dtype=torch.float64, held=None, **options):
        """The parameters move as the rule says.  All rows are one minibatch, so their order does not matter."""
        seen = self.run(answer, dtype, held=held, **options)
        got = self.changes(answer, seen, dtype)
        answer.witness(got)
        if answer.replay is None:  # else the evidence is equal, and so is the verdict
            rows = tuple(range(len(self.rollout["tokens"])))
            self.judge(answer, got, self.expected((rows,) * self.config["ppo_epochs"], held, minibatch_size=len(rows)))
        stats_are_floats(answer, seen["stats"])

    def learned_from_equal_rows(self, answer, copies):
        """The parameters move as the rule says.  All rows are equal, so their order does not matter."""
        seen = self.run(answer, copies=copies)
        got, steps = self.changes(answer, seen), len(seen["minibatches"][0])
        answer.witness(got)
        per_epoch, epochs = -(-copies // self.config["minibatch_size"]), self.config["ppo_epochs"]
        answer.expect(steps == per_epoch * epochs, steps_wanted(copies, self.config, steps), kind="steps", evidence=steps)
        if answer.replay is None:
            expected = self.expected(((0,) * per_epoch,) * epochs, minibatch_size=1)  # one row weighs what seven equal ones do
            self.judge(answer, got, expected)
        stats_are_floats(answer, seen["stats"])

    def learned_in_its_order(self, answer):
        """The parameters move as the rule says, with the minibatches that the answer itself drew."""
        seen = self.run(answer)
        got, epochs = self.changes(answer, seen), epochs_of(answer, seen, self.rollout["mask"], self.config)
        if epochs is not None:
            expected = self.expected(tuple(tuple(row for group in epoch for row in sorted(group)) for epoch in epochs))
            answer.witness(self.judge(answer, got, expected))
        stats_are_floats(answer, seen["stats"])

    def judge(self, answer, got, expected):
        """Whether the changes are the expected ones; reported where they are not."""
        agree = {name: compare.close(got[name], x, rtol=1e-3) for name, x in expected.items()}
        wrong = [name for name in expected if not agree[name].all()]
        if wrong:
            first = compare.first_difference(f"the change of {wrong[0]}", got[wrong[0]], expected[wrong[0]], agree[wrong[0]])
            flat, truth = (torch.cat([x.flatten() for x in changes.values()]) for changes in (got, expected))
            pattern = compare.pattern(flat, truth) or ""
            what = "The policy's parameters do not move as they should."
            answer.report("value", what, f"{first}; config: {self.config}.", pattern)
        return not wrong


def rollout_of(draw, policy, mask, config):
    """The tensors of a rollout by name: old log-probabilities and values around those of the policy, away from the kinks."""
    batch, length = mask.shape
    width = 3
    prompt_mask = torch.arange(width) >= width - (1 + draw.order(batch) % width).unsqueeze(1)
    prompt_ids = draw.integers(0, COMMON, batch, width)
    prompt_ids[:, -1] = COMMON + torch.arange(batch)
    prompt_mask = prompt_mask.long()
    tokens = draw.integers(0, COMMON, batch, length)
    input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
    with torch.no_grad():
        said = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
    logits, now = said.logits[:, width - 1 : -1] / config["temperature"], said.values[:, width - 1 : -1]
    logprobs = oracles.gather_logprobs(logits, tokens)
    new, old, advantages = surrogate(draw, mask, config["clip_range"])
    values, old_values, returns = regression(draw, mask, config["value_clip_range"])
    floats = {
        "logprobs": logprobs - (new - old), "values": now - (values - old_values), "advantages": advantages,
        "returns": now - (values - returns),
    }  # fmt: skip
    floats = {name: draw.junk(x, mask) for name, x in floats.items()}
    return {"prompt_ids": prompt_ids, "prompt_mask": prompt_mask, "tokens": tokens, "mask": mask} | floats


def steps_wanted(rows, config, steps):
    per_epoch, epochs = -(-rows // config["minibatch_size"]), config["ppo_epochs"]
    return (
        f"{rows} rows in minibatches of {config['minibatch_size']} are {per_epoch} steps of the optimizer an epoch, "
        f"{per_epoch * epochs} in {epochs} epochs; you took {steps}."
    )


def epochs_of(answer, seen, mask, config):
    """The rows of each minibatch of each epoch, in the first call; None where they are not a cut of the batch."""
    rows, size, epochs, minibatches = len(mask), config["minibatch_size"], config["ppo_epochs"], seen["minibatches"][0]
    per_epoch, steps, everything = -(-rows // size), len(minibatches), list(range(rows))
    whole = steps > 0 and sorted(minibatches[0]) == everything
    evidence = (steps, whole, seen["rows_at_once"] > size)
    if not answer.expect(steps == per_epoch * epochs, steps_wanted(rows, config, steps), kind="steps", evidence=evidence):
        return None
    cut = [[list(group) for group in minibatches[i * per_epoch : (i + 1) * per_epoch]] for i in range(epochs)]
    for epoch in cut:  # a row without a True token may be left out of a forward pass: it belongs where one is missing
        empty = [row for row in everything if not mask[row].any() and not any(row in group for group in epoch)]
        for group, first in zip(epoch, range(0, rows, size), strict=True):
            while empty and len(group) < min(size, rows - first):
                group.append(empty.pop())
    complete = all(sorted(row for group in epoch for row in group) == everything for epoch in cut)
    listed = f"The rows of the minibatches: {shown(minibatches)}."
    answer.expect(complete, "An epoch does not see every row exactly once.", listed, kind="coverage")
    regular = all(len(group) == size for epoch in cut for group in epoch[:-1])
    what = f"The minibatches have other sizes than {size} rows and, in the last one, what is left."
    answer.expect(regular, what, listed, kind="sizes")
    return cut if complete and regular else None


def shown(minibatches):
    return "; ".join(str(list(group)) for group in minibatches) or "none"


def shuffles(answer, draw, rows, size, epochs):
    """The order of the rows: new in each epoch, from the generator and from nothing else."""
    probe = drawn(draw, (2, 1, 2), temperature=0.8, entropy_coef=0.3, max_grad_norm=0.1)
    answer.witness(probe.changes(answer, probe.run(answer)))  # most mistakes show here, so a diagnosis need not go on
    case = drawn(draw, (1,) * rows, lr=0.01, ppo_epochs=epochs, minibatch_size=size)

    def orders(**options):
        """The sets of rows of each minibatch, epoch by epoch, for each call."""
        seen = case.run(answer, **options)
        per_epoch = -(-rows // size)
        sets = [[tuple(sorted(group)) for group in call] for call in seen["minibatches"]]
        return seen, [[call[i * per_epoch : (i + 1) * per_epoch] for i in range(epochs)] for call in sets]

    seen, (first,) = orders()
    if epochs_of(answer, seen, case.rollout["mask"], case.config) is None:
        raise EndOfCheck
    listed = f"The rows of the minibatches: {shown(seen['minibatches'][0])}."
    as_they_are = [tuple(range(start, min(start + size, rows))) for start in range(0, rows, size)]
    answer.expect(as_they_are not in first, "The rows are taken in the order of the batch: shuffle them.", listed, kind="order")
    different = all(first[i] != first[j] for i in range(epochs) for j in range(i))
    what = "Two epochs have the same minibatches: draw a new permutation in each epoch."
    answer.expect(different, what, listed, kind="order")
    untouched = torch.equal(seen["random"], torch.rand(4, generator=torch.Generator().manual_seed(0)))
    what = "torch's global random state moved, though a generator was given."
    answer.expect(untouched, what, kind="random_state")
    again, (repeated, second) = orders(calls=2, global_seed=1)
    what = "A generator with the same seed gives other minibatches: draw the permutations from the generator alone."
    answer.expect(repeated == first, what, f"First {listed} Then: {shown(again['minibatches'][0])}.", kind="order")
    what = "A second call with the same generator repeats the minibatches of the first: the generator has to go on."
    answer.expect(second[0] != repeated[0], what, listed, kind="order")
    _, (other,) = orders(seed=case.seed + 1)
    answer.expect(other != first, "Generators of different seeds give the same minibatches.", listed, kind="order")


def stats_are_floats(answer, stats):
    """A dict of finite floats, for the curves."""
    ok = isinstance(stats, dict)
    answer.expect(ok, f"ppo_step returns stats, a dict of floats; yours is {kind(stats)}.", kind="wrong_type", minor=True)
    bad = [name for name, value in stats.items() if not is_finite_number(value)] if ok else []
    what = f"stats are finite floats, for the curves; these are not: {', '.join(bad)}."
    answer.expect(not bad, what, kind="bad_stats", minor=True)
