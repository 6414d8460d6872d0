"""Valid variants of kl_estimate."""

import torch

from ..bank import right


@right
def by_the_difference(logprobs, ref_logprobs, estimator):
    """Written with the difference policy minus reference; the reference is detached."""
    difference = logprobs - ref_logprobs.detach()
    formulas = {"k1": lambda d: d, "k2": lambda d: 0.5 * d**2, "k3": lambda d: torch.expm1(-d) + d}
    if estimator not in formulas:
        raise ValueError(f"unknown estimator {estimator}")
    return formulas[estimator](difference)


@right
def in_float64(logprobs, ref_logprobs, estimator):
    """The textbook formula, computed in float64, where the digits suffice."""
    log_r = ref_logprobs.double() - logprobs.double()
    match estimator:
        case "k1":
            result = -log_r
        case "k2":
            result = log_r * log_r / 2
        case "k3":
            result = (log_r.exp() - 1) - log_r
        case _:
            raise ValueError(estimator)
    return result.to(logprobs.dtype)


@right
def series_near_zero(logprobs, ref_logprobs, estimator):
    """k3 by the first terms of its series where the ratio is near 1, by the formula elsewhere."""
    x = ref_logprobs - logprobs
    if estimator == "k1":
        return logprobs - ref_logprobs
    if estimator == "k2":
        return x.pow(2).mul(0.5)
    if estimator == "k3":
        series = x * x * (0.5 + x * (1 / 6 + x * (1 / 24 + x / 120)))
        return torch.where(x.abs() < 0.05, series, x.exp() - 1 - x)
    raise ValueError("k1, k2 or k3")


@right
def with_the_logarithm_of_the_rounded_ratio(logprobs, ref_logprobs, estimator):
    """k3 takes the logarithm of the ratio that was rounded, so the rounding cancels as well."""
    if estimator not in ("k1", "k2", "k3"):
        raise ValueError("k1, k2 or k3")
    ratio = torch.exp(ref_logprobs - logprobs)
    if estimator == "k3":
        return (ratio - 1) - torch.log(ratio)
    return logprobs - ref_logprobs if estimator == "k1" else (ref_logprobs - logprobs).square() / 2


@right
def token_by_token(logprobs, ref_logprobs, estimator):
    """Two loops over single tokens, and an error of a kind of ValueError."""
    if estimator not in ("k1", "k2", "k3"):
        raise UnicodeError("unknown")  # a ValueError by inheritance

    def one(p, q):
        return {"k1": p - q, "k2": (p - q) ** 2 / 2, "k3": torch.special.expm1(q - p) + (p - q)}[estimator]

    rows = zip(logprobs, ref_logprobs, strict=True)
    return torch.stack([torch.stack([one(p, q) for p, q in zip(*row, strict=True)]) for row in rows])
