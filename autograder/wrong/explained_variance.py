"""Mistakes in explained_variance."""

import torch

from ..bank import wrong


def variance(x, mask):
    """Over the True places, and 0 where no two of them differ."""
    kept = x[mask]
    return x.new_zeros(()) if len(kept) == 0 or (kept == kept[0]).all() else kept.var()


def mean_square(x, mask):
    return torch.where(mask, x.square(), torch.zeros_like(x)).sum() / mask.sum().clamp(min=1)


def ratio(above, below):
    """above / below, and 1 where below is 0, so that 1 minus it is the 0 of the docstring."""
    return torch.where(below > 0, above / below, torch.ones_like(below))


def explained(values, returns, mask):
    """The right thing."""
    return 1 - ratio(variance(returns - values, mask), variance(returns, mask))


@wrong(about="formula", read="explained", hint="The values are perfect. What does your function return, 0 or 1?")
def unexplained_share(values, returns, mask):
    """The ratio itself is returned, which is the share that the values do not explain: take it from 1."""
    return 1 - explained(values, returns, mask)


@unexplained_share.also
def _(values, returns, mask):
    return (returns - values)[mask].var() / returns[mask].var()


@unexplained_share.also
def _(values, returns, mask):
    return torch.nan_to_num((returns - values)[mask].var() / returns[mask].var())


@unexplained_share.also
def _(values, returns, mask):
    above, below = variance(returns - values, mask), variance(returns, mask)
    return torch.where(below > 0, above / below, torch.zeros_like(below))


@wrong(about="sign", read="explained", hint="The values are perfect and the ratio is 0. What comes out, and what should?")
def ratio_minus_one(values, returns, mask):
    """1 is taken from the ratio, where the ratio has to be taken from 1: the sign is turned round."""
    return -explained(values, returns, mask)


@wrong(about="mean", read="explained", hint="Add 10 to all values: does your result change? Should it?")
def mean_square_for_variance(values, returns, mask):
    """The mean square of the errors is taken for their variance: their mean has to come off before they are squared."""
    return 1 - ratio(mean_square(returns - values, mask), variance(returns, mask))


@mean_square_for_variance.also
def _(values, returns, mask):
    return 1 - ratio(mean_square(returns - values, mask), mean_square(returns, mask))


@mean_square_for_variance.also
def _(values, returns, mask):
    return 1 - ratio(variance(returns - values, mask), mean_square(returns, mask))


@mean_square_for_variance.also
def _(values, returns, mask):
    errors, kept = (returns - values)[mask], returns[mask]
    return 1 - errors.square().sum() / (kept - kept.mean()).square().sum()


@wrong(about="formula", read="explained", hint="Perfect values have no errors. What do you divide by then?")
def ratio_inverted(values, returns, mask):
    """The ratio is upside down: the variance of the returns is divided by that of the errors."""
    return 1 - ratio(variance(returns, mask), variance(returns - values, mask))


@ratio_inverted.also
def _(values, returns, mask):
    return 1 - returns[mask].var() / (returns - values)[mask].var()


@wrong(about="formula", read="explained", hint="The share of which variance is it: that of the values, or that of the returns?")
def over_the_variance_of_the_values(values, returns, mask):
    """The variance of the errors is divided by that of the values; it is the returns that are to be explained."""
    return 1 - ratio(variance(returns - values, mask), variance(values, mask))


@over_the_variance_of_the_values.also
def _(values, returns, mask):
    return 1 - (returns - values)[mask].var() / values[mask].var()


@wrong(about="formula", read="explained", hint="Which variance stands above the line: of the values, or of the errors?")
def variance_of_values_for_errors(values, returns, mask):
    """The variance of the values stands where that of the errors belongs, so it does not matter whether they are right."""
    return ratio(variance(values, mask), variance(returns, mask))


@variance_of_values_for_errors.also
def _(values, returns, mask):
    return 1 - ratio(variance(values, mask), variance(returns, mask))


@variance_of_values_for_errors.also
def _(values, returns, mask):
    return values[mask].var() / returns[mask].var()


@variance_of_values_for_errors.also
def _(values, returns, mask):
    return 1 - values[mask].var() / returns[mask].var()


@wrong(about="formula", read="explained", hint="Double all values: does your result change? Should it?")
def correlation_for_share(values, returns, mask):
    """The correlation or its square is returned: both forgive values that are all too large or all too small."""
    return correlation(values, returns, mask).square()


