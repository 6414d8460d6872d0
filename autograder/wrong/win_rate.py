"""Mistakes in win_rate."""

import torch

from ..bank import wrong


@wrong(about="formula", read="wins", hint="Compare a policy with itself: which win rate do you expect?")
def ties_win(after, before):
    """A tie counts as a win, so a policy that changed nothing wins every time."""
    return (after >= before).to(after.dtype).mean()


@ties_win.also
def _(after, before):
    return 1 - (after < before).to(after.dtype).mean()


@wrong(about="formula", read="wins", hint="Compare a policy with itself: which win rate do you expect?")
def ties_lose(after, before):
    """A tie counts as a loss, so a policy that changed nothing loses every time."""
    return (after > before).to(after.dtype).mean()


@wrong(about="mean", read="wins", hint="By how many pairs do you divide?")
def ties_dropped(after, before):
    """Tied pairs are left out altogether, where each of them is half a win."""
    wins, losses = (after > before).sum(), (after < before).sum()
    return wins.to(after.dtype) / (wins + losses).clamp(min=1)


@ties_dropped.also
def _(after, before):
    return (after > before)[after != before].to(after.dtype).mean()


@ties_dropped.also
def _(after, before):
    decided = after != before
    if not decided.any():
        return torch.tensor(0.5, dtype=after.dtype)
    return (after > before)[decided].to(after.dtype).mean()


@wrong(about="sign", read="wins", hint="Whose win is it when `after` is larger?")
def swapped(after, before):
    """The share of pairs in which `before` is larger is returned: the arguments are exchanged."""
    return ((before > after).to(after.dtype) + 0.5 * (before == after).to(after.dtype)).mean()


@wrong(about="mean", read="wins", hint="A single huge win and many small losses: which side wins more often?")
def compares_the_means(after, before):
    """The two means are compared, where every pair has a vote of its own whatever its margin."""
    return (after.mean() > before.mean()).to(after.dtype)


@compares_the_means.also
def _(after, before):
    return ((after.mean() - before.mean()).sign() + 1) / 2


@compares_the_means.also
def _(after, before):
    return (after.mean() >= before.mean()).to(after.dtype)


@wrong(about="reading", read="wins", hint="Which response to another prompt should a response be compared with?")
def not_paired(after, before):
    """Responses to different prompts are compared with each other, where index i of one belongs to index i of the other."""
    margins = after.unsqueeze(1) - before.unsqueeze(0)
    return ((margins.sign() + 1) / 2).mean()


@not_paired.also
def _(after, before):
    return ((after.sort().values - before.sort().values).sign() + 1).mean() / 2


@not_paired.also
def _(after, before):
    return ((after - before.median()).sign() + 1).mean() / 2


@not_paired.also
def _(after, before):
    return ((after - before.mean()).sign() + 1).mean() / 2


@wrong(about="scale", read="wins", hint="What is the largest share there can be?")
def in_percent(after, before):
    """The share is multiplied by 100, where a number between 0 and 1 is asked for."""
    return 50 * ((after - before).sign() + 1).mean()


@wrong(about="mean", read="wins", hint="A share of what?")
def counts_wins(after, before):
    """The wins are counted but not divided by the number of pairs."""
    return ((after - before).sign() + 1).sum() / 2


@wrong(about="formula", read="wins", hint="What is it when every pair is lost?")
def wins_minus_losses(after, before):
    """Losses are subtracted from wins, which runs from -1 to 1, where a share between 0 and 1 is asked for."""
    return (after - before).sign().mean()


@wrong(about="formula", read="wins", hint="Does it matter to a vote by how much it was won?")
def mean_margin(after, before):
    """The mean difference is returned, in units of the score, where only who is larger counts."""
    return (after - before).mean()


@wrong(about="formula", read="wins", hint="Does it matter to a vote by how much it was won?")
def soft_win(after, before):
    """Each pair gives the sigmoid of its margin, where a win is a whole one however small."""
    return (after - before).sigmoid().mean()


@wrong(about="formula", read="wins", hint="What does half of a tie add to the sum?")
def ties_count_double(after, before):
    """A tie gives one and a half: `>=` counts it as a win already, and the half comes on top."""
    return ((after >= before).to(after.dtype) + 0.5 * (after == before).to(after.dtype)).mean()


@wrong(about="numerics", read="wins", hint="How far apart do two scores have to be before they are not equal?")
def near_ties(after, before):
    """Scores that are only close are taken for equal, where any difference is a win or a loss."""
    tied = torch.isclose(after, before, rtol=1e-3, atol=1e-3)
    return torch.where(tied, 0.5, (after > before).to(after.dtype)).mean().to(after.dtype)


@near_ties.also
def _(after, before):
    return ((after.round() - before.round()).sign() + 1).mean() / 2


@wrong(about="shape", read="wins", hint="Is the mean still to be taken?")
def not_averaged(after, before):
    """The result of every pair is returned, where their mean is asked for."""
    return ((after - before).sign() + 1) / 2
