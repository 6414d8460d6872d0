"""Mistakes in grpo_advantages: each with the biased and the unbiased deviation, as both are right."""

import torch

from ..bank import wrong


def centred(scores):
    return scores - scores.mean(1, keepdim=True)


def variance(scores, unbiased=False, dim=1):
    """The right variance along a dimension, or of everything; of a single score 0."""
    squares = (scores - scores.mean(dim, keepdim=True)).square()
    count = squares.numel() if dim is None else squares.shape[dim]
    return squares.sum(dim, keepdim=True) / max(count - int(unbiased), 1)


def deviation(scores, unbiased=False, dim=1):
    return variance(scores, unbiased, dim).sqrt()


def right(scores, scale, eps, unbiased=False):
    return centred(scores) / (deviation(scores, unbiased) + eps) if scale else centred(scores)


@wrong(about="shape", read="grpo", hint="Which axis holds the samples of one prompt?")
def groups_transposed(scores, scale=True, eps=1e-4):
    """Rows and columns are exchanged: each sample is compared with samples of other prompts, not with those of its own."""
    return right(scores.T, scale, eps).T


@groups_transposed.also
def _(scores, scale=True, eps=1e-4):
    return right(scores.T, scale, eps, unbiased=True).T


@wrong(about="mean", read="grpo", hint="Is a sample of an easy prompt compared with samples of hard ones?")
def batch_for_group(scores, scale=True, eps=1e-4):
    """Mean and deviation are those of the whole batch: each prompt should have its own."""
    result = scores - scores.mean()
    return result / (deviation(scores, dim=None) + eps) if scale else result


@batch_for_group.also
def _(scores, scale=True, eps=1e-4):
    result = scores - scores.mean()
    return result / (deviation(scores, True, dim=None) + eps) if scale else result


@wrong(about="mean", read="grpo", hint="The mean is that of the prompt. And the deviation?")
def deviation_of_the_batch(scores, scale=True, eps=1e-4):
    """The mean is that of the prompt, but the deviation is taken over the whole batch."""
    return centred(scores) / (deviation(scores, dim=None) + eps) if scale else centred(scores)


@deviation_of_the_batch.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (deviation(scores, True, dim=None) + eps) if scale else centred(scores)


@deviation_of_the_batch.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (deviation(centred(scores), dim=None) + eps) if scale else centred(scores)


@deviation_of_the_batch.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (deviation(centred(scores), True, dim=None) + eps) if scale else centred(scores)


@wrong(about="mean", read="grpo", hint="The deviation is that of the prompt. And the mean?")
def mean_of_the_batch(scores, scale=True, eps=1e-4):
    """The deviation is that of the prompt, but the mean is taken over the whole batch."""
    result = scores - scores.mean()
    return result / (deviation(scores) + eps) if scale else result


@mean_of_the_batch.also
def _(scores, scale=True, eps=1e-4):
    result = scores - scores.mean()
    return result / (deviation(scores, True) + eps) if scale else result


@wrong(about="scale", read="grpo", hint="Multiply all scores by 10: do your advantages change?")
def variance_for_deviation(scores, scale=True, eps=1e-4):
    """The distances are divided by the variance, where they should be divided by its root."""
    return centred(scores) / (variance(scores) + eps) if scale else centred(scores)


@variance_for_deviation.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (variance(scores, True) + eps) if scale else centred(scores)


@wrong(about="scale", read="grpo", hint="Multiply all scores by 10: do your advantages change?")
def multiplies_by_the_deviation(scores, scale=True, eps=1e-4):
    """The distances are multiplied by the deviation, where they should be divided by it."""
    return centred(scores) * (deviation(scores) + eps) if scale else centred(scores)


@multiplies_by_the_deviation.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) * (deviation(scores, True) + eps) if scale else centred(scores)


@wrong(about="scale", read="grpo", hint="Is the distance from the lowest to the highest score a standard deviation?")
def another_deviation(scores, scale=True, eps=1e-4):
    """What is divided by is not the standard deviation but another measure of spread (range, or mean absolute distance)."""
    spread = scores.max(1, keepdim=True).values - scores.min(1, keepdim=True).values
    return centred(scores) / (spread + eps) if scale else centred(scores)