def correlation(values, returns, mask):
    v, r = values[mask], returns[mask]
    if variance(values, mask) == 0 or variance(returns, mask) == 0:
        return values.new_zeros(())
    return ((v - v.mean()) * (r - r.mean())).sum() / ((v - v.mean()).norm() * (r - r.mean()).norm())


@correlation_for_share.also
def _(values, returns, mask):
    return correlation(values, returns, mask)


@correlation_for_share.also
def _(values, returns, mask):
    return torch.corrcoef(torch.stack([values[mask], returns[mask]]))[0, 1].square()


@correlation_for_share.also
def _(values, returns, mask):
    return torch.corrcoef(torch.stack([values[mask], returns[mask]]))[0, 1]


@wrong(about="scale", read="explained", hint="In which unit is a variance, and in which a standard deviation?")
def deviation_for_variance(values, returns, mask):
    """Standard deviations are divided where variances belong: the ratio has to be squared."""
    return 1 - ratio(variance(returns - values, mask), variance(returns, mask)).sqrt()


@deviation_for_variance.also
def _(values, returns, mask):
    return 1 - (returns - values)[mask].std() / returns[mask].std()


@wrong(about="sign", read="explained", hint="The values are perfect. How large are your errors then?")
def sum_for_difference(values, returns, mask):
    """Values are added to the returns; an error is a difference."""
    return explained(-values, returns, mask)


@sum_for_difference.also
def _(values, returns, mask):
    return 1 - (returns + values)[mask].var() / returns[mask].var()


@wrong(about="formula", read="explained", hint="Values that are worse than a constant: which sign should they get?")
def never_negative(values, returns, mask):
    """The result is kept from going below 0; values that are worse than a constant have to show as a negative number."""
    return explained(values, returns, mask).clamp(min=0)


@never_negative.also
def _(values, returns, mask):
    return explained(values, returns, mask).abs()


@wrong(about="formula", read="explained", hint="How large can the variance of the errors be, beside that of the returns?")
def cut_off_at_minus_one(values, returns, mask):
    """The result is cut off at -1; nothing stops values from being worse than that."""
    return explained(values, returns, mask).clamp(-1, 1)


@wrong(about="mean", read="explained", hint="By how many is the sum of squares divided above the line, and by how many below?")
def two_kinds_of_variance(values, returns, mask):
    """One variance is over n and the other over n - 1; either will do, but it has to be the same for both."""
    n = mask.sum().clamp(min=2)
    return 1 - ratio(variance(returns - values, mask), variance(returns, mask)) * n / (n - 1)


@two_kinds_of_variance.also
def _(values, returns, mask):
    n = mask.sum().clamp(min=2)
    return 1 - ratio(variance(returns - values, mask), variance(returns, mask)) * (n - 1) / n


@wrong(about="mask", read="explained", hint="Change a number where the mask is False: does your result move?")
def padding_counted(values, returns, mask):
    """A variance is taken over everything, so what stands on padding goes into it."""
    return explained(values, returns, torch.ones_like(mask))


@padding_counted.also
def _(values, returns, mask):
    return 1 - ratio(variance(returns - values, mask), returns.var())


@padding_counted.also
def _(values, returns, mask):
    return 1 - ratio((returns - values).var(), variance(returns, mask))


@wrong(about="mask", read="explained", hint="On which side of the mask are the tokens that count?")
def mask_inverted(values, returns, mask):
    """The variances are taken over the places where the mask is False, which are the ones to leave out."""
    return explained(values, returns, ~mask)


@wrong(about="mask", read="explained", hint="Padding is 0 in your tensors. How far is a 0 from the mean of the returns?")
def padding_as_zeros(values, returns, mask):
    """Padding is set to 0 and then counted: those zeros differ from the mean and add to the variances."""
    return explained(values * mask, returns * mask, torch.ones_like(mask))


@padding_as_zeros.also
def _(values, returns, mask):
    errors, kept, n = (returns - values) * mask, returns * mask, mask.sum().clamp(min=1)
    centred = [x - x.sum() / n for x in (errors, kept)]
    return 1 - ratio(centred[0].square().sum() / n, centred[1].square().sum() / n)


@wrong(about="mean", read="explained", hint="A batch of three rows: how many variances of the returns has the formula?")
def each_row_by_itself(values, returns, mask):
    """A result is computed for each row and the mean of them returned; both variances run over all tokens of the batch."""
    rows = [explained(v, r, m) for v, r, m in zip(values, returns, mask, strict=True)]
    return torch.stack(rows).mean()


