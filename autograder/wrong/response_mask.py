"""Mistakes in response_mask."""

import torch

from ..bank import wrong


def ended(is_eos, dim=-1):
    """True from the first end on."""
    return is_eos.long().cumsum(dim) > 0


def until(last, tokens):
    return torch.arange(tokens.shape[1]) <= last.unsqueeze(1)


@wrong(about="mask", read="end", hint="Who chose to end the response, and should that choice be scored?")
def drops_the_eos(tokens, eos_token_id):
    """The first end-of-sequence token itself is False, though the policy chose it like any other token."""
    return ~ended(tokens == eos_token_id)


@drops_the_eos.also
def _(tokens, eos_token_id):
    is_eos = tokens == eos_token_id
    first = torch.where(is_eos.any(1), is_eos.long().argmax(1), tokens.shape[1])
    return until(first - 1, tokens)


@wrong(about="mask", read="end", hint="Who chose the tokens that stand after the first end-of-sequence token?")
def keeps_everything_after(tokens, eos_token_id):
    """What stands after the first end-of-sequence token stays True, though nobody chose it."""
    return torch.ones_like(tokens, dtype=torch.bool)


@wrong(
    about="mask", read="end", hint="If a row holds the end-of-sequence token three times, at which of them is the episode over?"
)
def stops_at_the_last_eos(tokens, eos_token_id):
    """The response is cut at the last end-of-sequence token of a row, not at the first."""
    is_eos = tokens == eos_token_id
    last = tokens.shape[1] - 1 - is_eos.flip(1).long().argmax(1)
    return until(torch.where(is_eos.any(1), last, tokens.shape[1] - 1), tokens)


@stops_at_the_last_eos.also
def _(tokens, eos_token_id):
    is_eos = tokens == eos_token_id
    return (is_eos.flip(1).long().cumsum(1).flip(1) > 0) | ~is_eos.any(1, keepdim=True)


@stops_at_the_last_eos.also
def _(tokens, eos_token_id):
    # Row by row, with an index that the next end overwrites.
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for b, row in enumerate(tokens.tolist()):
        last = len(row) - 1
        for t, token in enumerate(row):
            if token == eos_token_id:
                last = t
        mask[b, : last + 1] = True
    return mask


@wrong(about="mask", read="end", hint="The end-of-sequence token also serves as padding: which of them did the policy choose?")
def masks_every_eos(tokens, eos_token_id):
    """Every end-of-sequence token is treated as padding, the chosen one too, and other tokens after it stay True."""
    return tokens != eos_token_id


@wrong(about="time", read="end", hint="Count by hand: a response that ends at its first place has how many True tokens?")
def one_too_many(tokens, eos_token_id):
    """The mask ends one place too late: the first token after the end-of-sequence token is True as well."""
    over = ended(tokens == eos_token_id)
    start = torch.zeros_like(over[:, :1])
    return ~torch.cat([start, start, over[:, :-1]], 1)[:, : tokens.shape[1]]


@one_too_many.also
def _(tokens, eos_token_id):
    return (tokens == eos_token_id).long().cumsum(1).cumsum(1) <= 2


@one_too_many.also
def _(tokens, eos_token_id):
    is_eos = tokens == eos_token_id
    first = torch.where(is_eos.any(1), is_eos.long().argmax(1), tokens.shape[1] - 1)
    return until(first + 1, tokens)


@wrong(about="mask", read="end", hint="With ends at places 2 and 4, what is your running count at places 2, 3 and 4?")
def stops_at_the_second_eos(tokens, eos_token_id):
    """The running count of ends may reach 1 anywhere, so all between the first end and the second one stays True."""
    return (tokens == eos_token_id).long().cumsum(-1) <= 1


@stops_at_the_second_eos.also
def _(tokens, eos_token_id):
    # Everything before the second end.
    return (tokens == eos_token_id).long().cumsum(-1) < 2


@wrong(about="mask", read="end", hint="What does argmax give for a row without an end-of-sequence token?")
def no_end_no_response(tokens, eos_token_id):
    """A row without an end-of-sequence token is cut down, as the index of its first one reads 0: it is True everywhere."""
    return until((tokens == eos_token_id).long().argmax(1), tokens)


