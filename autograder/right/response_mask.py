"""Valid variants of response_mask."""

import torch

from ..bank import right


@right
def row_by_row(tokens, eos_token_id):
    """Plain Python: switch to False after the first end."""
    rows = []
    for row in tokens.tolist():
        alive, keep = True, []
        for token in row:
            keep.append(alive)
            alive = alive and token != eos_token_id
        rows.append(keep)
    return torch.tensor(rows, dtype=torch.bool)


@right
def by_index(tokens, eos_token_id):
    """The index of the first end, the last place where there is none, and a comparison with it."""
    is_eos = tokens == eos_token_id
    last = torch.where(is_eos.any(1), is_eos.int().argmax(1), tokens.shape[1] - 1)
    return torch.arange(tokens.shape[1], device=tokens.device) <= last.unsqueeze(1)


@right
def shifted_cumulative_product(tokens, eos_token_id):
    """No end so far, moved one place to the right."""
    alive = (tokens != eos_token_id).long().cumprod(1)
    return torch.cat([torch.ones_like(alive[:, :1]), alive[:, :-1]], 1).bool()


@right
def column_by_column(tokens, eos_token_id):
    """A loop over time that remembers which rows have ended."""
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    ended = torch.zeros(len(tokens), dtype=torch.bool)
    for t in range(tokens.shape[1]):
        mask[:, t] = ~ended
        ended |= tokens[:, t].eq(eos_token_id)
    return mask


@right
def with_numpy(tokens, eos_token_id):
    """numpy's cumulative maximum."""
    import numpy as np

    ended = np.maximum.accumulate(tokens.numpy() == eos_token_id, axis=1)
    mask = np.ones_like(ended)
    mask[:, 1:] = ~ended[:, :-1]
    return torch.from_numpy(mask)
