"""Mistakes in pairwise_accuracy."""

import torch

from ..bank import wrong


def points(chosen, rejected):
    return (chosen > rejected).to(chosen.dtype) + 0.5 * (chosen == rejected).to(chosen.dtype)


@wrong(about="formula", read="accuracy", hint="What should a model score that gives every text the same?")
def ties_win(chosen, rejected):
    """A tie counts as won, so a model that gives every text the same score would be right every time."""
    return (chosen >= rejected).to(chosen.dtype).mean()


@wrong(about="formula", read="accuracy", hint="What should a model score that gives every text the same?")
def ties_lose(chosen, rejected):
    """A tie counts as lost; a model that cannot tell two texts apart is right half of the time, as a coin is."""
    return (chosen > rejected).to(chosen.dtype).mean()


@wrong(about="mean", read="accuracy", hint="By how many pairs do you divide, and are the tied ones among them?")
def ties_left_out(chosen, rejected):
    """Tied pairs are left out of the mean; each counts one half, and in the number of pairs."""
    return (chosen > rejected)[chosen != rejected].to(chosen.dtype).mean()


@ties_left_out.also
def _(chosen, rejected):
    wins, losses = (chosen > rejected).sum().to(chosen.dtype), (chosen < rejected).sum()
    return wins / (wins + losses).clamp(min=1)


@ties_left_out.also
def _(chosen, rejected):
    decided = chosen != rejected
    return (chosen > rejected)[decided].to(chosen.dtype).mean() if decided.any() else torch.tensor(0.5)


@wrong(about="formula", read="accuracy", hint="A tie alone: what share of the pair was right?")
def tie_counts_otherwise(chosen, rejected):
    """A tie is given some other share than one half."""
    return ((chosen > rejected).to(chosen.dtype) + 0.25 * (chosen == rejected)).mean()


@tie_counts_otherwise.also
def _(chosen, rejected):
    return ((chosen >= rejected).to(chosen.dtype) + 0.5 * (chosen == rejected)).mean()


@tie_counts_otherwise.also
def _(chosen, rejected):
    return ((chosen > rejected).to(chosen.dtype) + 2 * (chosen == rejected)).mean()


@tie_counts_otherwise.also
def _(chosen, rejected):
    return ((chosen > rejected).to(chosen.dtype) - 0.5 * (chosen == rejected)).mean()


@wrong(about="sign", read="accuracy", hint="Which of the two texts should score higher when the model agrees with you?")
def reversed_pairs(chosen, rejected):
    """It counts the pairs in which the rejected text scores higher."""
    return points(rejected, chosen).mean()


@reversed_pairs.also
def _(chosen, rejected):
    return (chosen < rejected).to(chosen.dtype).mean()


@reversed_pairs.also
def _(chosen, rejected):
    return (chosen <= rejected).to(chosen.dtype).mean()


@wrong(about="scale", read="accuracy", hint="What does your code give when every pair is lost, and what should it give?")
def wins_minus_losses(chosen, rejected):
    """The mean of the sign runs from -1 to 1: it is the share of wins minus that of losses, not a share of right pairs."""
    return (chosen - rejected).sign().mean()


@wrong(about="formula", read="accuracy", hint="Is a pair that is won by a hair less right than one that is won by far?")
def mean_probability(chosen, rejected):
    """The mean probability of winning is returned; accuracy only asks which of two scores is higher."""
    return torch.sigmoid(chosen - rejected).mean()


@wrong(about="formula", read="accuracy", hint="In which range does a share lie?")
def mean_difference(chosen, rejected):
    """The mean difference of the scores is returned; accuracy only asks which of the two is higher."""
    return (chosen - rejected).mean()


@wrong(about="mean", read="accuracy", hint="A share of pairs: what do you divide by?")
def count_for_share(chosen, rejected):
    """The number of pairs won is returned, not their share."""
    return points(chosen, rejected).sum()


@count_for_share.also
def _(chosen, rejected):
    return (chosen > rejected).sum().to(chosen.dtype)


