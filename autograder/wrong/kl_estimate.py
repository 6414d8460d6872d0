"""Mistakes in kl_estimate."""

import torch

from ..bank import WrongAnswer, wrong

NAMES = ("k1", "k2", "k3")


class Draft:
    by_exp = False


def less_one(x):
    """exp(x) - 1: well, or by cancellation."""
    return x.exp() - 1 if Draft.by_exp else x.expm1()


def estimate(log_r, estimator, k1=None, k2=None, k3=None):
    """The right estimates, with one or the other formula replaced."""
    if estimator == "k1":
        return (k1 or (lambda x: -x))(log_r)
    if estimator == "k2":
        return (k2 or (lambda x: x.square() / 2))(log_r)
    if estimator == "k3":
        return (k3 or (lambda x: less_one(x) - x))(log_r)
    raise ValueError(estimator)


@wrong(about="sign", read="direction", hint="Whose samples are these, and whose KL to whom is estimated?")
def reversed_direction(logprobs, ref_logprobs, estimator):
    """The log-ratio is policy over reference where reference over policy belongs: k1 has the wrong sign, k3 another ratio."""
    return estimate(logprobs - ref_logprobs, estimator)


@wrong(
    about="sign",
    read="direction",
    hint="A token that the policy makes more likely than the reference: what is the sign of its k1?",
)
def k1_sign(logprobs, ref_logprobs, estimator):
    """k1 is minus log r, the policy's log-probability minus the reference's; this is log r."""
    return estimate(ref_logprobs - logprobs, estimator, k1=lambda x: x)


@wrong(
    about="sign", read="estimators", hint="The mean of k1 is the KL: what happens to it when every negative one turns positive?"
)
def k1_absolute(logprobs, ref_logprobs, estimator):
    """k1 is made positive, but only with its sign is its mean the KL: single tokens may be negative."""
    return estimate(ref_logprobs - logprobs, estimator, k1=torch.abs)


@wrong(about="sign", read="estimators", hint="The mean of k1 is the KL: what happens to it when the negative ones are cut off?")
def k1_cut_off_at_zero(logprobs, ref_logprobs, estimator):
    """Negative k1 are set to 0, but only with them is its mean the KL."""
    return estimate(ref_logprobs - logprobs, estimator, k1=lambda x: (-x).clamp(min=0))


@wrong(about="scale", read="estimators", hint="By what does the docstring divide the square?")
def k2_without_half(logprobs, ref_logprobs, estimator):
    """k2 is half of the squared log-ratio; the half is missing."""
    return estimate(ref_logprobs - logprobs, estimator, k2=torch.square)


@wrong(about="formula", read="estimators", hint="What is squared in k2?")
def k2_not_squared(logprobs, ref_logprobs, estimator):
    """k2 halves the log-ratio, or its size, without squaring it."""
    return estimate(ref_logprobs - logprobs, estimator, k2=lambda x: x.abs() / 2)


@k2_not_squared.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k2=lambda x: x / 2)


@k2_not_squared.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k2=lambda x: -x / 2)


@k2_not_squared.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k2=torch.abs)


@wrong(about="formula", read="estimators", hint="Is it r or log r that k2 squares?")
def k2_of_the_ratio(logprobs, ref_logprobs, estimator):
    """k2 squares the ratio, or the ratio minus 1, where the docstring squares its logarithm."""
    return estimate(ref_logprobs - logprobs, estimator, k2=lambda x: x.exp().square() / 2)


@k2_of_the_ratio.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k2=lambda x: x.expm1().square() / 2)


@k2_of_the_ratio.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(
        logprobs - ref_logprobs, estimator, lambda x: x, lambda x: x.expm1().square() / 2, lambda x: less_one(-x) + x
    )


@k2_of_the_ratio.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k2=lambda x: (2 * x).exp())


@wrong(about="formula", read="estimators", hint="Do your k2 and k3 differ anywhere?")
def k3_is_k2(logprobs, ref_logprobs, estimator):
    """k3 returns k2, half of the squared log-ratio: near zero they agree, far from it k2 is biased."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.square() / 2)


@k3_is_k2.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=torch.square)


@wrong(about="formula", read="estimators", hint="Do your k1 and k3 differ anywhere?")
def k3_is_k1(logprobs, ref_logprobs, estimator):
    """k3 returns k1: the term (r - 1), which makes it positive and takes away most of its spread, is missing."""
    return estimate(ref_logprobs - logprobs, estimator, k3=torch.neg)


@wrong(about="sign", read="direction", hint="Which probability stands on top in the r of the docstring?")
def k3_ratio_inverted(logprobs, ref_logprobs, estimator):
    """The r of k3 is policy over reference; it has to be reference over policy, as the tokens are the policy's."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: less_one(-x) + x)


