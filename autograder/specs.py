"""What of an exercise's result is judged: the names of the results, and the conventions that the syllabus states for them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    results: tuple[str, ...]  # the names of what comes back; a last "stats" is a dict of finite floats
    gradient: tuple[str, ...] = ()  # arguments whose gradient is compared with the oracle's
    constant: tuple[str, ...] = ()  # arguments that have to get none
    never_requires_grad: bool = False
    dtype: str = "input"  # or "float32", "int64", "bool"
    plain_number: bool = False  # a Python number will do for a scalar
    either_variance: bool = False  # the oracle takes `unbiased`, and both are right
    where: str | None = None  # compared only where this argument is True


SPECS = {
    "gather_logprobs": Spec(("log-probabilities",), gradient=("logits",)),
    "response_logprobs": Spec(("log-probabilities",)),
    "response_mask": Spec(("mask",), dtype="bool"),
    "sample_response": Spec(("tokens", "logprobs", "mask")),
    "positive_logit": Spec(("logits",)),
    "RewardWrapper": Spec(("scores",), dtype="float32"),
    "length_bonus": Spec(("bonus",), dtype="float32"),
    "normalize_scores": Spec(("scores",), either_variance=True),
    "last_token_index": Spec(("index",), dtype="int64"),
    "bradley_terry_loss": Spec(("loss",), gradient=("chosen", "rejected")),
    "pairwise_accuracy": Spec(("accuracy",), plain_number=True),
    "kl_estimate": Spec(("estimate",), gradient=("logprobs",)),
    "kl_exact": Spec(("KL",), gradient=("logits",)),
    "shape_rewards": Spec(("rewards",), never_requires_grad=True),
    "AdaptiveKLController": Spec(("value",)),
    "masked_mean": Spec(("mean",), gradient=("x",)),
    "masked_whiten": Spec(("whitened",), either_variance=True),
    "compute_gae": Spec(("advantages", "returns"), never_requires_grad=True),
    "explained_variance": Spec(("explained variance",)),
    "policy_loss": Spec(("loss", "stats"), gradient=("logprobs",), constant=("old_logprobs", "advantages")),
    "value_loss": Spec(("loss", "stats"), gradient=("values",), constant=("old_values", "returns")),
    "masked_entropy": Spec(("entropy",), gradient=("logits",)),
    "ppo_step": Spec(("stats",)),
    "rlhf_loop": Spec(("history",)),
    "bootstrap_ci": Spec(("low", "high"), plain_number=True),
    "win_rate": Spec(("win rate",), plain_number=True),
    "sequence_kl": Spec(("KL",)),
    "best_of_n": Spec(("index",), dtype="int64"),
    "best_of_n_kl": Spec(("KL",), plain_number=True),
    "rloo_advantages": Spec(("advantages",)),
    "grpo_advantages": Spec(("advantages",), either_variance=True),
    "dpo_loss": Spec(("loss", "stats"), gradient=("policy_chosen", "policy_rejected"), constant=("ref_chosen", "ref_rejected")),
}
