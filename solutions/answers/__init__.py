"""The reference answers, one module per lesson, written to be read.

They call each other through `rlhf_core`, never directly: where a learner has written `policy_loss`, the reference `ppo_step`
uses it.
"""

from .advantages import compute_gae, explained_variance, masked_mean, masked_whiten
from .alternatives import dpo_loss, grpo_advantages, rloo_advantages
from .best_of_n import best_of_n, best_of_n_kl
from .evaluate import bootstrap_ci, sequence_kl, win_rate
from .kl import AdaptiveKLController, kl_estimate, kl_exact, shape_rewards
from .loop import rlhf_loop
from .policy import gather_logprobs, response_logprobs, response_mask, sample_response
from .ppo import masked_entropy, policy_loss, ppo_step, value_loss
from .preferences import bradley_terry_loss, last_token_index, pairwise_accuracy
from .rewards import RewardWrapper, length_bonus, normalize_scores, positive_logit

__all__ = [
    "AdaptiveKLController", "RewardWrapper", "best_of_n", "best_of_n_kl", "bootstrap_ci", "bradley_terry_loss", "compute_gae",
    "dpo_loss", "explained_variance", "gather_logprobs", "grpo_advantages", "kl_estimate", "kl_exact", "last_token_index",
    "length_bonus", "masked_entropy", "masked_mean", "masked_whiten", "normalize_scores", "pairwise_accuracy", "policy_loss",
    "positive_logit", "ppo_step", "response_logprobs", "response_mask", "rlhf_loop", "rloo_advantages", "sample_response",
    "sequence_kl", "shape_rewards", "value_loss", "win_rate",
]  # fmt: skip
