"""The reference answers against what TRL's own PPO computed, before TRL dropped it. vectors/record_trl.py made the numbers.

Tolerance: both sides compute in float32 on values of order 1 to 10. Summed in another order, seven such terms move by a few
1e-7 of the largest, and the JSON rounds at 5e-8 of a value; measured, nothing differs by more than 2e-7. RTOL and ATOL leave
room for another formula of the same thing, and stay far below what a wrong one gives.
"""

import json
from pathlib import Path

import pytest
import torch

from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten
from rlhf_core.kl import AdaptiveKLController, kl_estimate, kl_exact, shape_rewards
from rlhf_core.policy import response_mask
from rlhf_core.ppo import masked_entropy, policy_loss, value_loss

RTOL, ATOL = 1e-5, 2e-6
VECTORS = Path(__file__).parent / "vectors"
SHARED_CASES = pytest.mark.parametrize("version", ["0_11", "1_12"])


def load(version, case):
    fields = json.loads((VECTORS / f"trl_{version}.json").read_text(encoding="utf-8"))[case]
    return {k: torch.tensor(v) if isinstance(v, list) else v for k, v in fields.items()}


def close(actual, expected, mask=None):
    expected = torch.as_tensor(expected)
    if mask is not None:  # TRL leaves anything on padding
        actual, expected = actual[mask], expected[mask]
    torch.testing.assert_close(actual, expected, rtol=RTOL, atol=ATOL)


def close_whitened(actual, unbiased, mask, center=0.0):
    """TRL divides by n - 1; the course takes n as well, which stretches around `center` by sqrt(n / (n - 1)). (With either,
    eps = 1e-8 inside the root changes nothing at a variance of order 1.)"""
    n = mask.sum()
    biased = center + (unbiased - center) * (n / (n - 1)).sqrt()
    unbiased_distance, biased_distance = ((actual - x)[mask].abs().max() for x in (unbiased, biased))
    close(actual, biased if biased_distance < unbiased_distance else unbiased, mask)
    assert not actual[~mask].any()


@SHARED_CASES
def test_masked_mean(version):
    v = load(version, "masked_mean")
    close(masked_mean(v["x"], v["mask"]), v["mean"])
    close(masked_mean(v["x"], v["mask"], dim=0), v["mean_dim_0"])
    close(masked_mean(v["x"], v["mask"], dim=1), v["mean_dim_1"])


@SHARED_CASES
def test_masked_whiten(version):
    v = load(version, "masked_whiten")
    close_whitened(masked_whiten(v["x"], v["mask"]), v["shifted"], v["mask"])
    mean = load(version, "masked_mean")["mean"]  # of the same x
    close_whitened(masked_whiten(v["x"], v["mask"], shift_mean=False), v["not_shifted"], v["mask"], center=mean)


# --- 0.11.4, the classic trainer ---------------------------------------------------------------------------------------------


def test_adaptive_kl_controller():
    v = load("0_11", "adaptive_kl")
    controller = AdaptiveKLController(v["init_kl_coef"], v["target"], v["horizon"])
    for kl, n_steps, value in zip(v["kl"].tolist(), v["n_steps"].tolist(), v["value"].tolist(), strict=True):
        controller.update(kl, n_steps)
        assert controller.value == pytest.approx(value, rel=1e-6)  # read back through float32


def test_shape_rewards():
    v = load("0_11", "rewards_kl")
    rewards = shape_rewards(v["scores"], v["logprobs"], v["ref_logprobs"], v["mask"], v["kl_coef"])
    close(rewards, v["rewards"], v["mask"])
    assert not rewards[~v["mask"]].any()


def test_kl_penalties():
    """TRL's `kl` is k1, `mse` k2, `full` the exact KL. The course offers no `abs`: it is a fault of lesson 8's bug hunt."""
    v = load("0_11", "rewards_kl")
    close(kl_estimate(v["logprobs"], v["ref_logprobs"], "k1"), v["kl"])
    v = load("0_11", "rewards_mse")
    close(kl_estimate(v["logprobs"], v["ref_logprobs"], "k2"), v["kl"])
    v = load("0_11", "rewards_abs")
    close(kl_estimate(v["logprobs"], v["ref_logprobs"], "k1").abs(), v["kl"])
    v = load("0_11", "rewards_full")
    close(kl_exact(v["logits"], v["ref_logits"]), v["kl"])


