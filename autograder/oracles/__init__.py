"""Slow float64 truths, written from the formulas alone and apart from the answers: one module a lesson."""

from .advantages import compute_gae, explained_variance, masked_mean, masked_whiten
from .alternatives import dpo_loss, grpo_advantages, rloo_advantages
from .best_of_n import best_of_n, best_of_n_kl
from .evaluate import bootstrap_ci_normal, sequence_kl, win_rate
from .kl import adaptive_kl_values, kl_estimate, kl_exact, shape_rewards
from .policy import gather_logprobs, next_token_distribution, response_logprobs, response_mask
from .ppo import masked_entropy, policy_loss, ppo_step_parameters, value_loss
from .preferences import bradley_terry_loss, last_token_index, pairwise_accuracy
from .rewards import length_bonus, normalize_scores, positive_logit, reward_scores

__all__ = [
    "adaptive_kl_values",
    "best_of_n",
    "best_of_n_kl",
    "bootstrap_ci_normal",
    "bradley_terry_loss",
    "compute_gae",
    "dpo_loss",
    "explained_variance",
    "gather_logprobs",
    "grpo_advantages",
    "kl_estimate",
    "kl_exact",
    "last_token_index",
    "length_bonus",
    "masked_entropy",
    "masked_mean",
    "masked_whiten",
    "next_token_distribution",
    "normalize_scores",
    "pairwise_accuracy",
    "policy_loss",
    "positive_logit",
    "ppo_step_parameters",
    "response_logprobs",
    "response_mask",
    "reward_scores",
    "rloo_advantages",
    "sequence_kl",
    "shape_rewards",
    "value_loss",
    "win_rate",
]
