"""Lesson 9. Beyond PPO: the same goal without a value head (RLOO, GRPO), and without sampling (DPO)."""

from .exercise import exercise


@exercise
def rloo_advantages(scores):
    """REINFORCE leave-one-out: each sample against the mean of the other samples of its prompt.

        A_i = r_i - 1/(k - 1) * sum over j != i of r_j

    scores: (prompts, samples).  Returns the same shape.  Raises ValueError for fewer than two samples.
    Source: Ahmadian et al. 2024 (arXiv 2402.14740), equation 8; Kool et al. 2019.
    """


@exercise
def grpo_advantages(scores, scale=True, eps=1e-4):
    """Group-relative advantages: each sample against the mean of its prompt's samples, in units of their deviation.

        A_i = (r_i - mean) / (std + eps)         without the division when scale is False

    scores: (prompts, samples).  Returns the same shape; a prompt with one sample, or with equal ones, gives 0.
    Source: Shao et al. 2024 (arXiv 2402.03300), section 4.1; without the scale: Liu et al. 2025 (arXiv 2503.20783).
    """


@exercise
def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Direct preference optimisation: the policy is its own reward model.

        margin = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
        loss   = -mean log sigmoid(beta * margin)

    All four: summed response log-probabilities (B,), in nats.  beta: float, the strength of the KL constraint.
    Returns (loss, stats): a scalar, mean over pairs, finite at margins of 1e4, with a gradient to the policy's two and nothing
    else; and floats for the plots: `accuracy`, `reward_margin` (beta * mean margin).
    Source: Rafailov et al. 2023 (arXiv 2305.18290), equation 7.
    """
