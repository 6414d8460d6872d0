"""Mistakes in normalize_scores."""

import torch

from ..bank import wrong


def centred(scores):
    return scores - scores.mean()


def variance(scores, unbiased=False):
    """0 for a single score."""
    return scores.var(unbiased=unbiased) if len(scores) > 1 else torch.zeros_like(scores).sum()


def deviation(scores, unbiased=False):
    return variance(scores, unbiased).sqrt()


@wrong(about="numerics", read="normalise", hint="What is 0 divided by 0, and what is eps for?")
def equal_scores_divide_by_zero(scores, eps=1e-8):
    """Nothing is added to the deviation, so that equal scores give 0 / 0, NaN, and one such batch ruins the policy."""
    return centred(scores) / deviation(scores)


@equal_scores_divide_by_zero.also
def _(scores, eps=1e-8):
    return centred(scores) / deviation(scores, True)


@equal_scores_divide_by_zero.also
def _(scores, eps=1e-8):
    return centred(scores) / scores.std()


@equal_scores_divide_by_zero.also
def _(scores, eps=1e-8):
    return torch.zeros_like(scores) if len(scores) < 2 else centred(scores) / scores.std()


@equal_scores_divide_by_zero.also
def _(scores, eps=1e-8):
    return torch.zeros_like(scores) if len(scores) < 2 else centred(scores) / deviation(scores)


@wrong(about="numerics", read="normalise", hint="What is the unbiased deviation of a single number, which divides by n - 1?")
def single_score_is_nan(scores, eps=1e-8):
    """The deviation over n - 1 of a single score is 0 / 0, NaN; a single score has to give 0."""
    return centred(scores) / (scores.std() + eps)


@single_score_is_nan.also
def _(scores, eps=1e-8):
    return centred(scores) / (centred(scores).square().sum() / (len(scores) - 1)).sqrt().add(eps)


@wrong(about="formula", read="normalise", hint="With a large eps: is the root taken before eps is added, or after?")
def eps_inside_the_root(scores, eps=1e-8):
    """eps is added to the variance, inside the root; here it is added to the deviation, outside it."""
    return centred(scores) / (variance(scores) + eps).sqrt()


@eps_inside_the_root.also
def _(scores, eps=1e-8):
    return centred(scores) / (variance(scores, True) + eps).sqrt()


@eps_inside_the_root.also
def _(scores, eps=1e-8):
    return centred(scores) / (scores.var() + eps).sqrt()


@wrong(about="formula", read="normalise", hint="Multiply all scores by 10: should the result change?")
def variance_for_deviation(scores, eps=1e-8):
    """The scores are divided by their variance, not by its root, so that their deviation does not come out as 1."""
    return centred(scores) / (variance(scores) + eps)


@variance_for_deviation.also
def _(scores, eps=1e-8):
    return centred(scores) / (variance(scores, True) + eps)


@variance_for_deviation.also
def _(scores, eps=1e-8):
    return centred(scores) / (scores.var() + eps)


@wrong(about="formula", read="normalise", hint="What is the mean of your result?")
def not_centred(scores, eps=1e-8):
    """The mean is not subtracted: the scores are scaled only."""
    return scores / (deviation(scores) + eps)


@not_centred.also
def _(scores, eps=1e-8):
    return scores / (deviation(scores, True) + eps)


@not_centred.also
def _(scores, eps=1e-8):
    return scores / (scores.std() + eps)


@wrong(about="formula", read="normalise", hint="What is the deviation of your result?")
def not_scaled(scores, eps=1e-8):
    """The mean is subtracted, but the deviation is not divided by."""
    return centred(scores)


@wrong(about="formula", read="normalise", hint="Is the mean subtracted before the division, or after it?")
def centred_after_scaling(scores, eps=1e-8):
    """The scores are divided first and the mean of the scores before that is subtracted, so that it does not come out as 0."""
    return scores / (deviation(scores) + eps) - scores.mean()


@centred_after_scaling.also
def _(scores, eps=1e-8):
    return scores / (deviation(scores, True) + eps) - scores.mean()


@centred_after_scaling.also
def _(scores, eps=1e-8):
    return scores - scores.mean() / (deviation(scores) + eps)


@centred_after_scaling.also
def _(scores, eps=1e-8):
    return scores - scores.mean() / (deviation(scores, True) + eps)


@wrong(about="sign", read="normalise", hint="Is the best score still the largest?")
def sign_swapped(scores, eps=1e-8):
    """The scores are subtracted from the mean and not the mean from the scores: the best one becomes the lowest."""
    return -centred(scores) / (deviation(scores) + eps)


@sign_swapped.also
def _(scores, eps=1e-8):
    return -centred(scores) / (deviation(scores, True) + eps)


@sign_swapped.also
def _(scores, eps=1e-8):
    return -centred(scores) / (scores.std() + eps)


@wrong(
    about="formula", read="normalise", hint="Does eps make a difference to every score, or only where the deviation is small?"
)
def eps_as_a_floor(scores, eps=1e-8):
    """eps is only the least that is divided by; it has to be added to the deviation."""
    return centred(scores) / deviation(scores).clamp(min=eps)


@eps_as_a_floor.also
def _(scores, eps=1e-8):
    return centred(scores) / deviation(scores, True).clamp(min=eps)


@eps_as_a_floor.also
def _(scores, eps=1e-8):
    return centred(scores) / deviation(scores) if deviation(scores) > eps else torch.zeros_like(scores)


@eps_as_a_floor.also
def _(scores, eps=1e-8):
    return centred(scores) / deviation(scores, True) if deviation(scores) > eps else torch.zeros_like(scores)