@another_deviation.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (centred(scores).abs().mean(1, keepdim=True) + eps) if scale else centred(scores)


@another_deviation.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (centred(scores).square().sum(1, keepdim=True).sqrt() + eps) if scale else centred(scores)


@wrong(about="formula", read="grpo", hint="Add 100 to every score: does the deviation that you compute change?")
def deviation_without_the_mean(scores, scale=True, eps=1e-4):
    """The root of the mean square is taken for the deviation: the mean has to be taken off before squaring."""
    return centred(scores) / (scores.square().mean(1, keepdim=True).sqrt() + eps) if scale else centred(scores)


@wrong(about="formula", read="grpo", hint="Add 100 to every score: do your advantages change?")
def mean_not_taken_off(scores, scale=True, eps=1e-4):
    """The scores are divided by the deviation, but the mean is never taken off."""
    return scores / (deviation(scores) + eps) if scale else scores.clone()


@mean_not_taken_off.also
def _(scores, scale=True, eps=1e-4):
    return scores / (deviation(scores, True) + eps) if scale else scores.clone()


@mean_not_taken_off.also
def _(scores, scale=True, eps=1e-4):
    return scores / (deviation(scores) + eps) if scale else centred(scores)


@mean_not_taken_off.also
def _(scores, scale=True, eps=1e-4):
    return scores / (deviation(scores, True) + eps) if scale else centred(scores)


@wrong(about="formula", read="grpo", hint="What does scale=False leave out: the division, or the mean as well?")
def unscaled_not_centred(scores, scale=True, eps=1e-4):
    """With scale=False the scores come back as they are: only the division falls away, the mean is still taken off."""
    return right(scores, True, eps) if scale else scores.clone()


@unscaled_not_centred.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, True, eps, unbiased=True) if scale else scores.clone()


@wrong(about="sign", read="grpo", hint="The best sample of a prompt: is its advantage above or below 0?")
def sign_swapped(scores, scale=True, eps=1e-4):
    """The score is taken off the mean: the better a sample, the lower its advantage."""
    return -right(scores, scale, eps)


@sign_swapped.also
def _(scores, scale=True, eps=1e-4):
    return -right(scores, scale, eps, unbiased=True)


@wrong(about="mean", read="grpo", hint="Does the formula leave the sample itself out of the mean?")
def leaves_itself_out(scores, scale=True, eps=1e-4):
    """The mean is that of the other samples, which is RLOO: here the sample itself counts too."""
    return left_out(scores, scale, eps)


def left_out(scores, scale, eps, unbiased=False):
    k = scores.shape[1]
    result = centred(scores) * k / max(k - 1, 1)
    return result / (deviation(scores, unbiased) + eps) if scale else result


@leaves_itself_out.also
def _(scores, scale=True, eps=1e-4):
    return left_out(scores, scale, eps, unbiased=True)


@wrong(about="formula", read="grpo", hint="Where in your code does scale appear?")
def scale_ignored(scores, scale=True, eps=1e-4):
    """The division by the deviation happens whatever scale says."""
    return right(scores, True, eps)


@scale_ignored.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, True, eps, unbiased=True)


@wrong(about="formula", read="grpo", hint="Multiply all scores by 10: should the advantages change when scale is True?")
def never_scaled(scores, scale=True, eps=1e-4):
    """The mean is taken off, but nothing is ever divided by the deviation."""
    return centred(scores)


@wrong(about="sign", read="grpo", hint="For which value of scale is there a division?")
def scale_inverted(scores, scale=True, eps=1e-4):
    """The division happens when scale is False and not when it is True."""
    return right(scores, not scale, eps)


@scale_inverted.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, not scale, eps, unbiased=True)


@wrong(about="numerics", read="grpo", hint="Where does the docstring put eps: under the root, or beside it?")
def eps_inside_the_root(scores, scale=True, eps=1e-4):
    """eps is added to the variance, inside the root: the formula adds it to the deviation."""
    return centred(scores) / (variance(scores) + eps).sqrt() if scale else centred(scores)


