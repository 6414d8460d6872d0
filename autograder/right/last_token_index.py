"""Valid variants of last_token_index."""

import torch

from ..bank import right


@right
def seen_from_the_right(attention_mask):
    """The first 1 of the reversed row, counted from the right end."""
    return attention_mask.shape[1] - 1 - attention_mask.long().flip(-1).argmax(-1)


@right
def where_the_count_is_complete(attention_mask):
    """The running count of ones reaches its largest value first at the last 1."""
    return attention_mask.cumsum(-1).argmax(-1)


@right
def first_plus_count(attention_mask):
    """The first 1 plus the number of ones: zeros stand only on the sides."""
    ones = attention_mask.to(torch.int64)
    return ones.argmax(dim=1) + ones.sum(dim=1) - 1


@right
def row_by_row(attention_mask):
    """A loop that steps back from the right end of each row."""
    found = []
    for row in attention_mask.tolist():
        place = len(row) - 1
        while not row[place]:
            place -= 1
        found.append(place)
    return torch.tensor(found)


@right
def by_nonzero(attention_mask):
    """The last entry of nonzero in each row."""
    return torch.stack([row.nonzero().flatten()[-1] for row in attention_mask])


@right
def largest_place(attention_mask):
    """The largest place that is not padding, with -1 on padding."""
    places = torch.arange(attention_mask.size(1)).expand_as(attention_mask)
    return torch.where(attention_mask.bool(), places, -1).amax(dim=-1)


@right
def with_numpy(attention_mask):
    """Over numpy, from the right end."""
    import numpy as np

    mask = attention_mask.numpy().astype(bool)
    return torch.from_numpy(mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)).long()
