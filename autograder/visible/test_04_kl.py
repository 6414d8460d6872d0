"""Lesson 4, the KL penalty: what a learner sees."""

import math

import pytest
import torch

from autograder import oracles
from autograder.answer import EndOfCheck

pytestmark = pytest.mark.visible


def policies(draw, *shape):
    """Log-probabilities under the policy and the reference, more and less likely in turn, by 0.3 to 2 nats."""
    logprobs = draw.uniform(-4, -2.2, *shape)
    sign = 1 - 2 * (torch.arange(logprobs.numel()).reshape(shape) % 2)
    return logprobs, logprobs + sign * draw.uniform(0.3, 2, *shape)


@pytest.mark.exercise("kl_estimate")
def test_kl_estimate_of_an_unknown_name(answer, draw):
    """Another name is an error, not a guess."""
    answer.raises(ValueError, *policies(draw, 1, 2), "k4")
    answer.raises(ValueError, *policies(draw, 1, 2), "full")
    answer.says_more(*policies(draw, 2, 2), "k1")


@pytest.mark.exercise("kl_estimate")
def test_kl_estimate_k1(answer, draw):
    """k1: the log-ratio, sign kept."""
    answer.agrees(*policies(draw, 2, 3), "k1")


@pytest.mark.exercise("kl_estimate")
def test_kl_estimate_k2(answer, draw):
    """k2: half the square."""
    answer.agrees(*policies(draw, 2, 3), "k2")


@pytest.mark.exercise("kl_estimate")
@pytest.mark.points(2)
def test_kl_estimate_k3(answer, draw):
    """k3: never negative, for ratios on both sides of 1."""
    answer.agrees(*policies(draw, 2, 3), "k3")
    logprobs, ref_logprobs = policies(draw, 2, 3)
    answer.agrees(logprobs - 4 * (ref_logprobs < logprobs), ref_logprobs, "k3")


@pytest.mark.exercise("kl_estimate")
@pytest.mark.points(2)
def test_kl_estimate_k3_near_zero(answer, draw):
    """k3 where policy and reference almost agree: digits must not cancel."""
    logprobs = draw.logprobs(2, 6)
    gap = torch.tensor([1e-3, -1e-3, 2e-3, -1e-3, -2e-3, 1e-3], dtype=torch.float64)
    answer.agrees(logprobs, logprobs + gap, "k3", coarse=True, rtol=2e-3, atol=0.0)


@pytest.mark.exercise("kl_estimate")
def test_kl_estimate_of_equal_policies(answer, draw):
    """Policy and reference agree exactly: 0, for every estimator; a batch of one."""
    same = draw.logprobs(1, 3)
    for estimator in ("k1", "k2", "k3"):
        answer.agrees(same, same, estimator)
        answer.agrees(*policies(draw, 1, 1), estimator)


@pytest.mark.exercise("kl_exact")
@pytest.mark.points(3)
def test_kl_exact_value_and_gradient(answer, draw):
    """The sum over the vocabulary, and its gradient to the policy's logits."""
    answer.agrees(draw.normal(2, 3, 5, scale=1.5), draw.normal(2, 3, 5, scale=1.5))


@pytest.mark.exercise("kl_exact")
def test_kl_exact_of_shifted_logits(answer, draw):
    """A constant added to all logits of a place changes nothing; equal policies give 0."""
    logits, ref_logits = draw.normal(2, 3, 4), draw.normal(2, 3, 4)
    answer.agrees(logits + draw.normal(2, 3, 1, scale=3), ref_logits + draw.normal(2, 3, 1, scale=3))
    answer.agrees(logits, logits + 2)


@pytest.mark.exercise("kl_exact")
def test_kl_exact_a_batch_of_one(answer, draw):
    """One place, two tokens."""
    answer.agrees(draw.normal(1, 1, 2), draw.normal(1, 1, 2) + torch.tensor([1.0, -1.0]))


@pytest.mark.exercise("kl_exact")
@pytest.mark.points(2)
def test_kl_exact_at_logits_of_ten_thousand(answer, draw):
    """Logits of 1e4, all of them or some: finite, and right up to rounding."""
    logits, ref_logits = draw.normal(2, 2, 4), draw.normal(2, 2, 4)
    answer.agrees(logits + 1e4, ref_logits - 1e4, coarse=True, rtol=1e-2, atol=1e-2)
    far = torch.tensor([1e4, 0.0, -1e4, 5e3], dtype=torch.float64)
    answer.agrees(logits + far[draw.order(4)], ref_logits + far, coarse=True, rtol=1e-2, atol=1e-2)
    answer.agrees(logits, ref_logits + far, coarse=True, rtol=1e-2, atol=1e-2)


