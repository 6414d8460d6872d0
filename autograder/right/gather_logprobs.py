"""Valid variants of gather_logprobs."""

import torch
import torch.nn.functional as F

from ..bank import right


@right
def log_softmax_then_gather(logits, tokens):
    """All log-probabilities first, then the ones that were asked for."""
    return torch.log_softmax(logits, dim=-1).gather(2, tokens[..., None])[..., 0]


@right
def minus_cross_entropy(logits, tokens):
    """The negative log-likelihood of a classifier, with the vocabulary as the second dimension."""
    return -F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


@right
def flattened_cross_entropy(logits, tokens):
    """Places of all rows in one list, and back."""
    return -F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)


@right
def as_a_distribution(logits, tokens):
    """torch.distributions does the work."""
    return torch.distributions.Categorical(logits=logits).log_prob(tokens)


@right
def one_hot_product(logits, tokens):
    """An einsum with one-hot rows, through float64."""
    chosen = F.one_hot(tokens, logits.shape[-1]).double()
    return torch.einsum("btv,btv->bt", logits.double().log_softmax(-1), chosen).to(logits.dtype)


@right
def place_by_place(logits, tokens):
    """Loops over rows and places, with the largest logit subtracted by hand."""
    rows = []
    for row, ids in zip(logits, tokens, strict=True):
        shifted = row - row.max(dim=-1, keepdim=True).values
        total = shifted.exp().sum(-1).log()
        rows.append(torch.stack([shifted[t, int(ids[t])] - total[t] for t in range(len(ids))]))
    return torch.stack(rows)


@right
def advanced_indexing(logits, tokens):
    """Index tensors instead of gather."""
    batch, length = tokens.shape
    logp = F.log_softmax(logits, -1)
    return logp[torch.arange(batch).unsqueeze(1), torch.arange(length), tokens]
