"""Mistakes in masked_whiten: each with the biased and the unbiased variance, as both are right."""

import torch

from ..bank import wrong


def where(mask, x):
    return torch.where(mask, x, torch.zeros_like(x))


def mean_of(x, mask):
    return where(mask, x).sum() / mask.sum().clamp(min=1)


def variance_of(x, mask, unbiased=False, mean=None):
    mean = mean_of(x, mask) if mean is None else mean
    return where(mask, (x - mean).square()).sum() / (mask.sum() - int(unbiased)).clamp(min=1)


def whiten(x, mask, shift_mean, eps, mean=None, variance=None, unbiased=False):
    """The right thing, up to the mean or the variance that is given."""
    mean = mean_of(x, mask) if mean is None else mean
    variance = variance_of(x, mask, unbiased) if variance is None else variance
    whitened = (x - mean) * torch.rsqrt(variance + eps)
    return where(mask, whitened if shift_mean else whitened + mean)


@wrong(about="mask", read="whitening", hint="Change a number on padding: do the whitened tokens move?")
def ignores_the_mask(x, mask, shift_mean=True, eps=1e-8):
    """Mean and variance are taken over everything, padding included."""
    return whiten(x, mask, shift_mean, eps, x.mean(), x.var(unbiased=False))


@ignores_the_mask.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, x.mean(), x.var())


@wrong(about="mask", read="whitening", hint="You mask the mean. What about the squares?")
def variance_of_everything(x, mask, shift_mean=True, eps=1e-8):
    """The mean keeps to the True tokens, but the variance is taken over everything, padding included."""
    return whiten(x, mask, shift_mean, eps, variance=(x - mean_of(x, mask)).square().mean())


@variance_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, variance=(x - mean_of(x, mask)).square().sum() / (x.numel() - 1))


@variance_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, variance=x.var(unbiased=False))


@variance_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, variance=x.var())


@variance_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    variance = (x - mean_of(x, mask)).square().sum() / mask.sum().clamp(min=1)
    return whiten(x, mask, shift_mean, eps, variance=variance)


@wrong(about="mask", read="whitening", hint="You mask the squares. What about the mean that is taken off first?")
def mean_of_everything(x, mask, shift_mean=True, eps=1e-8):
    """The mean is taken over everything, padding included, though the squares are masked."""
    return whiten(x, mask, shift_mean, eps, x.mean(), variance_of(x, mask, mean=x.mean()))


@mean_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, x.mean(), variance_of(x, mask, True, x.mean()))


@mean_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, x.mean())


@mean_of_everything.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, x.mean(), unbiased=True)


@wrong(about="mean", read="whitening", hint="How many tokens are summed, and by how many do you divide?")
def divides_by_the_size(x, mask, shift_mean=True, eps=1e-8):
    """The sums over the True tokens are divided by the size of the tensor, so padding counts as zeros."""
    mean = where(mask, x).mean()
    return whiten(x, mask, shift_mean, eps, mean, where(mask, (x - mean).square()).mean())


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, where(mask, x).mean(), where(mask, x).var(unbiased=False))


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, where(mask, x).mean(), where(mask, x).var())


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean = mean_of(x, mask)
    return whiten(x, mask, shift_mean, eps, mean, where(mask, (x - mean).square()).mean())


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean = where(mask, x).mean()
    return whiten(x, mask, shift_mean, eps, mean, variance_of(x, mask, mean=mean))


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean = where(mask, x).mean()
    return whiten(x, mask, shift_mean, eps, mean, variance_of(x, mask, True, mean))


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, where(mask, x).mean())


@divides_by_the_size.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, where(mask, x).mean(), unbiased=True)


def row_means(x, mask):
    return where(mask, x).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)


def row_variances(x, mask, unbiased=False):
    squares = where(mask, (x - row_means(x, mask)).square())
    return squares.sum(1, keepdim=True) / (mask.sum(1, keepdim=True) - int(unbiased)).clamp(min=1)