@no_end_no_response.also
def _(tokens, eos_token_id):
    is_eos = tokens == eos_token_id
    return until(is_eos.long().argmax(1), tokens) & is_eos.any(1, keepdim=True)


@no_end_no_response.also
def _(tokens, eos_token_id):
    is_eos = (tokens == eos_token_id).long()
    return (is_eos.flip(1).cumsum(1).flip(1) > 0) & (is_eos.cumsum(1) - is_eos == 0)


@no_end_no_response.also
def _(tokens, eos_token_id):
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for b, row in enumerate(tokens.tolist()):
        if eos_token_id in row:
            mask[b, : row.index(eos_token_id) + 1] = True
    return mask


@no_end_no_response.also
def _(tokens, eos_token_id):
    # The end itself is lost, too.
    return until((tokens == eos_token_id).long().argmax(1) - 1, tokens)


@wrong(about="mask", read="end", hint="If a response ends and is padded, how many of its end-of-sequence tokens were chosen?")
def keeps_every_eos(tokens, eos_token_id):
    """Every end-of-sequence token is True, the first one and those of the padding alike."""
    is_eos = tokens == eos_token_id
    return ~ended(is_eos) | is_eos


@wrong(about="mask", read="end", hint="Which tokens take part in a loss, the True ones or the False ones?")
def inverted(tokens, eos_token_id):
    """True and False are exchanged: the mask marks the padding, not the response."""
    is_eos = (tokens == eos_token_id).long()
    return is_eos.cumsum(-1) - is_eos > 0


@inverted.also
def _(tokens, eos_token_id):
    return ended(tokens == eos_token_id)


@inverted.also
def _(tokens, eos_token_id):
    return tokens == eos_token_id


@wrong(about="time", read="end", hint="Along which dimension of (B, T) does a response run?")
def along_the_batch(tokens, eos_token_id):
    """The running count goes down the rows of the batch (dim=0), so a row ends where another one has ended."""
    is_eos = (tokens == eos_token_id).long()
    return is_eos.cumsum(0) - is_eos == 0


@along_the_batch.also
def _(tokens, eos_token_id):
    return (tokens == eos_token_id).long().cumsum(0) == 0


@wrong(about="reading", read="end", hint="Does every row of a batch end at the same place?")
def one_length_for_all(tokens, eos_token_id):
    """All rows are cut at the same place, where the first one of the batch ends."""
    is_eos = (tokens == eos_token_id).long().amax(0, keepdim=True)
    return (is_eos.cumsum(-1) - is_eos == 0).expand_as(tokens).clone()


@one_length_for_all.also
def _(tokens, eos_token_id):
    is_eos = (tokens[:1] == eos_token_id).long()
    return (is_eos.cumsum(-1) - is_eos == 0).expand_as(tokens).clone()


@wrong(about="reading", read="end", hint="Where does your code use eos_token_id?")
def pads_with_zero(tokens, eos_token_id):
    """The end is looked for at token 0, whatever eos_token_id says."""
    is_eos = (tokens == 0).long()
    return is_eos.cumsum(-1) - is_eos == 0


@pads_with_zero.also
def _(tokens, eos_token_id):
    return tokens != 0


@wrong(about="shape", read="end", hint="What does `~` do to an integer, and what does indexing by integers do?")
def numbers_for_booleans(tokens, eos_token_id):
    """The mask holds the numbers 0 and 1: indexing by it, or `~mask`, then does something else than with True and False."""
    is_eos = (tokens == eos_token_id).long()
    return (is_eos.cumsum(-1) - is_eos == 0).long()


@numbers_for_booleans.also
def _(tokens, eos_token_id):
    is_eos = (tokens == eos_token_id).long()
    return (is_eos.cumsum(-1) - is_eos == 0).float()


@numbers_for_booleans.also
def _(tokens, eos_token_id):
    is_eos = (tokens == eos_token_id).int()
    return (is_eos.cumsum(-1) - is_eos == 0).int()
