"""Lesson 5. Values and advantages: how much better was this token than what the policy could expect?"""

from .exercise import exercise


@exercise
def masked_mean(x, mask, dim=None):
    """Mean of x over the True places of mask.

    x: any shape.  mask: bool, the same shape.  dim: None for one mean over all, or the dimension to reduce.
    Returns a scalar, or the shape of x without that dimension.  The mean over no True place is 0, with a zero gradient.
    The gradient flows to x.
    """


@exercise
def masked_whiten(x, mask, shift_mean=True, eps=1e-8):
    """x scaled to variance 1 over the True places, and shifted to mean 0 unless shift_mean is False.

        y = (x - mean) * rsqrt(var + eps)        eps inside the root; + mean when shift_mean is False

    x: (B, T).  mask: bool (B, T).  Returns (B, T), 0 where the mask is False.  A single True token gives 0 (or the mean).
    """


@exercise
def compute_gae(rewards, values, mask, gamma, lam):
    """Generalised advantage estimation, and the returns that the value head is trained towards.

        delta_t = r_t + gamma V_{t+1} - V_t
        A_t     = delta_t + gamma lam A_{t+1}        both with V and A = 0 after the last True token
        R_t     = A_t + V_t

    lam = 0 trusts the value head (one-step error), lam = 1 trusts the rewards (the whole rest of the episode).

    rewards, values: (B, T); values[:, t] is the value of the state before token t.  mask: bool (B, T).  gamma, lam: in 0..1.
    Returns (advantages, returns), each (B, T), without a gradient, 0 where the mask is False.  Not whitened.
    Source: Schulman et al. 2016 (arXiv 1506.02438), equations 11 to 16.
    """


@exercise
def explained_variance(values, returns, mask):
    """How much of what the returns do the values foresee: a number that tells whether the value head is any good.

        1 - Var(returns - values) / Var(returns)        both over the True tokens of the batch

    1 for perfect values, also when all are off by the same amount; 0 for values that are all the same; negative for values that
    are worse than that.  Where Var(returns) is 0 (no True token, a single one, or equal returns) the result is 0, whatever the
    values are.  The biased and the unbiased variance give the same ratio.

    values, returns: (B, T).  mask: bool (B, T).  Returns a scalar tensor, dtype of the inputs.
    Source: a diagnostic of the PPO in OpenAI Baselines (explained_variance) and in CleanRL (explained_var).
    """
