"""Lesson 7. An honest evaluation: held-out prompts, the same plain decoding before and after, intervals, the KL beside it."""

from .exercise import exercise


@exercise
def bootstrap_ci(x, level=0.95, n_resamples=2000, generator=None):
    """Percentile bootstrap interval of the mean.

    Draw len(x) values with replacement, take their mean, n_resamples times; the interval is between the (1 - level) / 2 and
    (1 + level) / 2 quantiles of those means.

    x: (N,).  level: between 0 and 1.  generator: source of the randomness, or None.  Returns (low, high), two floats.
    Source: Efron 1979.
    """


@exercise
def win_rate(after, before):
    """Share of pairs in which `after` is larger; a tie is half.

    after, before: (N,), paired: the same prompt at the same index.  Returns a scalar between 0 and 1.
    """


@exercise
def sequence_kl(logprobs, ref_logprobs, mask):
    """Estimate of KL(policy || reference) over whole responses: the sum of k1 over True tokens, sign kept.

    It grows with the length of the response; a per-token mean would hide that.

    logprobs, ref_logprobs: (B, T).  mask: bool (B, T).  Returns (B,), in nats; a single one may be negative.
    """
