"""Mistakes in masked_mean."""

import torch

from ..bank import wrong


def masked(x, mask):
    return torch.where(mask, x, torch.zeros_like(x))


def total(x, dim):
    return x.sum() if dim is None else x.sum(dim)


def mean(x, mask, dim=None):
    """The right mean, of a line without a True place 0."""
    return total(masked(x, mask), dim) / total(mask, dim).clamp(min=1)


@wrong(about="mean", read="mean", hint="How many numbers went into your sum, and how many do you divide by?")
def divides_by_the_size(x, mask, dim=None):
    """The sum over the True places is divided by the size of the tensor, so every False place counts as a zero."""
    return masked(x, mask).mean() if dim is None else masked(x, mask).mean(dim)


@divides_by_the_size.also
def _(x, mask, dim=None):
    return total(masked(x, mask), dim) / mask.numel()


@divides_by_the_size.also
def _(x, mask, dim=None):
    return total(masked(x, mask), dim) / x.shape[0]


@divides_by_the_size.also
def _(x, mask, dim=None):
    return total(masked(x, mask), dim) / x.shape[-1]


@wrong(about="mask", read="mean", hint="Change a number where the mask is False: does your mean move?")
def ignores_the_mask(x, mask, dim=None):
    """The mean is taken over everything, so what stands on padding goes into it."""
    return x.mean() if dim is None else x.mean(dim)


@wrong(about="mask", read="mean", hint="Which numbers are summed, and which are counted? It has to be the same ones.")
def sums_the_padding(x, mask, dim=None):
    """Only the division knows the mask: the sum still runs over everything, padding included."""
    return total(x, dim) / total(mask, dim).clamp(min=1)


@wrong(about="mask", read="mean", hint="On which side of the mask are the tokens that count?")
def mask_inverted(x, mask, dim=None):
    """The mean is taken over the places where the mask is False, which are the ones to leave out."""
    return mean(x, ~mask, dim)


@wrong(about="mean", read="mean", hint="Does a token of a long response weigh as much as a token of a short one?")
def mean_of_means(x, mask, dim=None):
    """Without a dim, rows are averaged first and then their means, so a token in a short row weighs more than others."""
    return mean(x, mask, -1).mean() if dim is None else mean(x, mask, dim)


@mean_of_means.also
def _(x, mask, dim=None):
    return mean(x, mask, -1)[mask.any(-1)].mean() if dim is None else mean(x, mask, dim)


@mean_of_means.also
def _(x, mask, dim=None):
    return mean(x, mask, -1).sum() / mask.any(-1).sum().clamp(min=1) if dim is None else mean(x, mask, dim)


@mean_of_means.also
def _(x, mask, dim=None):
    return (masked(x, mask).sum(-1) / mask.sum(-1)).mean() if dim is None else mean(x, mask, dim)  # NaN from an empty row


@mean_of_means.also
def _(x, mask, dim=None):
    return ((x * mask).sum(-1) / mask.sum(-1)).mean() if dim is None else mean(x, mask, dim)


@mean_of_means.also
def _(x, mask, dim=None):
    return mean(x, mask, 0).mean() if dim is None else mean(x, mask, dim)


@mean_of_means.also
def _(x, mask, dim=None):
    return mean(x, mask, 0)[mask.any(0)].mean() if dim is None else mean(x, mask, dim)


@wrong(about="mean", read="mean", hint="What does your function divide by when no place is True?")
def nan_of_nothing(x, mask, dim=None):
    """Where no place is True the sum 0 is divided by the count 0, which is NaN and not 0."""
    return total(masked(x, mask), dim) / total(mask, dim)


@nan_of_nothing.also
def _(x, mask, dim=None):
    return total(x * mask, dim) / total(mask, dim)


@nan_of_nothing.also
def _(x, mask, dim=None):
    return x[mask].mean() if dim is None else mean(x, mask, dim)


@nan_of_nothing.also
def _(x, mask, dim=None):
    return mean(x, mask) if dim is None else total(masked(x, mask), dim) / total(mask, dim)


@nan_of_nothing.also
def _(x, mask, dim=None):
    return mean(x, mask) if dim is None else total(x * mask, dim) / total(mask, dim)


@wrong(about="mean", read="mean", hint="Is a sum over more tokens larger, and should a mean be?")
def sum_for_mean(x, mask, dim=None):
    """The True places are summed but never divided by their number."""
    return total(masked(x, mask), dim)


@wrong(about="mean", read="mean", hint="What does your divisor come to when exactly one place is True?")
def one_too_many(x, mask, dim=None):
    """The count is made larger where it is not 0 either, so means come out too small: only a count of 0 may be replaced."""
    return total(masked(x, mask), dim) / (total(mask, dim) + 1)


