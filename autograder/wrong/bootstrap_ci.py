"""Mistakes in bootstrap_ci."""

import torch

from ..bank import wrong


def resamples(x, n_resamples, generator, first=0, last=None, size=None):
    """Values drawn with replacement, (n_resamples, size)."""
    size = len(x) if size is None else size
    device = x.device if generator is None else generator.device
    draws = torch.randint(first, len(x) if last is None else last, (n_resamples, size), generator=generator, device=device)
    return x[draws.to(x.device)]


def ends(statistics, lower, upper):
    return statistics.quantile(lower).item(), statistics.quantile(upper).item()


def percentiles(statistics, level):
    return ends(statistics, (1 - level) / 2, (1 + level) / 2)


def z_of(level):
    return torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)).item()


def around_the_mean(x, half_width):
    centre = x.mean().item()
    return centre - float(half_width), centre + float(half_width)


def deviation(x):
    return x.std(unbiased=False).item()


@wrong(
    about="formula", read="intervals", hint="Collect four times as much data: should the interval for the mean stay as wide?"
)
def deviation_for_standard_error(x, level=0.95, n_resamples=2000, generator=None):
    """The standard deviation of the data is taken for the error of their mean, so more data do not make the interval shrink."""
    return around_the_mean(x, z_of(level) * deviation(x))


@deviation_for_standard_error.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    means = resamples(x, n_resamples, generator).mean(1)
    return means.mean().item() - z_of(level) * deviation(x), means.mean().item() + z_of(level) * deviation(x)


@deviation_for_standard_error.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return around_the_mean(x, deviation(x))


@deviation_for_standard_error.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    again = resamples(x, n_resamples, generator)
    spread = z_of(level) * again.std(1, unbiased=False).mean().item()
    return again.mean().item() - spread, again.mean().item() + spread


@deviation_for_standard_error.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    values = [float(value) for value in x]
    centre = sum(values) / len(values)
    spread = z_of(level) * (sum((value - centre) ** 2 for value in values) / len(values)) ** 0.5
    return centre - spread, centre + spread


@wrong(about="formula", read="intervals", hint="Are you asked where a value lies, or where the mean of all of them lies?")
def quantiles_of_the_data(x, level=0.95, n_resamples=2000, generator=None):
    """The quantiles of the values themselves are taken, which say where one value lies, not where their mean lies."""
    return percentiles(x, level)


@quantiles_of_the_data.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(resamples(x, n_resamples, generator).flatten(), level)


@quantiles_of_the_data.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(resamples(x, n_resamples, generator, size=1).mean(1), level)


@wrong(about="formula", read="intervals", hint="Should the interval of skewed data reach equally far to both sides?")
def normal_interval(x, level=0.95, n_resamples=2000, generator=None):
    """The interval is the mean plus or minus z standard errors, where the quantiles of the resampled means are asked for."""
    return around_the_mean(x, z_of(level) * deviation(x) / len(x) ** 0.5)


@normal_interval.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    means = resamples(x, n_resamples, generator).mean(1)
    return means.mean().item() - z_of(level) * deviation(means), means.mean().item() + z_of(level) * deviation(means)


@normal_interval.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return around_the_mean(x, z_of(level) * x.std().item() / len(x) ** 0.5) if len(x) > 1 else (x.item(), x.item())


@normal_interval.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return around_the_mean(x, 1.96 * deviation(resamples(x, n_resamples, generator).mean(1)))


@normal_interval.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return around_the_mean(x, 1.96 * deviation(x) / len(x) ** 0.5)


@wrong(about="scale", read="intervals", hint="What share of a normal distribution lies within one standard deviation?")
def one_standard_error(x, level=0.95, n_resamples=2000, generator=None):
    """The interval is the mean plus or minus one standard error, which is a level of 68 % whatever `level` says."""
    return around_the_mean(x, deviation(resamples(x, n_resamples, generator).mean(1)))


@one_standard_error.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return around_the_mean(x, deviation(x) / len(x) ** 0.5)


@wrong(
    about="formula",
    read="intervals",
    hint="How much of the distribution lies between your two quantiles: `level`, or 1 - `level`?",
)
def level_for_alpha(x, level=0.95, n_resamples=2000, generator=None):
    """The level is taken for the share that lies outside, so an interval of 95 % holds only 5 % of the resampled means."""
    return ends(resamples(x, n_resamples, generator).mean(1), level / 2, 1 - level / 2)


@wrong(
    about="formula",
    read="intervals",
    hint="How much of the distribution is left outside in all, and how much of that on one side?",
)
def tail_not_halved(x, level=0.95, n_resamples=2000, generator=None):
    """What the level leaves outside is cut off on each side, not half of it, so the interval of 95 % is one of 90 %."""
    return ends(resamples(x, n_resamples, generator).mean(1), 1 - level, level)


@wrong(about="formula", read="intervals", hint="On how many sides does an interval have an end?")
def one_sided(x, level=0.95, n_resamples=2000, generator=None):
    """Only one side is cut off: the other end of the interval is the smallest or the largest mean of all."""
    return ends(resamples(x, n_resamples, generator).mean(1), 0.0, level)


@one_sided.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return ends(resamples(x, n_resamples, generator).mean(1), 1 - level, 1.0)


@wrong(about="formula", read="intervals", hint="Which arguments of the function does your code never read?")
def level_ignored(x, level=0.95, n_resamples=2000, generator=None):
    """The quantiles are those of 95 % whatever `level` asks for."""
    return ends(resamples(x, n_resamples, generator).mean(1), 0.025, 0.975)


@level_ignored.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return ends(resamples(x, n_resamples, generator).mean(1), 0.05, 0.95)