@eps_as_a_floor.also
def _(scores, eps=1e-8):
    return centred(scores) if deviation(scores) < eps else centred(scores) / deviation(scores, True)


@eps_as_a_floor.also
def _(scores, eps=1e-8):
    return centred(scores) if deviation(scores) < eps else centred(scores) / deviation(scores)


@wrong(about="formula", read="normalise", hint="Call your function with eps=1: does it notice?")
def eps_fixed(scores, eps=1e-8):
    """The default eps stands in the code, or none is added, and the argument is ignored."""
    return centred(scores) / (deviation(scores) + 1e-8)


@eps_fixed.also
def _(scores, eps=1e-8):
    return centred(scores) / (deviation(scores, True) + 1e-8)


@eps_fixed.also
def _(scores, eps=1e-8):
    return torch.nan_to_num(centred(scores) / deviation(scores))


@eps_fixed.also
def _(scores, eps=1e-8):
    return torch.nan_to_num(centred(scores) / deviation(scores, True))


@wrong(about="formula", read="normalise", hint="Is eps added to the deviation, or to the quotient?")
def eps_outside_the_quotient(scores, eps=1e-8):
    """eps is added after the division, where it protects from nothing and shifts every score: mind the brackets."""
    return centred(scores) / deviation(scores) + eps


@eps_outside_the_quotient.also
def _(scores, eps=1e-8):
    return centred(scores) / deviation(scores, True) + eps


@eps_outside_the_quotient.also
def _(scores, eps=1e-8):
    return centred(scores) / scores.std() + eps


@wrong(about="formula", read="normalise", hint="What would one very high score do to all the others?")
def range_for_deviation(scores, eps=1e-8):
    """The scores are scaled by their range, so that one extreme score presses all others together; divide by the deviation."""
    return (scores - scores.min()) / (scores.max() - scores.min() + eps)


@range_for_deviation.also
def _(scores, eps=1e-8):
    return centred(scores) / (scores.max() - scores.min() + eps)


@range_for_deviation.also
def _(scores, eps=1e-8):
    return centred(scores) / (centred(scores).abs().max() + eps)


@range_for_deviation.also
def _(scores, eps=1e-8):
    return scores / (scores.abs().max() + eps)


@range_for_deviation.also
def _(scores, eps=1e-8):
    return 2 * (scores - scores.min()) / (scores.max() - scores.min() + eps) - 1


@wrong(about="mean", read="normalise", hint="By how many scores is the sum of the squares divided before the root?")
def norm_for_deviation(scores, eps=1e-8):
    """The root is taken of the sum of squares, not of their mean, so that the result shrinks as the batch grows."""
    return centred(scores) / (centred(scores).square().sum().sqrt() + eps)


@norm_for_deviation.also
def _(scores, eps=1e-8):
    return scores / (scores.square().sum().sqrt() + eps)


@wrong(about="formula", read="normalise", hint="What is squared, and what is only taken without its sign?")
def absolute_deviation(scores, eps=1e-8):
    """The mean absolute distance from the mean is divided by; the standard deviation is the root of the mean square."""
    return centred(scores) / (centred(scores).abs().mean() + eps)


@wrong(about="mean", read="normalise", hint="Which squares do you average: of the scores, or of their distance from the mean?")
def deviation_from_zero(scores, eps=1e-8):
    """The mean square of the scores themselves is used, not that of their distance from the mean."""
    return centred(scores) / (scores.square().mean().sqrt() + eps)


@deviation_from_zero.also
def _(scores, eps=1e-8):
    return scores / (scores.square().mean().sqrt() + eps)


@wrong(about="mean", read="normalise", hint="Which middle is subtracted, the mean or the median?")
def median_for_mean(scores, eps=1e-8):
    """The median is subtracted, so that the mean does not come out as 0."""
    return (scores - scores.median()) / (deviation(scores) + eps)


@median_for_mean.also
def _(scores, eps=1e-8):
    return (scores - scores.median()) / (deviation(scores, True) + eps)


@wrong(about="formula", read="normalise", hint="Can your result be negative?")
def softmax_for_scores(scores, eps=1e-8):
    """The scores are turned into shares that add up to 1; asked for are mean 0 and deviation 1."""
    return scores.softmax(0)


@wrong(about="formula", read="normalise", hint="Is a score divided by the deviation, or multiplied with it?")
def multiplied_by_the_deviation(scores, eps=1e-8):
    """The scores are multiplied with the deviation, not divided by it."""
    return centred(scores) * (deviation(scores) + eps)


@multiplied_by_the_deviation.also
def _(scores, eps=1e-8):
    return centred(scores) * (deviation(scores, True) + eps)


@wrong(about="state", read="normalise", hint="Does the caller still have the scores after your function has run?")
def changes_the_scores(scores, eps=1e-8):
    """The scores that were handed in are changed in place; the caller still needs them."""
    scores -= scores.mean()
    scores /= scores.square().mean().sqrt() + eps
    return scores


@changes_the_scores.also
def _(scores, eps=1e-8):
    spread = deviation(scores, True)
    return scores.sub_(scores.mean()).div_(spread + eps)


@wrong(about="shape", read="normalise", hint="Which dtype comes in, and which one do you return?")
def float32_only(scores, eps=1e-8):
    """The result is float32 whatever comes in; it has to have the dtype of the scores."""
    return (centred(scores) / (deviation(scores) + eps)).float()


@float32_only.also
def _(scores, eps=1e-8):
    return (centred(scores) / (deviation(scores, True) + eps)).float()
