"""Valid variants of masked_entropy."""

import torch
from torch.nn import functional as F

from ..bank import right


@right
def by_the_normaliser(logits, mask):
    """logsumexp less the mean logit, without a log-probability; multiplied by the mask."""
    keep = mask.to(logits.dtype)
    entropy = logits.logsumexp(-1) - (logits.softmax(-1) * logits).sum(-1)
    return (entropy * keep).sum() / keep.sum().clamp(min=1)


@right
def of_a_categorical(logits, mask):
    """torch.distributions, on the True tokens alone."""
    if not mask.any():
        return logits.sum() * 0
    return torch.distributions.Categorical(logits=logits[mask]).entropy().mean()


@right
def as_cross_entropy_with_itself(logits, mask):
    """The cross-entropy of each distribution with itself."""
    flat = logits.flatten(0, 1)
    entropy = F.cross_entropy(flat, flat.softmax(-1), reduction="none").view(mask.shape)
    return torch.where(mask, entropy, torch.zeros_like(entropy)).sum() / max(mask.sum().item(), 1)


@right
def token_by_token(logits, mask):
    """Plain Python over the tokens, in float64 inside."""
    total = (logits.double() * 0).sum()
    for row, column in mask.nonzero().tolist():
        logprobs = F.log_softmax(logits[row, column].double(), dim=0)
        total = total + torch.dot(logprobs.exp(), -logprobs)
    return (total / max(int(mask.sum()), 1)).to(logits.dtype)


@right
def with_an_eps_in_the_logarithm(logits, mask):
    """Stable through an eps that is too small to see, and einsum for the sum."""
    probabilities = logits.softmax(-1)
    entropy = -torch.einsum("btv,btv->bt", probabilities, (probabilities + 1e-10).log())
    return entropy.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)