def rollout(draw, *lengths, width):
    """scores, logprobs, ref_logprobs, mask: rows of these lengths, junk on the padding."""
    mask = draw.mask(*lengths, width=width)
    logprobs, ref_logprobs = policies(draw, *mask.shape)
    scores = draw.uniform(0.5, 3, len(lengths)) * (1 - 2 * (draw.order(len(lengths)) % 2))
    return scores, draw.junk(logprobs, mask), draw.junk(ref_logprobs, mask), mask


@pytest.mark.exercise("shape_rewards")
@pytest.mark.points(3)
def test_shape_rewards_ragged_rows(answer, draw):
    """The penalty on every token, the score on the last True one."""
    answer.agrees(*rollout(draw, 5, 2, 1, 4, width=6), kl_coef=0.3)


@pytest.mark.exercise("shape_rewards")
@pytest.mark.points(2)
def test_shape_rewards_full_rows(answer, draw):
    """No padding, and as many rows as places."""
    answer.agrees(*rollout(draw, 4, 4, 4, 4, width=4), kl_coef=0.2)
    answer.agrees(*rollout(draw, 3, 3, width=3), kl_coef=1.5)


@pytest.mark.exercise("shape_rewards")
@pytest.mark.points(2)
def test_shape_rewards_an_empty_response(answer, draw):
    """The score of an empty response is dropped: its row is 0, and the others are as they were."""
    answer.agrees(*rollout(draw, 3, 0, 2, 5, width=5), kl_coef=0.3)
    answer.agrees(*rollout(draw, 0, width=3), kl_coef=0.3)


@pytest.mark.exercise("shape_rewards")
def test_shape_rewards_padding_gets_nothing(answer, draw):
    """0 wherever the mask is False."""
    scores, logprobs, ref_logprobs, mask = rollout(draw, 5, 2, 0, 3, width=5)
    arguments = {"scores": scores, "logprobs": logprobs, "ref_logprobs": ref_logprobs, "mask": mask, "kl_coef": 0.3}
    rewards = answer.call(arguments).returned
    if not isinstance(rewards, torch.Tensor) or rewards.shape != mask.shape:
        answer.expect(False, "rewards has to be a tensor of the shape of the mask.", kind="wrong_shape")
        raise EndOfCheck
    padding = rewards.double()[~mask]
    row, place = ((rewards != 0) & ~mask).int().nonzero()[0].tolist() if padding.any() else (0, 0)
    details = f"rewards[{row}, {place}] is {rewards[row, place].item():.4g}; the mask is False there."
    what = "The rewards are not 0 on padding: nothing was done there that could earn or cost anything."
    answer.expect(not padding.any(), what, details, kind="padding", evidence=padding, minor=True)
    answer.says_more(**arguments)


@pytest.mark.exercise("shape_rewards")
def test_shape_rewards_no_penalty(answer, draw):
    """kl_coef 0: the score alone, on the last token alone; policies that agree: the same."""
    answer.agrees(*rollout(draw, 3, 1, 4, width=5), kl_coef=0.0)
    scores, logprobs, _, mask = rollout(draw, 3, 1, 4, width=5)
    answer.agrees(scores, logprobs, logprobs, mask, kl_coef=0.7)


@pytest.mark.exercise("shape_rewards")
def test_shape_rewards_is_a_constant(answer, draw):
    """No gradient in the result, also where the inputs have one."""
    answer.agrees(*rollout(draw, 4, 2, 3, width=4), kl_coef=0.4, gradients=True)


@pytest.mark.exercise("shape_rewards")
def test_shape_rewards_a_batch_of_one(answer, draw):
    """A batch of one row, of one token and of two."""
    answer.agrees(*rollout(draw, 1, width=1), kl_coef=0.5)
    answer.agrees(*rollout(draw, 2, width=3), kl_coef=0.5)