def test_gae():
    v = load("0_11", "gae")
    advantages, returns = compute_gae(v["rewards"], v["values"], v["mask"], v["gamma"], v["lam"])
    close(advantages, v["advantages"])  # TRL clears rewards and values of padding first, so everything is comparable
    close(returns, v["returns"])
    close_whitened(masked_whiten(advantages, v["mask"]), v["whitened"], v["mask"])


def test_losses():
    v = load("0_11", "policy_loss")
    check_policy_loss(v, v["mask"], v["clip_range"], v["loss"], v["gradient"])
    v = load("0_11", "value_loss")
    check_value_loss(v, v["mask"], v["clip_range"], v["loss"], v["gradient"])
    v = load("0_11", "masked_entropy")
    close(masked_entropy(v["logits"], v["mask"]), v["entropy"])


# --- 1.12.0, one update of a real trainer ------------------------------------------------------------------------------------


def test_rollout_mask():
    v = load("1_12", "rollout")
    assert torch.equal(response_mask(v["tokens"], v["eos_token_id"]), v["mask"])


def test_rollout_rewards():
    """TRL 1.12 puts the score one place after the end-of-sequence token where there is room, the course on the token itself.

    `mask_p1` is the response with that place; the KL there is 0. With it the course's function gives TRL's rewards, and with
    the course's own mask the same sum of rewards.
    """
    v = load("1_12", "rollout")
    arguments = v["scores"], v["logprobs"], v["ref_logprobs"]
    close(kl_estimate(v["logprobs"], v["ref_logprobs"], "k1"), v["kl"])
    close(shape_rewards(torch.zeros_like(v["scores"]), *arguments[1:], v["mask"], v["kl_coef"]), v["non_score_reward"])
    close(shape_rewards(*arguments, v["mask_p1"], v["kl_coef"]), v["rewards"])
    close(shape_rewards(*arguments, v["mask"], v["kl_coef"]).sum(1), v["rewards"].sum(1))


def test_rollout_k3():
    v = load("1_12", "rollout_k3")
    close(kl_estimate(v["logprobs"], v["ref_logprobs"], "k3"), v["kl"])


def test_rollout_advantages():
    """TRL 1.12 also has a value on the place after the end-of-sequence token; whitening takes the response without it."""
    v = load("1_12", "rollout")
    advantages, returns = compute_gae(v["rewards"], v["values"], v["mask_p1"], v["gamma"], v["lam"])
    close(advantages, v["advantages"])
    close(returns, v["returns"])
    close_whitened(masked_whiten(advantages, v["mask"]), v["whitened"], v["mask"])


def test_minibatch_losses():
    v = load("1_12", "minibatch")
    check_policy_loss(v, v["mask"], v["cliprange"], v["policy_loss"], v["policy_gradient"])
    check_value_loss(v, v["mask_p1"], v["cliprange_value"], v["value_loss"], v["value_gradient"])


# --- both --------------------------------------------------------------------------------------------------------------------


def check_policy_loss(v, mask, clip_range, expected_loss, expected_gradient):
    ratio, good = (v["logprobs"] - v["old_logprobs"]).exp(), v["advantages"] > 0
    for outside in (ratio > 1 + clip_range, ratio < 1 - clip_range):  # else the vectors would not show a wrong clip
        assert (mask & outside & good).any()
        assert (mask & outside & ~good).any()
    logprobs = v["logprobs"].requires_grad_()
    loss, _ = policy_loss(logprobs, v["old_logprobs"], v["advantages"], mask, clip_range)
    close(loss.detach(), expected_loss)
    close(torch.autograd.grad(loss, logprobs)[0], expected_gradient)


def check_value_loss(v, mask, clip_range, expected_loss, expected_gradient):
    moved = v["values"] - v["old_values"]
    assert (mask & (moved > clip_range)).any()
    assert (mask & (moved < -clip_range)).any()
    values = v["values"].requires_grad_()
    loss, _ = value_loss(values, v["old_values"], v["returns"], mask, clip_range)
    close(loss.detach(), expected_loss)
    close(torch.autograd.grad(loss, values)[0], expected_gradient)