@count_for_share.also
def _(chosen, rejected):
    return (chosen > rejected).sum()


@count_for_share.also
def _(chosen, rejected):
    return (chosen >= rejected).sum()


@wrong(about="scale", read="accuracy", hint="Between which numbers does the docstring want the result?")
def percent(chosen, rejected):
    """The result is in percent; a share lies between 0 and 1."""
    return 100 * points(chosen, rejected).mean()


@percent.also
def _(chosen, rejected):
    return 100 * (chosen > rejected).to(chosen.dtype).mean()


@wrong(about="formula", read="accuracy", hint="With which rejected text was the first chosen text compared?")
def across_pairs(chosen, rejected):
    """Every chosen text is compared with every rejected one, also with those it was never shown beside."""
    return points(chosen.unsqueeze(1), rejected.unsqueeze(0)).mean()


@across_pairs.also
def _(chosen, rejected):
    return (chosen.unsqueeze(1) > rejected.unsqueeze(0)).to(chosen.dtype).mean()


@wrong(about="mean", read="accuracy", hint="Where is the comparison made: for each pair, or once?")
def means_compared(chosen, rejected):
    """The mean scores are compared once; accuracy compares within each pair and takes the mean after."""
    return points(chosen.mean(), rejected.mean())


@means_compared.also
def _(chosen, rejected):
    return (chosen.mean() > rejected.mean()).to(chosen.dtype)


@wrong(about="formula", read="accuracy", hint="Does adding a constant to every score change your result?")
def chosen_above_zero(chosen, rejected):
    """The chosen score is compared with 0, but a score means something only beside the other score of its pair."""
    return (chosen > 0).to(chosen.dtype).mean()


@chosen_above_zero.also
def _(chosen, rejected):
    return ((chosen > 0) & (rejected < 0)).to(chosen.dtype).mean()


@chosen_above_zero.also
def _(chosen, rejected):
    return (torch.cat([chosen, -rejected]) > 0).to(chosen.dtype).mean()


@chosen_above_zero.also
def _(chosen, rejected):
    return (chosen > 0.5).to(chosen.dtype).mean()


@wrong(about="shape", read="accuracy", hint="One number for the whole batch: where is the mean?")
def no_mean(chosen, rejected):
    """One verdict for each pair is returned; the mean over pairs is missing."""
    return points(chosen, rejected)


@no_mean.also
def _(chosen, rejected):
    return (chosen > rejected).to(chosen.dtype)


@no_mean.also
def _(chosen, rejected):
    return chosen > rejected


@wrong(about="formula", read="accuracy", hint="How large has a difference to be for the model to prefer one text?")
def margin_wanted(chosen, rejected):
    """A pair counts as won only by a margin; any higher score wins."""
    return (chosen - rejected > 1).to(chosen.dtype).mean()


@margin_wanted.also
def _(chosen, rejected):
    return (torch.sigmoid(chosen - rejected) > 0.7).to(chosen.dtype).mean()


@margin_wanted.also
def _(chosen, rejected):
    return (chosen - rejected > 0.5).to(chosen.dtype).mean()


@wrong(
    about="scale", read="accuracy", hint="What is the share of 3 wins among 7 pairs, and what does your division make of it?"
)
def whole_number_division(chosen, rejected):
    """The points are divided as whole numbers, so that every share below 1 becomes 0."""
    half_points = 2 * (chosen > rejected).long() + (chosen == rejected).long()
    return (half_points.sum() // (2 * len(chosen))).to(chosen.dtype)


@wrong(about="formula", read="accuracy", hint="How close do two scores have to be for you to call them equal?")
def close_scores_tie(chosen, rejected):
    """Scores that are merely close count as a tie: only equal ones do."""
    ties = torch.isclose(chosen, rejected, atol=0.5)
    wins = (chosen > rejected) & ~ties
    return wins.to(chosen.dtype).mean() + 0.5 * ties.to(chosen.dtype).mean()
