"""Lesson 4. The KL penalty: how far the policy has moved from the model it started as, and what that costs."""

from .exercise import exercise


@exercise
def kl_estimate(logprobs, ref_logprobs, estimator):
    """Per-token estimate of KL(policy || reference) from tokens that the policy itself sampled.

    With log r = ref_logprobs - logprobs, the log of reference over policy:

        k1 = -log r                    unbiased; a single one can be negative, and its spread is large
        k2 = (log r)^2 / 2             biased, never negative, small spread
        k3 = (r - 1) - log r           unbiased and never negative

    logprobs, ref_logprobs: (B, T), in nats.  estimator: "k1", "k2" or "k3".
    Returns (B, T).  k3 keeps a relative error below 2e-3 at |log r| = 1e-3 in float32, so it takes expm1.
    Raises ValueError for another name.  Source: Schulman 2020, "Approximating KL Divergence".
    """


@exercise
def kl_exact(logits, ref_logits):
    """Exact KL(policy || reference) of the next token, from both full distributions.

        KL = sum_v pi(v) (log pi(v) - log pi_ref(v))

    logits, ref_logits: (B, T, V).  Returns (B, T), in nats, finite at logits of 1e4.
    """


@exercise
def shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef):
    """Per-token rewards: the KL penalty on every token, the score of the whole text on the last one.

        r_t = -kl_coef * (log pi(a_t | s_t) - log pi_ref(a_t | s_t)) + [t is the last True token] * score

    The penalty is k1, sign kept: k1 may be negative on a token, and only the sum over tokens estimates the KL.

    scores: (B,).  logprobs, ref_logprobs: (B, T).  mask: bool (B, T).  kl_coef: float.
    Returns (B, T) without a gradient, 0 where the mask is False; the score of an empty response is dropped.
    Source: Ziegler et al. 2019 (arXiv 1909.08593), equation 2; Stiennon et al. 2020 (arXiv 2009.01325), section 3.4.
    """


@exercise
class AdaptiveKLController:
    """Moves the KL coefficient so that the measured KL stays near a target.

        error = clip(kl / target - 1, -0.2, 0.2)
        value <- value * (1 + error * n_steps / horizon)

    `value` is the coefficient now, a float.  kl: mean sequence KL of the last batch, in nats.  n_steps: sequences in it.
    horizon: how many sequences it takes to act on an error in full.
    Source: Ziegler et al. 2019 (arXiv 1909.08593), section 2.2.
    """

    def __init__(self, init_kl_coef, target, horizon): ...

    def update(self, kl, n_steps): ...