def steers(answer, init_kl_coef, target, horizon, observations):
    """Judge the controller's value at first and after each of these (kl, n_steps)."""
    expected = [float(init_kl_coef), *oracles.adaptive_kl_values(init_kl_coef, target, horizon, observations)]
    plan = {"init_kl_coef": init_kl_coef, "target": target, "horizon": horizon, "observations": observations}
    got = numbers(answer, answer.run("values", **plan)["values"])
    right = [math.isclose(g, e, rel_tol=1e-4) for g, e in zip(got, expected, strict=True)]
    wrong = right.index(False) if False in right else 0
    what = "The value is wrong before the first update." if wrong == 0 else "The value is wrong after an update."
    updates = "".join(f", update{update}" for update in observations[:wrong])
    began = f"AdaptiveKLController({init_kl_coef}, {target}, {horizon})"
    details = f"After {began}{updates}: value is {got[wrong]:.6g}, expected {expected[wrong]:.6g}."
    answer.expect(all(right), what, details, kind="value", evidence=got)


def numbers(answer, values):
    """The values as a list, or the end of the check where one of them is no number."""
    odd = [value for value in values if not isinstance(value, float)]
    if odd:
        missing = "The controller has no attribute value, or it is None: keep the coefficient there."
        what = missing if odd[0] is None else "The controller's value has to be a number."
        answer.expect(False, what, kind="wrong_type", evidence="None" if odd[0] is None else "no number")
        raise EndOfCheck
    return list(values)


@pytest.mark.exercise("AdaptiveKLController")
@pytest.mark.points(2)
def test_controller_small_errors(answer, draw):
    """A KL a little above or below the target: the error as it is."""
    for kl in (6.6, 5.7, 7.1, 5.1):
        steers(answer, 0.4, target=6.0, horizon=100, observations=[(kl, 40)])


@pytest.mark.exercise("AdaptiveKLController")
@pytest.mark.points(2)
def test_controller_large_errors(answer, draw):
    """A KL far from the target, on both sides: the error is clipped at 0.2."""
    for kl in (30.0, 9.0, 2.0, 0.3):
        steers(answer, 0.4, target=6.0, horizon=100, observations=[(kl, 40)])


@pytest.mark.exercise("AdaptiveKLController")
@pytest.mark.points(2)
def test_controller_several_updates(answer, draw):
    """One update after the other, by batches of different sizes."""
    observations = [(3.3, 32), (2.5, 64), (1.0, 16), (9.0, 128), (2.9, 48), (3.0, 64)]
    steers(answer, 0.5, target=3.0, horizon=256, observations=observations)
    kls = (2.0 * draw.uniform(0.85, 1.15, 4)).round(decimals=2).tolist()
    steers(answer, 0.7, target=2.0, horizon=80, observations=[(kl, 20 + 10 * i) for i, kl in enumerate(kls)])


@pytest.mark.exercise("AdaptiveKLController")
def test_controller_other_horizons(answer, draw):
    """n_steps over horizon says how much of the error is acted on, also beyond the whole."""
    for n_steps, horizon in ((64, 1000), (64, 64), (60, 24), (1, 7)):
        steers(answer, 0.3, target=5.0, horizon=horizon, observations=[(5.6, n_steps), (2.0, n_steps)])


@pytest.mark.exercise("AdaptiveKLController")
def test_controller_before_the_first_update(answer, draw):
    """It starts at init_kl_coef, a whole number, too; a KL of zero, and a negative one."""
    steers(answer, 0.25, target=4.0, horizon=100, observations=[])
    steers(answer, 2, target=4, horizon=100, observations=[(5, 50)])
    steers(answer, 0.5, target=4.0, horizon=100, observations=[(-4.4, 50), (0.0, 50), (-9.0, 50)])


@pytest.mark.exercise("AdaptiveKLController")
def test_controllers_side_by_side(answer, draw):
    """Two controllers that are used in turn, each with a value of its own."""
    first, second, observations = (0.4, 6.0, 90), (0.9, 5.0, 45), [(6.5, 30), (4.0, 30)]
    expected = [oracles.adaptive_kl_values(*controller, observations)[-1] for controller in (first, second)]
    got = numbers(answer, answer.run("side_by_side", first=first, second=second, observations=observations)["values"])
    ok = all(math.isclose(g, e, rel_tol=1e-4) for g, e in zip(got, expected, strict=True))
    what = "Two controllers that are used in turn do not keep the values that each has alone."
    details = f"The values at the end are {got[0]:.6g} and {got[1]:.6g}, expected {expected[0]:.6g} and {expected[1]:.6g}."
    answer.expect(ok, what, details, kind="value", evidence=got)
