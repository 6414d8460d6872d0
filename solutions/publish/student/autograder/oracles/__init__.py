"""What is right, in this edition: not worked out, but looked up in what was recorded when it was published."""

from rlhf_core.course import exercise_names

from ..recorded import oracle

OTHERS = ("adaptive_kl_values", "bootstrap_ci_normal", "next_token_distribution", "ppo_step_parameters", "reward_scores")


def __getattr__(name):
    if name not in exercise_names() and name not in OTHERS:
        raise AttributeError(name)
    return oracle(name)