@wrong(about="mean", read="whitening", hint="Does a token of a long response weigh as much as a token of a short one?")
def mean_of_means(x, mask, shift_mean=True, eps=1e-8):
    """Rows are averaged first and then the averages, so a token in a short row weighs more than one in a long row."""
    mean = row_means(x, mask).mean()
    squares = where(mask, (x - mean).square())
    return whiten(x, mask, shift_mean, eps, mean, row_means(squares, mask).mean())


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    rows = mask.any(1)
    mean = row_means(x, mask)[rows].mean()
    return whiten(x, mask, shift_mean, eps, mean, row_means((x - mean).square(), mask)[rows].mean())


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, row_means(x, mask).mean(), row_variances(x, mask).mean())


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    rows = mask.any(1)
    return whiten(x, mask, shift_mean, eps, row_means(x, mask)[rows].mean(), row_variances(x, mask)[rows].mean())


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean = row_means(x, mask).mean()
    return whiten(x, mask, shift_mean, eps, mean, variance_of(x, mask, mean=mean))


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean = row_means(x, mask)[mask.any(1)].mean()
    return whiten(x, mask, shift_mean, eps, mean, variance_of(x, mask, mean=mean))


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, row_means(x, mask).mean())


@mean_of_means.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, row_means(x, mask)[mask.any(1)].mean())


@wrong(about="mean", read="whitening", hint="Is there one mean for the whole batch, or one for every response?")
def each_row_by_itself(x, mask, shift_mean=True, eps=1e-8):
    """Every row is whitened by its own mean and variance, where one mean and one variance belong to all True tokens."""
    return whiten(x, mask, shift_mean, eps, row_means(x, mask), row_variances(x, mask))


@each_row_by_itself.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, row_means(x, mask), row_variances(x, mask, True))


@each_row_by_itself.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean, variance = row_means(x, mask), row_variances(x, mask) * mask.sum(1, keepdim=True)
    return whiten(x, mask, shift_mean, eps, mean, variance / (mask.sum(1, keepdim=True) - 1))  # NaN from a single token


@each_row_by_itself.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return each_row_by_itself.forms[0](x.T, mask.T, shift_mean, eps).T


@each_row_by_itself.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return each_row_by_itself.forms[1](x.T, mask.T, shift_mean, eps).T


@wrong(
    about="sign",
    read="whitening",
    hint="Which of the two results should have mean 0: the one with shift_mean or the one without?",
)
def shift_inverted(x, mask, shift_mean=True, eps=1e-8):
    """The mean is added back when shift_mean is True and left out when it is False: the other way round."""
    return whiten(x, mask, not shift_mean, eps)


@shift_inverted.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, not shift_mean, eps, unbiased=True)


@wrong(about="formula", read="whitening", hint="Where in your code does shift_mean appear?")
def shift_ignored(x, mask, shift_mean=True, eps=1e-8):
    """The mean is always taken off: shift_mean=False has to add it back after the scaling."""
    return whiten(x, mask, True, eps)


@shift_ignored.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, True, eps, unbiased=True)


@wrong(about="formula", read="whitening", hint="With shift_mean=False, is the mean of your result the mean of x?")
def mean_is_scaled(x, mask, shift_mean=True, eps=1e-8):
    """With shift_mean=False x itself is scaled, which scales its mean too: it has to be added back as it was."""
    whitened = whiten(x, mask, True, eps)
    return whitened if shift_mean else where(mask, x * torch.rsqrt(variance_of(x, mask) + eps))


@mean_is_scaled.also
def _(x, mask, shift_mean=True, eps=1e-8):
    whitened = whiten(x, mask, True, eps, unbiased=True)
    return whitened if shift_mean else where(mask, x * torch.rsqrt(variance_of(x, mask, True) + eps))


@wrong(about="formula", read="whitening", hint="Is the mean gone from your result when shift_mean is True?")
def never_centred(x, mask, shift_mean=True, eps=1e-8):
    """x is scaled but its mean is never taken off."""
    return where(mask, x * torch.rsqrt(variance_of(x, mask) + eps))


@never_centred.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return where(mask, x * torch.rsqrt(variance_of(x, mask, True) + eps))


@never_centred.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, False, eps)


@never_centred.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, False, eps, unbiased=True)


