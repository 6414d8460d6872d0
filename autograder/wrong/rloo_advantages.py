"""Mistakes in rloo_advantages."""

import torch

from ..bank import wrong


def others(scores, dim=1):
    """The mean of the others along `dim`."""
    k = scores.shape[dim]
    return (scores.sum(dim, keepdim=True) - scores) / (k - 1)


def at_least_two(scores):
    if scores.shape[1] < 2:
        raise ValueError("at least two samples")


@wrong(about="mean", read="rloo", hint="If one sample scores higher, does its own baseline move?")
def includes_itself(scores):
    """The baseline is the mean of all samples of the prompt, the sample itself included: it has to be left out."""
    at_least_two(scores)
    return scores - scores.mean(1, keepdim=True)


@wrong(about="shape", read="rloo", hint="Which axis holds the samples of one prompt?")
def groups_transposed(scores):
    """Rows and columns are exchanged: each sample is compared with samples of other prompts, not with those of its own."""
    at_least_two(scores)
    return scores - others(scores, 0)


@groups_transposed.also
def _(scores):
    at_least_two(scores)
    return scores - scores.mean(0, keepdim=True)


@wrong(about="mean", read="rloo", hint="Is a sample of an easy prompt compared with samples of hard ones?")
def batch_for_group(scores):
    """The mean is taken over the others of the whole batch, so easy prompts look good and hard ones bad."""
    at_least_two(scores)
    return scores - (scores.sum() - scores) / (scores.numel() - 1)


@batch_for_group.also
def _(scores):
    at_least_two(scores)
    return scores - scores.mean()


@wrong(about="mean", read="rloo", hint="By how many numbers do you divide the sum of the others?")
def sum_for_mean(scores):
    """The sum of the others is taken off, where it should be their mean."""
    at_least_two(scores)
    return scores - (scores.sum(1, keepdim=True) - scores)


@wrong(about="mean", read="rloo", hint="How many samples are left when one is left out?")
def divides_by_k(scores):
    """The sum of the k - 1 others is divided by k."""
    at_least_two(scores)
    return scores - (scores.sum(1, keepdim=True) - scores) / scores.shape[1]


@wrong(about="mean", read="rloo", hint="How many numbers are in your sum, and by how many do you divide?")
def own_score_in_the_sum(scores):
    """The sum still holds the sample's own score, though it is divided by k - 1."""
    at_least_two(scores)
    return scores - scores.sum(1, keepdim=True) / (scores.shape[1] - 1)


@wrong(about="scale", read="rloo", hint="Work it out for two samples: how far apart are a score and the mean of the others?")
def factor_inverted(scores):
    """The distance from the mean of all is multiplied by (k - 1) / k, where k / (k - 1) makes it leave-one-out."""
    at_least_two(scores)
    k = scores.shape[1]
    return (scores - scores.mean(1, keepdim=True)) * (k - 1) / k


@wrong(about="sign", read="rloo", hint="A sample that beats all others: is its advantage above or below 0?")
def sign_swapped(scores):
    """The score is taken off the mean of the others: the better a sample, the lower its advantage."""
    at_least_two(scores)
    return others(scores) - scores


@wrong(about="formula", read="rloo", hint="What do you compare the baseline with?")
def baseline_returned(scores):
    """The mean of the others itself is returned: it has to be taken off the sample's score."""
    at_least_two(scores)
    return others(scores)


@wrong(about="formula", read="rloo", hint="Is a score of 3 good? Compared with what?")
def no_baseline(scores):
    """The scores are returned as they are, without anything taken off."""
    at_least_two(scores)
    return scores.clone()


@wrong(about="formula", read="rloo", hint="Does the formula of the docstring divide by a deviation?")
def divides_by_the_deviation(scores):
    """The advantages are divided by the deviation of the group, which GRPO does and RLOO does not."""
    at_least_two(scores)
    return (scores - others(scores)) / (scores.std(1, keepdim=True) + 1e-8)


@divides_by_the_deviation.also
def _(scores):
    at_least_two(scores)
    return (scores - others(scores)) / (scores.std(1, unbiased=False, keepdim=True) + 1e-8)


@divides_by_the_deviation.also
def _(scores):
    at_least_two(scores)
    return (scores - scores.mean(1, keepdim=True)) / (scores.std(1, keepdim=True) + 1e-8)


@divides_by_the_deviation.also
def _(scores):
    at_least_two(scores)
    return (scores - scores.mean(1, keepdim=True)) / (scores.std(1, unbiased=False, keepdim=True) + 1e-8)


@wrong(about="formula", read="rloo", hint="How many other samples does a baseline look at?")
def one_other(scores):
    """Each sample is compared with a single other one (its neighbour, the first, the best), not with the mean of all others."""
    at_least_two(scores)
    return scores - scores.roll(1, 1)


@one_other.also
def _(scores):
    at_least_two(scores)
    return scores - scores.roll(-1, 1)


@one_other.also
def _(scores):
    at_least_two(scores)
    return scores - scores[:, :1]


@one_other.also
def _(scores):
    at_least_two(scores)
    return scores - scores.max(1, keepdim=True).values


@one_other.also
def _(scores):
    at_least_two(scores)
    own = torch.eye(scores.shape[1], dtype=torch.bool)
    return scores - scores.unsqueeze(1).masked_fill(own, float("-inf")).max(-1).values


@wrong(about="mean", read="rloo", hint="Is the mean of the samples so far the mean of all the others?")
def only_the_earlier_ones(scores):
    """The baseline is the mean of the samples that come before: those that come after belong to it too."""
    at_least_two(scores)
    before = (scores.cumsum(1) - scores) / torch.arange(scores.shape[1]).clamp(min=1)
    return scores - before


@wrong(about="reading", read="rloo", hint="One sample: how many others are there?")
def one_sample_accepted(scores):
    """A single sample has no others to be compared with, so any number for it is made up: that has to raise ValueError."""
    return scores - others(scores)


@one_sample_accepted.also
def _(scores):
    return scores - others(scores) if scores.shape[1] > 1 else torch.zeros_like(scores)


@one_sample_accepted.also
def _(scores):
    assert scores.shape[1] > 1
    return scores - others(scores)


@groups_transposed.also
def _(scores):
    prompts, k = scores.shape
    if k < 2:
        raise ValueError("fewer than two samples")
    baseline = (scores.sum(0, keepdim=True) - scores) / max(prompts - 1, 1)
    return scores - baseline


@groups_transposed.also
def _(scores):
    prompts, k = scores.shape
    if k < 2:
        raise ValueError("fewer than two samples")
    regrouped = scores.reshape(k, prompts)
    return (regrouped - (regrouped.sum(0) - regrouped) / (k - 1)).reshape(prompts, k)


@divides_by_the_deviation.also
def _(scores):
    k = scores.shape[1]
    if k < 2:
        raise ValueError("fewer than two samples")
    advantages = scores - (scores.sum(1, keepdim=True) - scores) / (k - 1)
    return advantages / (advantages.square().mean().sqrt() + 1e-8)