@wrong(about="formula", read="intervals", hint="Will the interval get wider and wider the more often you resample?")
def range_of_the_means(x, level=0.95, n_resamples=2000, generator=None):
    """The ends are the smallest and the largest of the means, which move apart with every resample, whatever `level` says."""
    return ends(resamples(x, n_resamples, generator).mean(1), 0.0, 1.0)


@wrong(about="scale", read="intervals", hint="Does the function that takes the quantile expect 0.025 or 2.5?")
def share_for_percent(x, level=0.95, n_resamples=2000, generator=None):
    """Shares are handed to a function that expects percent, so both ends lie at the very bottom of the means."""
    return ends(resamples(x, n_resamples, generator).mean(1), (1 - level) / 200, (1 + level) / 200)


def shuffled(x, n_resamples, generator):
    """The values in a new order in each row."""
    device = x.device if generator is None else generator.device
    return x[torch.rand(n_resamples, len(x), generator=generator, device=device).argsort(1).to(x.device)]


@wrong(about="sampling", read="intervals", hint="Draw n of n values without putting any back: which sample do you get?")
def without_replacement(x, level=0.95, n_resamples=2000, generator=None):
    """The values are drawn without replacement, so every resample is the data themselves in another order."""
    return percentiles(shuffled(x, n_resamples, generator).mean(1), level)


@without_replacement.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(shuffled(x, n_resamples, generator)[:, : max(len(x) // 2, 1)].mean(1), level)


@wrong(about="formula", read="intervals", hint="Of which statistic is the interval asked for?")
def median_for_mean(x, level=0.95, n_resamples=2000, generator=None):
    """The median of each resample is taken, where the interval is that of the mean."""
    return percentiles(resamples(x, n_resamples, generator).median(1).values, level)


@wrong(about="mean", read="intervals", hint="The sum of a resample grows with its size: does the mean?")
def sum_for_mean(x, level=0.95, n_resamples=2000, generator=None):
    """The sum of each resample is taken, without dividing by its size."""
    return percentiles(resamples(x, n_resamples, generator).sum(1), level)


@wrong(about="state", read="intervals", hint="Two calls with the same seed in the generator: do they give the same?")
def generator_ignored(x, level=0.95, n_resamples=2000, generator=None):
    """The generator that is handed in is not used, so nobody can repeat the result."""
    return percentiles(resamples(x, n_resamples, None).mean(1), level)


@generator_ignored.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(resamples(x, n_resamples, torch.Generator().manual_seed(0)).mean(1), level)


@generator_ignored.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    torch.manual_seed(0)
    return percentiles(resamples(x, n_resamples, None).mean(1), level)


@generator_ignored.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    if generator is not None:
        torch.manual_seed(generator.initial_seed())
    return percentiles(resamples(x, n_resamples, None).mean(1), level)


@wrong(about="reading", read="intervals", hint="Which arguments of the function does your code never read?")
def number_of_resamples_ignored(x, level=0.95, n_resamples=2000, generator=None):
    """The number of resamples is fixed, whatever `n_resamples` asks for."""
    return percentiles(resamples(x, 2000, generator).mean(1), level)


@number_of_resamples_ignored.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(resamples(x, max(n_resamples, 1000), generator).mean(1), level)


@wrong(about="shape", read="intervals", hint="Which of your two numbers is the smaller one?")
def ends_exchanged(x, level=0.95, n_resamples=2000, generator=None):
    """The upper end comes first, where (low, high) is asked for."""
    return percentiles(resamples(x, n_resamples, generator).mean(1), level)[::-1]


@wrong(about="formula", read="intervals", hint="Can the mean of positive values be negative?")
def mirrored(x, level=0.95, n_resamples=2000, generator=None):
    """The quantiles are mirrored at the mean: that is the basic bootstrap interval, not the percentile interval."""
    low, high = percentiles(resamples(x, n_resamples, generator).mean(1), level)
    return 2 * x.mean().item() - high, 2 * x.mean().item() - low


@wrong(about="shape", read="intervals", hint="How many means does one call work out, and of how many values each?")
def mean_over_the_wrong_axis(x, level=0.95, n_resamples=2000, generator=None):
    """The mean runs over the resamples, so there are only len(x) means, each of n_resamples values, and they hardly differ."""
    return percentiles(resamples(x, n_resamples, generator).mean(0), level)


@wrong(about="reading", read="intervals", hint="Does your random index reach the first value and the last one?")
def one_value_never_drawn(x, level=0.95, n_resamples=2000, generator=None):
    """The first or the last value is never drawn: an index runs from 0 to len(x) - 1, both included."""
    return percentiles(resamples(x, n_resamples, generator, last=max(len(x) - 1, 1)).mean(1), level)


@one_value_never_drawn.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(resamples(x, n_resamples, generator, first=min(1, len(x) - 1)).mean(1), level)


@one_value_never_drawn.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    return percentiles(resamples(x, n_resamples, generator, last=len(x) - 1).mean(1), level)


@wrong(
    about="scale",
    read="intervals",
    hint="The means of resamples are spread as the mean itself is: what is there still to divide?",
)
def divided_once_too_often(x, level=0.95, n_resamples=2000, generator=None):
    """The standard error, which has the root of the number of values in it, is divided by a root once more: far too narrow."""
    return around_the_mean(x, z_of(level) * deviation(x) / len(x))


@divided_once_too_often.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    means = resamples(x, n_resamples, generator).mean(1)
    return around_the_mean(x, z_of(level) * deviation(means) / len(x) ** 0.5)


@divided_once_too_often.also
def _(x, level=0.95, n_resamples=2000, generator=None):
    means = resamples(x, n_resamples, generator).mean(1)
    return around_the_mean(x, z_of(level) * deviation(means) / n_resamples**0.5)
