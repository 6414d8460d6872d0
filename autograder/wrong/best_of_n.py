"""Mistakes in best_of_n."""

import torch

from ..bank import wrong


def grouped(scores, n):
    """(prompts, groups, n), without the rest."""
    groups = scores.shape[1] // n
    return scores[:, : groups * n].reshape(len(scores), groups, n)


def starts(scores, n):
    """The place where each group begins."""
    return torch.arange(scores.shape[1] // n) * n


def sliding(scores, n):
    """(prompts, samples - n + 1, n): a window at every place."""
    return scores.unfold(1, n, 1) if n <= scores.shape[1] else scores.new_zeros(len(scores), 0, n)


@wrong(about="reading", read="best-of-n", hint="In how many groups does sample number 1 take part?")
def overlapping_groups(scores, n):
    """The groups overlap: each begins one sample after the last one, where it should begin n samples after it."""
    windows = sliding(scores, n)
    return windows.argmax(-1) + torch.arange(windows.shape[1])


@overlapping_groups.also
def _(scores, n):
    windows = sliding(scores, n)[:, : scores.shape[1] // n]
    return windows.argmax(-1) + torch.arange(windows.shape[1])


@overlapping_groups.also
def _(scores, n):
    return sliding(scores, n).argmax(-1)


@overlapping_groups.also
def _(scores, n):
    return sliding(scores, n)[:, : scores.shape[1] // n].argmax(-1)


@overlapping_groups.also
def _(scores, n):
    windows = sliding(scores, n)[:, : scores.shape[1] // n]
    return windows.argmax(-1) + starts(scores, n)


@wrong(about="sign", read="best-of-n", hint="Is a higher score better or worse?")
def worst_of_n(scores, n):
    """The lowest score of each group is taken, not the highest."""
    return grouped(scores, n).argmin(-1) + starts(scores, n)


@worst_of_n.also
def _(scores, n):
    return grouped(scores, n).argmin(-1)


@wrong(about="reading", read="best-of-n", hint="Which sample of the prompt is number 0 of the second group?")
def index_within_the_group(scores, n):
    """The index counts from the beginning of the group, so it never exceeds n - 1: it has to count from the first sample."""
    return grouped(scores, n).argmax(-1)


@wrong(about="reading", read="best-of-n", hint="At which sample does group number 2 begin?")
def offset_without_n(scores, n):
    """The number of the group is added to the index where its beginning belongs, which is n times that number."""
    return grouped(scores, n).argmax(-1) + torch.arange(scores.shape[1] // n)


@wrong(about="reading", read="best-of-n", hint="Which samples are in the first group: neighbours, or samples far apart?")
def groups_of_every_other(scores, n):
    """A group takes every other sample (or every third, ...) and not n neighbours: the reshape has its dimensions exchanged."""
    groups = scores.shape[1] // n
    dealt = scores[:, : groups * n].reshape(len(scores), n, groups)
    return dealt.argmax(1) * groups + torch.arange(groups)


@groups_of_every_other.also
def _(scores, n):
    groups = scores.shape[1] // n
    return scores[:, : groups * n].reshape(len(scores), n, groups).argmax(1)


@groups_of_every_other.also
def _(scores, n):
    groups = scores.shape[1] // n
    return scores[:, : groups * n].reshape(len(scores), n, groups).argmax(1) + starts(scores, n)


@wrong(about="reading", read="best-of-n", hint="Is n the number of groups, or the number of samples in each?")
def n_groups(scores, n):
    """The samples are cut into n groups, where every group should have n samples."""
    size = scores.shape[1] // n
    cut = scores[:, : size * n].reshape(len(scores), n, size)
    return cut.argmax(-1) + torch.arange(n) * size


@n_groups.also
def _(scores, n):
    size = scores.shape[1] // n
    return scores[:, : size * n].reshape(len(scores), n, size).argmax(-1)


@n_groups.also
def _(scores, n):
    size = scores.shape[1] // n
    return scores[:, : size * n].reshape(len(scores), n, size).argmax(-1) + torch.arange(n) * n


@wrong(
    about="shape",
    read="best-of-n",
    hint="Two prompts were answered: can a sample of the one compete with a sample of the other?",
)
def across_prompts(scores, n):
    """The samples of different prompts compete with one another: groups are formed along the wrong axis."""
    turned = scores.T.reshape(scores.shape)
    return grouped(turned, n).argmax(-1) + starts(scores, n)


@across_prompts.also
def _(scores, n):
    return scores.argmax(0)


@across_prompts.also
def _(scores, n):
    return best_by_place(scores.T, n).T


def best_by_place(scores, n):
    return grouped(scores, n).argmax(-1) + starts(scores, n)


@wrong(
    about="reading",
    read="best-of-n",
    hint="At which index does the first sample of the second prompt begin: at 0, or after all of the first?",
)
def index_into_all_prompts(scores, n):
    """The index counts on from prompt to prompt: it has to begin at 0 with every prompt."""
    return best_by_place(scores, n) + torch.arange(len(scores)).unsqueeze(1) * scores.shape[1]


@wrong(about="shape", read="best-of-n", hint="What is asked for: how good the best is, or which one it is?")
def score_for_index(scores, n):
    """The best score of each group is returned, not the place where it stands."""
    return grouped(scores, n).max(-1).values


@score_for_index.also
def _(scores, n):
    return grouped(scores, n).max(-1).values.long()


@wrong(about="reading", read="best-of-n", hint="How many winners does a prompt have, if its samples fill several groups?")
def one_for_each_prompt(scores, n):
    """Only one sample is chosen for each prompt: every group of n has a winner of its own."""
    return scores.argmax(1)


@one_for_each_prompt.also
def _(scores, n):
    return scores.argmax(1, keepdim=True)


@one_for_each_prompt.also
def _(scores, n):
    return scores[:, :n].argmax(1)


@one_for_each_prompt.also
def _(scores, n):
    return scores[:, :n].argmax(1, keepdim=True)


@wrong(about="reading", read="best-of-n", hint="Can two winners come from the same group?")
def best_of_all_samples(scores, n):
    """The best samples of the whole prompt are taken, whichever group they are in: each group has exactly one winner."""
    return scores.argsort(1, descending=True)[:, : scores.shape[1] // n]


@best_of_all_samples.also
def _(scores, n):
    return scores.argsort(1, descending=True)[:, :n]


@best_of_all_samples.also
def _(scores, n):
    return scores.argsort(1, descending=True)[:, : scores.shape[1] // n].sort(1).values


@wrong(about="shape", read="best-of-n", hint="Seven samples, n = 3: what becomes of the last one?")
def rest_kept(scores, n):
    """The samples that fill no group form a smaller one of their own: they should be dropped."""
    best = [part.argmax(1) + start * n for start, part in enumerate(scores.split(n, 1))]
    return torch.stack(best, 1)


@rest_kept.also
def _(scores, n):
    padded = torch.nn.functional.pad(scores, (0, -scores.shape[1] % n), value=float("-inf"))
    return best_by_place(padded, n)


@wrong(about="shape", read="best-of-n", hint="Seven samples, n = 3: can they be reshaped into groups of 3 as they are?")
def rest_not_cut_off(scores, n):
    """The scores are reshaped with the rest still there, which fails, or mixes prompts, unless n divides their number."""
    return scores.reshape(len(scores), -1, n).argmax(-1) + starts(scores, n)


@rest_not_cut_off.also
def _(scores, n):
    return scores.reshape(len(scores), scores.shape[1] // n, n).argmax(-1) + starts(scores, n)


@rest_not_cut_off.also
def _(scores, n):
    groups = scores.shape[1] // n
    return scores.reshape(-1, n).argmax(-1).reshape(len(scores), groups) + starts(scores, n)


@rest_not_cut_off.also
def _(scores, n):
    groups = scores.shape[1] // n
    return scores.flatten()[: len(scores) * groups * n].reshape(len(scores), groups, n).argmax(-1) + starts(scores, n)


@rest_not_cut_off.also
def _(scores, n):
    if scores.shape[1] % n:
        raise ValueError("n has to divide the number of samples")
    return best_by_place(scores, n)


@rest_not_cut_off.also
def _(scores, n):
    assert scores.shape[1] % n == 0
    return best_by_place(scores, n)


@wrong(about="reading", read="best-of-n", hint="Which samples belong to the first group when there is a rest?")
def rest_dropped_in_front(scores, n):
    """The rest is cut off at the beginning, so every group is shifted: the first group begins at sample 0."""
    rest = scores.shape[1] % n
    return best_by_place(scores[:, rest:], n) + rest


@rest_dropped_in_front.also
def _(scores, n):
    return best_by_place(scores[:, scores.shape[1] % n :], n)


@wrong(
    about="reading", read="best-of-n", hint="Two samples have the same, highest score: which of them does the docstring want?"
)
def last_of_a_tie(scores, n):
    """Of several equal scores the last one is taken: a tie goes to the first."""
    return n - 1 - grouped(scores, n).flip(-1).argmax(-1) + starts(scores, n)


@last_of_a_tie.also
def _(scores, n):
    groups = scores.shape[1] // n
    if groups == 0:
        return torch.zeros(len(scores), 0, dtype=torch.int64)
    return grouped(scores, n).sort(dim=-1, stable=True).indices[..., -1] + starts(scores, n)


@wrong(about="shape", read="best-of-n", hint="Five samples, n = 6: how many groups are full?")
def error_for_too_few(scores, n):
    """Fewer samples than n raise an error, where there is simply no group: the result has no columns."""
    if scores.shape[1] < n:
        raise ValueError("not enough samples")
    return best_by_place(scores, n)


@error_for_too_few.also
def _(scores, n):
    best = [scores[:, g * n : (g + 1) * n].argmax(1) + g * n for g in range(scores.shape[1] // n)]
    return torch.stack(best, 1)


@error_for_too_few.also
def _(scores, n):
    assert n <= scores.shape[1]
    return best_by_place(scores, n)


@error_for_too_few.also
def _(scores, n):
    return best_by_place(scores, min(n, scores.shape[1]))


@wrong(about="formula", read="best-of-n", hint="Which is better, a score of -3 or of 1?")
def largest_absolute_value(scores, n):
    """The score that is largest without its sign is taken: a very bad sample then beats a good one."""
    groups = scores.shape[1] // n
    best = scores[:, : groups * n].reshape(len(scores), groups, n).abs().argmax(-1)
    return best + n * torch.arange(groups)