@k3_ratio_inverted.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: less_one(-x) - x)


@wrong(about="sign", read="direction", hint="Take the mean of your k3 under the policy: which KL comes out?")
def k3_of_the_other_direction(logprobs, ref_logprobs, estimator):
    """r log r - (r - 1) has KL(reference || policy) as its mean; for KL(policy || reference) it is (r - 1) - log r."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.exp() * x - less_one(x))


@k3_of_the_other_direction.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (-x).exp() * -x - less_one(-x))


@wrong(
    about="numerics",
    read="near-zero",
    hint="How many digits has exp(0.001) left in float32 after 1 is taken away, and which function does both at once?",
)
def k3_by_cancellation(logprobs, ref_logprobs, estimator):
    """exp(log r) - 1 - log r loses its digits near zero, where almost equal numbers are subtracted."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.exp() - 1 - x)


@k3_by_cancellation.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (x.exp() - 1 - x).clamp(min=0))


@wrong(about="numerics", read="near-zero", hint="Is your formula also right where policy and reference differ by 3 nats?")
def k3_as_a_short_series(logprobs, ref_logprobs, estimator):
    """k3 is replaced by the first terms of its series, which are right near zero only."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x**2 / 2 + x**3 / 6)


@k3_as_a_short_series.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x**2 / 2 + x**3 / 6 + x**4 / 24)


@wrong(about="formula", read="estimators", hint="What should k3 be when policy and reference agree?")
def k3_without_minus_one(logprobs, ref_logprobs, estimator):
    """k3 is (r - 1) - log r: without the minus one it is 1 where policy and reference agree."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.exp() - x)


@wrong(about="formula", read="estimators", hint="Which of the two terms of k3 carries the KL, and which only has mean 0?")
def k3_without_the_logarithm(logprobs, ref_logprobs, estimator):
    """k3 is r - 1 alone: its mean is 0 whatever the KL, as log r is missing."""
    return estimate(ref_logprobs - logprobs, estimator, k3=torch.expm1)


@k3_without_the_logarithm.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (-x).expm1())


@wrong(about="sign", read="estimators", hint="k3 is never negative: is yours?")
def k3_signs(logprobs, ref_logprobs, estimator):
    """A sign in (r - 1) - log r is wrong: the logarithm is added, or the whole negated."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.expm1() + x)


@k3_signs.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x - x.expm1())


@k3_signs.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: 1 - x.exp() - x)


@k3_signs.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.exp() + 1 - x)


@wrong(about="formula", read="estimators", hint="r is a ratio of probabilities: how do you get it from log-probabilities?")
def k3_log_ratio_for_ratio(logprobs, ref_logprobs, estimator):
    """The exponential is forgotten: the log-ratio stands where the r of k3 belongs."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (x - 1) - x)


@k3_log_ratio_for_ratio.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (x - 1) - x.log())


@k3_log_ratio_for_ratio.also
def _(logprobs, ref_logprobs, estimator):
    ratio = ref_logprobs / logprobs
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (ratio - 1) - ratio.log())


@k3_log_ratio_for_ratio.also
def _(logprobs, ref_logprobs, estimator):
    ratio = ref_logprobs / logprobs
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: (ratio - 1) - x)


@wrong(
    about="formula",
    read="estimators",
    hint="The logarithm of a quotient is a difference of logarithms: which of them do you have already?",
)
def logarithm_taken_twice(logprobs, ref_logprobs, estimator):
    """The inputs are divided and the logarithm taken, as if they were probabilities: they are logarithms already."""
    return estimate((ref_logprobs / logprobs).log(), estimator)


@logarithm_taken_twice.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs.log() - logprobs.log(), estimator)


@wrong(about="sampling", read="estimators", hint="The tokens were drawn from the policy: what has weighted them already?")
def weighted_by_the_probability(logprobs, ref_logprobs, estimator):
    """Each token is weighted by its probability once more, though drawing it from the policy has done that already."""
    return logprobs.exp() * estimate(ref_logprobs - logprobs, estimator)


@weighted_by_the_probability.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k1=lambda x: -logprobs.exp() * x)


@weighted_by_the_probability.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k1=lambda x: ref_logprobs.exp() * x)


@weighted_by_the_probability.also
def _(logprobs, ref_logprobs, estimator):
    return torch.exp(logprobs.detach()) * estimate(ref_logprobs - logprobs, estimator)


