"""Mistakes in last_token_index."""

import torch

from ..bank import WrongAnswer, wrong


def last(attention_mask):
    """The right index, for the mistakes that come after it."""
    return (torch.arange(attention_mask.shape[1]) * attention_mask.long()).argmax(-1)


@wrong(about="reading", read="last", hint="Where does each row hold its last 1, counted from 0 on the left?")
def always_minus_one(attention_mask):
    """The last place of the row is taken (-1 is Python's name for it, not an index), whatever the mask says is real there."""
    return torch.full((attention_mask.shape[0],), attention_mask.shape[1] - 1)


@always_minus_one.also
def _(attention_mask):
    return torch.full((attention_mask.shape[0],), -1)


@wrong(about="reading", read="last", hint="A row begins with two zeros and has three ones: at which index is the third?")
def counts_the_mask(attention_mask):
    """The number of ones, minus one, is the last index only where no zeros stand on the left."""
    return attention_mask.sum(-1) - 1


@wrong(about="reading", read="last", hint="What does argmin return for a row that has no 0 at all?")
def argmin_trap(attention_mask):
    """The place before the first 0 is taken: a row without a 0 gives 0 - 1 = -1, and zeros on the left are found first."""
    return attention_mask.long().argmin(-1) - 1


@argmin_trap.also
def _(attention_mask):
    zeros = (attention_mask == 0).long().argmax(-1)  # clamped: a row without a 0 gives its first place
    return (zeros - 1).clamp(min=0)


@wrong(about="reading", read="last", hint="Which 0 does your code find in a row with zeros on both sides?")
def before_the_first_zero(attention_mask):
    """The place before the first 0 is taken, which is the last 1 only in rows that are not padded on the left as well."""
    return (attention_mask.long().argmin(-1) - 1) % attention_mask.shape[1]


@before_the_first_zero.also
def _(attention_mask):
    first = (attention_mask == 0).long().argmax(-1)
    return torch.where(attention_mask.bool().all(-1), attention_mask.shape[1] - 1, first - 1)


@before_the_first_zero.also
def _(attention_mask):
    first = (attention_mask == 0).long().argmax(-1)
    return torch.where(attention_mask.bool().all(-1), attention_mask.shape[1] - 1, (first - 1).clamp(min=0))


@before_the_first_zero.also
def _(attention_mask):
    found = []
    for row in attention_mask.tolist():
        place = 0
        while place + 1 < len(row) and row[place + 1]:
            place += 1
        found.append(place)
    return torch.tensor(found)


@wrong(about="reading", read="last", hint="argmax of ones and zeros: which of several equal ones does it return?")
def first_one(attention_mask):
    """The first 1 of the row is returned, not the last: argmax takes the first of equal values."""
    return attention_mask.long().argmax(-1)


@wrong(about="time", read="last", hint="Indices begin at 0: what is the index of the third of three tokens?")
def one_too_far(attention_mask):
    """The index is one too large: it is the place after the last 1."""
    return last(attention_mask) + 1


@one_too_far.also
def _(attention_mask):
    return attention_mask.sum(-1)


@one_too_far.also
def _(attention_mask):
    return (last(attention_mask) + 1).clamp(max=attention_mask.shape[1] - 1)


@one_too_far.also
def _(attention_mask):
    return attention_mask.long().argmin(-1)  # the first 0


@wrong(about="time", read="last", hint="Which token does a row of a single token give?")
def one_too_early(attention_mask):
    """The index is one too small: it is the place before the last 1."""
    return last(attention_mask) - 1


@one_too_early.also
def _(attention_mask):
    return (last(attention_mask) - 1).clamp(min=0)


@one_too_early.also
def _(attention_mask):
    return attention_mask.sum(-1) - 2


@wrong(about="time", read="last", hint="From which end does an index into the row count?")
def counted_from_the_right(attention_mask):
    """The place is counted from the right end of the reversed row and never turned back into an index from the left."""
    return attention_mask.long().flip(-1).argmax(-1)


@counted_from_the_right.also
def _(attention_mask):
    return -attention_mask.long().flip(-1).argmax(-1) - 1


@counted_from_the_right.also
def _(attention_mask):
    return attention_mask.shape[1] - attention_mask.sum(-1)


@wrong(about="shape", read="last", hint="Which of the two axes of the mask are the tokens of one text?")
def wrong_axis(attention_mask):
    """The tokens of a text run along the last axis; this looks down the batch."""
    return (torch.arange(attention_mask.shape[0]).unsqueeze(1) * attention_mask.long()).argmax(0)


@wrong_axis.also
def _(attention_mask):
    return attention_mask.long().argmax(0)


@wrong_axis.also
def _(attention_mask):
    return attention_mask.sum(0) - 1


@wrong(about="shape", read="last", hint="Does each row of your result follow from that row of the mask alone?")
def one_index_for_the_batch(attention_mask):
    """One index, that of the longest row, is returned for all rows."""
    return last(attention_mask).max().expand(attention_mask.shape[0])


@one_index_for_the_batch.also
def _(attention_mask):
    return last(attention_mask).max()


@one_index_for_the_batch.also
def _(attention_mask):
    return (attention_mask.sum(-1) - 1).max().expand(attention_mask.shape[0])


@wrong(about="shape", read="last", hint="One index for each row: what shape is that?")
def keeps_a_dimension(attention_mask):
    """The result keeps an axis of length 1; one index for each row is of shape (B,)."""
    return last(attention_mask).unsqueeze(-1)


@wrong(about="shape", read="last", hint="Which dtype does torch want for an index?")
def not_int64(attention_mask):
    """The result is not int64, so it cannot be used as an index in torch."""
    return last(attention_mask).float()


@not_int64.also
def _(attention_mask):
    return last(attention_mask).int()


@wrong(about="reading", read="last", hint="What happens when you call it with `mask.bool()`?")
def int64_only(attention_mask):
    """Only an int64 mask works: argmax, minus and the like are not defined for bool, so convert the mask first."""
    return last(1 * attention_mask - (attention_mask - attention_mask))


@wrong(about="reading", read="last", hint="What happens when you call it with `mask.long()`?")
def bool_only(attention_mask):
    """Only a bool mask works: torch.where and indexing read an int64 mask differently, so convert it first."""
    return torch.where(attention_mask, torch.arange(attention_mask.shape[1]), -1).amax(-1)


@bool_only.also
def _(attention_mask):
    return torch.stack([torch.arange(len(row))[row].max() for row in attention_mask])


def raw(mistake):
    """The same mistake, by code that does not work for a bool mask."""

    def of_int64_masks(attention_mask):
        if attention_mask.dtype == torch.bool:
            raise RuntimeError("not defined for bool")
        return mistake(attention_mask)

    return of_int64_masks


def add_raw_forms():
    for name, mistake in list(globals().items()):
        if isinstance(mistake, WrongAnswer) and name not in ("_", "int64_only", "bool_only"):
            for form in list(mistake.forms):
                mistake.also(raw(form))


add_raw_forms()


@wrong(about="reading", read="last", hint="Which 0 do you find in a row that has none behind its last 1?")
def no_zero_behind(attention_mask):
    """The place before the first 0 behind the text is taken, and a row that is not padded on the right has no such 0."""
    ones = attention_mask.long()
    behind = (ones == 0) & (ones.cumsum(-1) > 0)
    return behind.int().argmax(-1) - 1


@no_zero_behind.also
def _(attention_mask):
    ones = attention_mask.long()
    behind = (ones == 0) & (ones.cumsum(-1) > 0)
    return (behind.int().argmax(-1) - 1).clamp(min=0)