@each_row_by_itself.also
def _(values, returns, mask):
    rows = [explained(v, r, m) for v, r, m in zip(values, returns, mask, strict=True) if m.any()]
    return torch.stack(rows).mean() if rows else values.new_zeros(())


@each_row_by_itself.also
def _(values, returns, mask):
    rows = [explained(v, r, m) for v, r, m in zip(values, returns, mask, strict=True) if m.sum() > 1]
    return torch.stack(rows).mean() if rows else values.new_zeros(())


@wrong(about="shape", read="explained", hint="One number for the batch, or one for each row: which does the docstring say?")
def one_for_each_row(values, returns, mask):
    """One number for each row is returned; it has to be one number for all True tokens of the batch."""
    return torch.stack([explained(v, r, m) for v, r, m in zip(values, returns, mask, strict=True)])


@wrong(about="numerics", read="explained", hint="All returns are 2. What do you divide by, and what does the docstring want?")
def divides_by_no_variance(values, returns, mask):
    """Returns that do not vary have variance 0, and dividing by it gives NaN or minus infinity: the result there is 0."""
    if not mask.any():
        return values.new_zeros(())
    return 1 - (returns - values)[mask].var(unbiased=False) / returns[mask].var(unbiased=False)


@divides_by_no_variance.also
def _(values, returns, mask):
    return 1 - (returns - values)[mask].var() / returns[mask].var()


@divides_by_no_variance.also
def _(values, returns, mask):
    return 1 - (returns - values)[mask].var(unbiased=False) / returns[mask].var(unbiased=False)


@divides_by_no_variance.also
def _(values, returns, mask):
    below = variance(returns, mask)
    return values.new_full((), torch.nan) if below == 0 else explained(values, returns, mask)


@divides_by_no_variance.also
def _(values, returns, mask):
    return torch.nan_to_num(1 - (returns - values)[mask].var() / returns[mask].var())


@divides_by_no_variance.also
def _(values, returns, mask):
    return 1 - variance(returns - values, mask) / variance(returns, mask)


@wrong(about="numerics", read="explained", hint="All returns are 2 and all values 5: what is 9 divided by your eps?")
def eps_below_the_line(values, returns, mask):
    """A small number added to the variance prevents the NaN, but where returns do not vary the result is not 0."""
    return 1 - variance(returns - values, mask) / (variance(returns, mask) + 1e-8)


@eps_below_the_line.also
def _(values, returns, mask):
    return 1 - variance(returns - values, mask) / variance(returns, mask).clamp(min=1e-8)


@wrong(about="formula", read="explained", hint="All returns are equal: is there anything that the values could have explained?")
def one_without_variance(values, returns, mask):
    """Where returns do not vary the result is 1; nothing was there to be explained, and the docstring makes that 0."""
    return explained(values, returns, mask) if variance(returns, mask) > 0 else values.new_ones(())


@one_without_variance.also
def _(values, returns, mask):
    if variance(returns, mask) > 0:
        return explained(values, returns, mask)
    return values.new_tensor(float(torch.equal(values[mask], returns[mask])))  # 1 for perfect values alone, as in scikit-learn


@wrong(about="numerics", read="explained", hint="A single token: what is n - 1, and is NaN equal to 0?")
def nan_of_one_token(values, returns, mask):
    """The variance of a single token by n - 1 is 0 / 0, and NaN passes a comparison with 0: one token has to give 0."""
    if not mask.any():
        return values.new_zeros(())
    below = returns[mask].var()
    return values.new_zeros(()) if below == 0 else 1 - (returns - values)[mask].var() / below


@nan_of_one_token.also
def _(values, returns, mask):
    below = returns[mask].var()
    return values.new_zeros(()) if below == 0 else 1 - (returns - values)[mask].var() / below


@wrong(about="numerics", read="explained", hint="No token is True: what is the mean of nothing?")
def nan_of_nothing(values, returns, mask):
    """The variance of no token is 0 / 0, and NaN passes a comparison with 0: an empty mask has to give 0."""
    below = returns[mask].var(unbiased=False)
    return values.new_zeros(()) if below == 0 else 1 - (returns - values)[mask].var(unbiased=False) / below


@nan_of_nothing.also
def _(values, returns, mask):
    kept = returns[mask]
    if (kept == kept[0]).all():
        return values.new_zeros(())
    return explained(values, returns, mask)
