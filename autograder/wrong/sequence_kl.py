"""Mistakes in sequence_kl."""

import math

import torch
import torch.nn.functional as F

from ..bank import wrong


def difference(logprobs, ref_logprobs, mask):
    """k1 on True tokens, 0 elsewhere."""
    return (logprobs - ref_logprobs).masked_fill(~mask, 0)


def last(mask):
    """True on the last True token of each row."""
    return mask & (mask.flip(-1).cumsum(-1).flip(-1) == 1)


@wrong(
    about="sign", read="sequence-kl", hint="May one sample of a quantity that is never negative on average be negative itself?"
)
def absolute_kl(logprobs, ref_logprobs, mask):
    """The sign is thrown away, but single samples of k1 may be negative, and only with those does the mean estimate the KL."""
    return difference(logprobs, ref_logprobs, mask).abs().sum(-1)


@absolute_kl.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).sum(-1).abs()


@absolute_kl.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).sum(-1).clamp(min=0)


@absolute_kl.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).clamp(min=0).sum(-1)


@wrong(
    about="mean", read="sequence-kl", hint="Two responses drift by the same amount a token: does the longer one not drift more?"
)
def per_token_kl(logprobs, ref_logprobs, mask):
    """The sum is divided by a number of tokens: the KL of a whole response grows with its length, and a mean hides that."""
    return difference(logprobs, ref_logprobs, mask).sum(-1) / mask.sum(-1).clamp(min=1)


@per_token_kl.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).sum(-1) / mask.sum(-1)


@per_token_kl.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).mean(-1)


@per_token_kl.also
def _(logprobs, ref_logprobs, mask):
    return (logprobs - ref_logprobs).mean(-1)


@wrong(about="mask", read="sequence-kl", hint="Who chose the tokens behind the end of a response?")
def ignores_the_mask(logprobs, ref_logprobs, mask):
    """The padding behind the response is summed too, though nobody sampled it."""
    return (logprobs - ref_logprobs).sum(-1)


@wrong(about="mask", read="sequence-kl", hint="What is left at a padded place when you mask only one of the two?")
def masks_only_one(logprobs, ref_logprobs, mask):
    """Only one of the two log-probabilities is masked, so the other one stays in the sum on the padding."""
    return (logprobs.masked_fill(~mask, 0) - ref_logprobs).sum(-1)


@masks_only_one.also
def _(logprobs, ref_logprobs, mask):
    return (logprobs - ref_logprobs.masked_fill(~mask, 0)).sum(-1)


@wrong(about="mask", read="sequence-kl", hint="On which tokens is the mask True?")
def mask_inverted(logprobs, ref_logprobs, mask):
    """The padding is summed and the response is left out: the mask is True on the tokens of the response."""
    return (logprobs - ref_logprobs).masked_fill(mask, 0).sum(-1)


@wrong(about="sign", read="sequence-kl", hint="KL(policy || reference): whose log-probability comes first?")
def reversed_sign(logprobs, ref_logprobs, mask):
    """The policy is subtracted from the reference, which is minus the KL that is asked for."""
    return -difference(logprobs, ref_logprobs, mask).sum(-1)


@wrong(about="formula", read="sequence-kl", hint="Which of the three estimators does the docstring name?")
def k3_for_k1(logprobs, ref_logprobs, mask):
    """The sum is over k3, where k1 is asked for: the difference of log-probabilities itself."""
    log_ratio = -difference(logprobs, ref_logprobs, mask)
    return (log_ratio.expm1() - log_ratio).sum(-1)


@wrong(about="formula", read="sequence-kl", hint="Which of the three estimators does the docstring name?")
def k2_for_k1(logprobs, ref_logprobs, mask):
    """The sum is over squared differences, where k1 is asked for: the difference of log-probabilities itself."""
    return difference(logprobs, ref_logprobs, mask).square().sum(-1) / 2


@k2_for_k1.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).square().sum(-1)


@wrong(
    about="formula",
    read="sequence-kl",
    hint="The tokens were sampled from the policy: are they not already as frequent as they are probable?",
)
def weighted_by_probability(logprobs, ref_logprobs, mask):
    """Each term is multiplied by the token's probability, which belongs to a sum over the vocabulary, not to sampled tokens."""
    return F.kl_div(ref_logprobs, logprobs, reduction="none", log_target=True).masked_fill(~mask, 0).sum(-1)


@wrong(about="formula", read="sequence-kl", hint="Is it the probabilities that are compared, or their logarithms?")
def probabilities(logprobs, ref_logprobs, mask):
    """Probabilities are subtracted, not log-probabilities, so the result is not in nats."""
    return (logprobs.exp() - ref_logprobs.exp()).masked_fill(~mask, 0).sum(-1)


@probabilities.also
def _(logprobs, ref_logprobs, mask):
    return (logprobs - ref_logprobs).exp().masked_fill(~mask, 0).sum(-1)


@wrong(about="scale", read="sequence-kl", hint="What is the unit of a KL when the logarithm is the natural one?")
def in_bits(logprobs, ref_logprobs, mask):
    """The sum is divided by log 2, so it is in bits, where nats are asked for."""
    return difference(logprobs, ref_logprobs, mask).sum(-1) / math.log(2)


@wrong(about="shape", read="sequence-kl", hint="How many numbers does a batch of B responses give?")
def mean_of_the_batch(logprobs, ref_logprobs, mask):
    """All responses are merged into one number, where one for each of them is asked for."""
    return difference(logprobs, ref_logprobs, mask).sum(-1).mean()


@mean_of_the_batch.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).sum()


@mean_of_the_batch.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).sum() / mask.sum().clamp(min=1)


@wrong(about="shape", read="sequence-kl", hint="Which dimension of (B, T) is time?")
def sums_over_the_batch(logprobs, ref_logprobs, mask):
    """The sum runs over the responses of the batch, where it has to run over the tokens of each response."""
    return difference(logprobs, ref_logprobs, mask).sum(0)


@wrong(about="shape", read="sequence-kl", hint="Is a response one number or T numbers here?")
def not_summed(logprobs, ref_logprobs, mask):
    """The terms of the single tokens are returned, without their sum over each response."""
    return difference(logprobs, ref_logprobs, mask)


@not_summed.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask).cumsum(-1)


@wrong(about="time", read="sequence-kl", hint="Did the policy not choose to end the response, too?")
def end_token_left_out(logprobs, ref_logprobs, mask):
    """The last True token is left out, though the policy chose it like any other."""
    return difference(logprobs, ref_logprobs, mask & ~last(mask)).sum(-1)


@wrong(about="time", read="sequence-kl", hint="Which tokens of a response were sampled: only one of them?")
def last_token_only(logprobs, ref_logprobs, mask):
    """Only the last token of each response counts, where all of them add up to the KL of the whole."""
    return difference(logprobs, ref_logprobs, last(mask)).sum(-1)


@last_token_only.also
def _(logprobs, ref_logprobs, mask):
    return difference(logprobs, ref_logprobs, mask)[:, -1]


@wrong(about="formula", read="sequence-kl", hint="Without the reference, what is the policy being compared with?")
def without_the_reference(logprobs, ref_logprobs, mask):
    """The reference does not appear: this is the log-probability of the response, not a distance between two policies."""
    return logprobs.masked_fill(~mask, 0).sum(-1)


@without_the_reference.also
def _(logprobs, ref_logprobs, mask):
    return -logprobs.masked_fill(~mask, 0).sum(-1)


@without_the_reference.also
def _(logprobs, ref_logprobs, mask):
    return torch.where(mask, -logprobs * logprobs.exp(), torch.zeros_like(logprobs)).sum(-1)