@wrong(about="scale", read="whitening", hint="What is the variance of your result: 1, or one over the variance of x?")
def divides_by_the_variance(x, mask, shift_mean=True, eps=1e-8):
    """x is divided by the variance and not by its root, so the result does not have variance 1."""
    return divided(x, mask, shift_mean, variance_of(x, mask) + eps)


def divided(x, mask, shift_mean, scale):
    mean = mean_of(x, mask)
    return where(mask, (x - mean) / scale + (0 if shift_mean else mean))


@divides_by_the_variance.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask, True) + eps)


@divides_by_the_variance.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask))


@divides_by_the_variance.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask, True))


@wrong(about="scale", read="whitening", hint="rsqrt is one over the root: do you multiply or divide by what you have?")
def multiplies_by_the_deviation(x, mask, shift_mean=True, eps=1e-8):
    """x is multiplied by the deviation where it should be divided by it: rsqrt is already one over the root."""
    return divided(x, mask, shift_mean, torch.rsqrt(variance_of(x, mask) + eps))


@multiplies_by_the_deviation.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, torch.rsqrt(variance_of(x, mask, True) + eps))


@wrong(about="scale", read="whitening", hint="What is the variance of your result?")
def never_scaled(x, mask, shift_mean=True, eps=1e-8):
    """The mean is taken off but nothing is divided by the deviation."""
    return divided(x, mask, shift_mean, 1.0)


@wrong(about="formula", read="whitening", hint="Add 100 to every token: does the variance that you compute change?")
def variance_without_the_mean(x, mask, shift_mean=True, eps=1e-8):
    """The mean of the squares is taken for the variance: the mean has to be taken off before squaring."""
    return whiten(x, mask, shift_mean, eps, variance=mean_of(x.square(), mask))


@variance_without_the_mean.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, variance=variance_of(x, mask, True, 0.0))


@wrong(about="formula", read="whitening", hint="Is a mean absolute difference the root of a mean square?")
def absolute_for_square(x, mask, shift_mean=True, eps=1e-8):
    """The mean absolute difference from the mean is taken for the standard deviation."""
    return divided(x, mask, shift_mean, mean_of((x - mean_of(x, mask)).abs(), mask) + eps)


@absolute_for_square.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, variance=mean_of((x - mean_of(x, mask)).abs(), mask))


@wrong(about="numerics", read="whitening", hint="Where does the docstring put eps: under the root, or beside it?")
def eps_outside_the_root(x, mask, shift_mean=True, eps=1e-8):
    """eps is added to the standard deviation; the formula adds it to the variance, inside the root."""
    return divided(x, mask, shift_mean, variance_of(x, mask).sqrt() + eps)


@eps_outside_the_root.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask, True).sqrt() + eps)


@wrong(about="numerics", read="whitening", hint="Is eps added, or only taken where the variance is smaller?")
def eps_as_a_floor(x, mask, shift_mean=True, eps=1e-8):
    """eps is a lower bound of the variance or the deviation here; the formula adds it to the variance."""
    return divided(x, mask, shift_mean, variance_of(x, mask).clamp(min=eps).sqrt())


@eps_as_a_floor.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask, True).clamp(min=eps).sqrt())


@eps_as_a_floor.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask).sqrt().clamp(min=eps))


@eps_as_a_floor.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return divided(x, mask, shift_mean, variance_of(x, mask, True).sqrt().clamp(min=eps))


@wrong(about="numerics", read="whitening", hint="Where in your code does eps appear?")
def eps_ignored(x, mask, shift_mean=True, eps=1e-8):
    """The eps that is passed is not used: with another one the result has to change."""
    return whiten(x, mask, shift_mean, 1e-8)


@eps_ignored.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, 1e-8, unbiased=True)


@wrong(about="numerics", read="whitening", hint="All tokens are equal: what do you divide by?")
def nan_of_equal_tokens(x, mask, shift_mean=True, eps=1e-8):
    """Without eps equal tokens divide 0 by 0, which is NaN and not 0."""
    return whiten(x, mask, shift_mean, 0.0)


@nan_of_equal_tokens.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, 0.0, unbiased=True)