@eps_inside_the_root.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / (variance(scores, True) + eps).sqrt() if scale else centred(scores)


@wrong(about="numerics", read="grpo", hint="Is eps added, or only taken where the deviation is smaller?")
def eps_as_a_floor(scores, scale=True, eps=1e-4):
    """eps is a lower bound of the deviation here: the formula adds it."""
    return centred(scores) / deviation(scores).clamp(min=eps) if scale else centred(scores)


@eps_as_a_floor.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / deviation(scores, True).clamp(min=eps) if scale else centred(scores)


@wrong(about="numerics", read="grpo", hint="Where in your code does eps appear?")
def eps_ignored(scores, scale=True, eps=1e-4):
    """The eps that is passed is not used: with another one the result has to change."""
    return right(scores, scale, 1e-4)


@eps_ignored.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, scale, 1e-4, unbiased=True)


@eps_ignored.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, scale, 1e-8)


@eps_ignored.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, scale, 1e-8, unbiased=True)


@wrong(about="numerics", read="grpo", hint="All samples of a prompt score the same: what do you divide by?")
def zero_variance_gives_nan(scores, scale=True, eps=1e-4):
    """Without eps, equal scores divide 0 by 0, which is NaN and not 0."""
    return right(scores, scale, 0.0)


@zero_variance_gives_nan.also
def _(scores, scale=True, eps=1e-4):
    return right(scores, scale, 0.0, unbiased=True)


@zero_variance_gives_nan.also
def _(scores, scale=True, eps=1e-4):
    return centred(scores) / scores.std(1, keepdim=True) if scale else centred(scores)


@wrong(about="numerics", read="grpo", hint="The unbiased deviation divides by n - 1: what is that for one sample?")
def nan_of_one_sample(scores, scale=True, eps=1e-4):
    """The unbiased deviation of a single sample divides 0 by 0, which is NaN: one sample has to give 0."""
    return centred(scores) / (scores.std(1, keepdim=True) + eps) if scale else centred(scores)


@wrong(about="numerics", read="grpo", hint="What does the docstring promise for a prompt with one sample?")
def error_for_one_sample(scores, scale=True, eps=1e-4):
    """A single sample raises an error, where its advantage is simply 0."""
    if scores.shape[1] < 2:
        raise ValueError("at least two samples")
    return right(scores, scale, eps)


@error_for_one_sample.also
def _(scores, scale=True, eps=1e-4):
    if scores.shape[1] < 2:
        raise ValueError("at least two samples")
    return right(scores, scale, eps, unbiased=True)


@wrong(about="numerics", read="grpo", hint="What does the docstring promise for a prompt with one sample?")
def one_sample_unchanged(scores, scale=True, eps=1e-4):
    """A single sample keeps its score (or gets something else), where its advantage is 0."""
    return scores.clone() if scores.shape[1] == 1 else right(scores, scale, eps)


@one_sample_unchanged.also
def _(scores, scale=True, eps=1e-4):
    return scores.clone() if scores.shape[1] == 1 else right(scores, scale, eps, unbiased=True)


@one_sample_unchanged.also
def _(scores, scale=True, eps=1e-4):
    return torch.ones_like(scores) if scores.shape[1] == 1 else right(scores, scale, eps)


@groups_transposed.also
def _(scores, scale=True, eps=1e-4):
    regrouped = scores.reshape(scores.shape[1], scores.shape[0])
    centred = regrouped - regrouped.mean(0)
    if scale:
        centred = centred / (regrouped.std(0, unbiased=False) + eps)
    return centred.reshape(scores.shape)


@groups_transposed.also
def _(scores, scale=True, eps=1e-4):
    regrouped = scores.reshape(scores.shape[1], scores.shape[0])
    centred = regrouped - regrouped.mean(0)
    if scale:
        centred = centred / (regrouped.std(0) + eps)
    return centred.reshape(scores.shape)