@one_too_many.also
def _(x, mask, dim=None):
    return total(masked(x, mask), dim) / total(mask, dim).clamp(min=2)


@wrong(about="mean", read="mean", hint="One number for every row: over how many places is each of them a mean?")
def counts_the_whole_mask(x, mask, dim=None):
    """With a dim, every line is divided by the True places of the whole tensor and not by its own."""
    return total(masked(x, mask), dim) / mask.sum().clamp(min=1)


@wrong(about="mask", read="mean", hint="Is a token whose number happens to be 0 a token all the same?")
def counts_what_is_not_zero(x, mask, dim=None):
    """The places that are not 0 are counted in place of the True ones, so a token whose number is 0 is not counted."""
    return total(masked(x, mask), dim) / total(masked(x, mask) != 0, dim).clamp(min=1)


@wrong(about="shape", read="mean", hint="Where in your code does dim appear?")
def dim_ignored(x, mask, dim=None):
    """The mean is always one number over everything: dim is ignored."""
    return mean(x, mask)


@wrong(about="shape", read="mean", hint="What should come back when dim is None: one number, or one for every row?")
def none_means_one_dimension(x, mask, dim=None):
    """With dim=None only one dimension is reduced, though None asks for a single mean over everything."""
    return mean(x, mask, -1 if dim is None else dim)


@none_means_one_dimension.also
def _(x, mask, dim=None):
    return mean(x, mask, 0 if dim is None else dim)


@none_means_one_dimension.also
def _(x, mask, dim=None):
    return mean(x, mask, dim or -1)  # 0 is false, too


@wrong(about="shape", read="mean", hint="Is dim=0 a reason to take the mean over everything?")
def zero_taken_for_none(x, mask, dim=None):
    """dim is tested as if it were a truth value, so dim=0 is taken for None and the mean runs over everything."""
    return mean(x, mask, dim or None)


@wrong(about="shape", read="mean", hint="Is dim the dimension that goes, or the one that stays?")
def other_dimension(x, mask, dim=None):
    """dim is taken for the dimension that stays: with dim=1 the mean runs down the columns."""
    return mean(x, mask, None if dim is None else x.ndim - 1 - dim % x.ndim)


@other_dimension.also
def _(x, mask, dim=None):
    return mean(x, mask, None if dim is None else 1 - dim)


@wrong(about="shape", read="mean", hint="Which shape does the docstring promise when dim is given?")
def dimension_kept(x, mask, dim=None):
    """The reduced dimension stays in the shape with size 1, where it should be gone."""
    result = mean(x, mask, dim)
    return result if dim is None else result.unsqueeze(dim)


@dimension_kept.also
def _(x, mask, dim=None):
    result = mean(x, mask, dim)
    return result.reshape([1] * x.ndim) if dim is None else result.unsqueeze(dim)


@wrong(about="gradient", read="mean", hint="A loss is built on this mean: can it still reach the model?")
def detached(x, mask, dim=None):
    """The result is cut off from x (detach, no_grad, item), so a loss built on it trains nothing."""
    return mean(x, mask, dim).detach()


@wrong(about="mask", read="mean", hint="What do you put in the place of an element that does not count, before you sum?")
def padding_not_neutral(x, mask, dim=None):
    """Places where the mask is False are replaced by something that is not 0, so that they still change the sum."""
    kept = torch.where(mask, x, torch.ones_like(x))
    return kept.sum() / mask.sum().clamp(min=1) if dim is None else kept.sum(dim) / mask.sum(dim).clamp(min=1)


@padding_not_neutral.also
def _(x, mask, dim=None):
    kept = x.masked_fill(~mask, -1e4)
    return kept.sum() / mask.sum().clamp(min=1) if dim is None else kept.sum(dim) / mask.sum(dim).clamp(min=1)


@padding_not_neutral.also
def _(x, mask, dim=None):
    kept = x.masked_fill(~mask, -1e9)
    return kept.sum() / mask.sum().clamp(min=1) if dim is None else kept.sum(dim) / mask.sum(dim).clamp(min=1)


@wrong(about="numerics", read="mean", hint="What is the derivative of 0 / 0 on the branch that you throw away?")
def nan_gradient_of_nothing(x, mask, dim=None):
    """The value of an empty mean is repaired after the division, but its gradient still comes through 0 / 0 and is NaN."""
    if dim is None:
        mean = (x * mask).sum() / mask.to(x.dtype).sum()
        return torch.where(mask.any(), mean, torch.zeros_like(mean))
    mean = (x * mask).sum(dim) / mask.to(x.dtype).sum(dim)
    return torch.where(mask.any(dim), mean, torch.zeros_like(mean))