@wrong(about="numerics", read="whitening", hint="The unbiased variance divides by n - 1: what is that for one token?")
def nan_of_one_token(x, mask, shift_mean=True, eps=1e-8):
    """The unbiased variance of a single token divides 0 by 0, which is NaN: one token has variance 0."""
    if not mask.any():
        return torch.zeros_like(x)
    return whiten(x, mask, shift_mean, eps, variance=x[mask].var())


@nan_of_one_token.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, variance=x[mask].var(unbiased=True))


@nan_of_one_token.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return x * mask if mask.sum() == 0 else nan_of_nothing.forms[2](x, mask, shift_mean, eps)


@wrong(about="mask", read="whitening", hint="No token is True: what do you divide by, and what is NaN times 0?")
def nan_of_nothing(x, mask, shift_mean=True, eps=1e-8):
    """The mean of no token divides 0 by 0, and multiplying NaN by the mask leaves NaN: an empty batch has to give 0."""
    kept = x[mask]
    return whiten(x, mask, shift_mean, eps) if kept.numel() else (x - kept.mean()) * mask


@nan_of_nothing.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, shift_mean, eps, unbiased=True) if mask.any() else x * torch.nan


@nan_of_nothing.also
def _(x, mask, shift_mean=True, eps=1e-8):
    mean = (x * mask).sum() / mask.sum()
    variance = ((x - mean).square() * mask).sum() / (mask.sum() - 1)  # of one token NaN as well
    return ((x - mean) * torch.rsqrt(variance + eps) + (0 if shift_mean else mean)) * mask


@wrong(about="mask", read="whitening", hint="What does your result hold where the mask is False?")
def padding_not_neutral(x, mask, shift_mean=True, eps=1e-8):
    """The numbers on padding are whitened with the rest: where the mask is False the result has to be 0."""
    return left_on_padding(x, mask, shift_mean, eps)


def left_on_padding(x, mask, shift_mean, eps, unbiased=False):
    mean = mean_of(x, mask)
    return (x - mean) * torch.rsqrt(variance_of(x, mask, unbiased) + eps) + (0 if shift_mean else mean)


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return left_on_padding(x, mask, shift_mean, eps, unbiased=True)


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return left_on_padding(where(mask, x), mask, shift_mean, eps)


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return left_on_padding(where(mask, x), mask, shift_mean, eps, unbiased=True)


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, True, eps) + (0 if shift_mean else mean_of(x, mask))  # the mean is added on padding, too


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return whiten(x, mask, True, eps, unbiased=True) + (0 if shift_mean else mean_of(x, mask))


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return left_on_padding(x, mask, shift_mean, eps) if mask.any() else torch.zeros_like(x)


@padding_not_neutral.also
def _(x, mask, shift_mean=True, eps=1e-8):
    return left_on_padding(x, mask, shift_mean, eps, unbiased=True) if mask.any() else torch.zeros_like(x)


@wrong(about="mask", read="whitening", hint="How many terms does each of your sums have, and by how many do you divide?")
def sums_everything(x, mask, shift_mean=True, eps=1e-8):
    """The sums run over everything, padding included, and are divided by the number of True tokens."""
    n = mask.sum().clamp(min=1)
    mean = x.sum() / n
    return whiten(x, mask, shift_mean, eps, mean, (x - mean).square().sum() / n)


@wrong(about="mask", read="whitening", hint="Padding is 0 in your tensor. What is it after the mean has been taken off?")
def padding_in_the_squares(x, mask, shift_mean=True, eps=1e-8):
    """Padding is set to 0 before the mean is taken off, so that each padded place adds the squared mean to the variance."""
    kept, n = where(mask, x), mask.sum().clamp(min=1)
    return whiten(x, mask, shift_mean, eps, variance=(kept - kept.sum() / n).square().sum() / n)


@padding_in_the_squares.also
def _(x, mask, shift_mean=True, eps=1e-8):
    kept, n = where(mask, x), mask.sum().clamp(min=1)
    return whiten(x, mask, shift_mean, eps, variance=(kept - kept.sum() / n).square().sum() / (n - 1).clamp(min=1))