@wrong(about="formula", read="estimators", hint="In which unit is a difference of probabilities?")
def probabilities_for_logarithms(logprobs, ref_logprobs, estimator):
    """Probabilities, or their ratio, are compared where the estimators compare logarithms."""
    return estimate(ref_logprobs.exp() - logprobs.exp(), estimator)


@probabilities_for_logarithms.also
def _(logprobs, ref_logprobs, estimator):
    return estimate((ref_logprobs - logprobs).exp(), estimator)


@probabilities_for_logarithms.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k1=lambda x: (-x).exp())


@wrong(about="shape", read="estimators", hint="What shape does the docstring promise?")
def averaged(logprobs, ref_logprobs, estimator):
    """The mean or the sum is returned; the estimate of each token is asked for."""
    return estimate(ref_logprobs - logprobs, estimator).mean()


@averaged.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator).sum(-1)


@averaged.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator).mean(-1)


@averaged.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator).sum()


@wrong(about="gradient", read="estimators", hint="Can the policy be moved by a penalty that is cut off from it?")
def detached(logprobs, ref_logprobs, estimator):
    """The estimate is cut off from logprobs (detach, no_grad), so a penalty made of it cannot move the policy."""
    return estimate(ref_logprobs - logprobs.detach(), estimator)


@wrong(about="gradient", read="estimators", hint="Through which of the two terms of k3 does the policy's gradient flow?")
def k3_partly_detached(logprobs, ref_logprobs, estimator):
    """One of the two terms of k3 is detached, so the value is right and the gradient is not k3's."""
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.detach().expm1() - x)


@k3_partly_detached.also
def _(logprobs, ref_logprobs, estimator):
    return estimate(ref_logprobs - logprobs, estimator, k3=lambda x: x.expm1() - x.detach())


@wrong(about="formula", read="estimators", hint="What happens when someone writes `k4`?")
def any_name_accepted(logprobs, ref_logprobs, estimator):
    """A name that is none of the three falls through to some estimate or to None, where a ValueError is asked for."""
    return estimate(ref_logprobs - logprobs, estimator if estimator in NAMES else "k3")


@wrong(about="formula", read="estimators", hint="Which kind of error does the docstring promise for another name?")
def another_error(logprobs, ref_logprobs, estimator):
    """Another name raises an error, but not a ValueError, which is what the docstring promises and callers catch."""
    return {name: estimate(ref_logprobs - logprobs, name) for name in NAMES}[estimator]


@another_error.also
def _(logprobs, ref_logprobs, estimator):
    assert estimator in NAMES
    return estimate(ref_logprobs - logprobs, estimator)


@another_error.also
def _(logprobs, ref_logprobs, estimator):
    if estimator in NAMES:
        result = estimate(ref_logprobs - logprobs, estimator)
    return result


@another_error.also
def _(logprobs, ref_logprobs, estimator):
    if estimator not in NAMES:
        raise NotImplementedError(estimator)
    return estimate(ref_logprobs - logprobs, estimator)


@another_error.also
def _(logprobs, ref_logprobs, estimator):
    if estimator not in NAMES:
        raise TypeError(estimator)
    return estimate(ref_logprobs - logprobs, estimator)


@another_error.also
def _(logprobs, ref_logprobs, estimator):
    if estimator not in NAMES:
        raise Exception(estimator)
    return estimate(ref_logprobs - logprobs, estimator)


# The same mistakes in a first draft, which makes others beside them.


def by_exp(form):
    """expm1 is not used."""

    def without_expm1(logprobs, ref_logprobs, estimator):
        Draft.by_exp = True
        try:
            return form(logprobs, ref_logprobs, estimator)
        finally:
            Draft.by_exp = False

    return without_expm1


def accepting(form):
    """Any name goes: the formula of k3 stands behind an `else`."""

    def without_an_error(logprobs, ref_logprobs, estimator):
        return form(logprobs, ref_logprobs, estimator if estimator in NAMES else "k3")

    return without_an_error


def add_first_drafts():
    before_expm1 = [
        reversed_direction,
        k3_of_the_other_direction,
        k3_ratio_inverted,
        k1_sign,
        k1_absolute,
        k1_cut_off_at_zero,
        k2_without_half,
    ]
    for mistake in [*before_expm1, k2_not_squared, weighted_by_the_probability, detached]:
        for form in list(mistake.forms):
            mistake.also(by_exp(form))
    for name, mistake in list(globals().items()):
        if isinstance(mistake, WrongAnswer) and name not in ("_", "any_name_accepted", "another_error"):
            for form in list(mistake.forms):
                mistake.also(accepting(form))


add_first_drafts()
