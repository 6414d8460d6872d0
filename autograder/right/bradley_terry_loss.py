"""Valid variants of bradley_terry_loss."""

import torch
import torch.nn.functional as F

from ..bank import right


@right
def softplus(chosen, rejected):
    """The softplus of the negative difference."""
    return F.softplus(rejected - chosen).mean()


@right
def as_classification(chosen, rejected):
    """Cross-entropy of two classes, of which the first is right."""
    scores = torch.stack([chosen, rejected], dim=-1)
    return F.cross_entropy(scores, torch.zeros(len(chosen), dtype=torch.long))


@right
def as_a_label(chosen, rejected):
    """Binary cross-entropy of the difference against the label 1."""
    difference = chosen - rejected
    return F.binary_cross_entropy_with_logits(difference, torch.ones_like(difference))


@right
def by_logaddexp(chosen, rejected):
    """log(exp(chosen) + exp(rejected)) - chosen, without an overflow."""
    return (torch.logaddexp(chosen, rejected) - chosen).mean()


@right
def by_a_distribution(chosen, rejected):
    """The log-probability of the outcome 1 under a Bernoulli distribution."""
    won = torch.distributions.Bernoulli(logits=chosen - rejected)
    return -won.log_prob(torch.ones_like(chosen)).mean()


@right
def by_hand(chosen, rejected):
    """Pair by pair in plain Python, by the branch that cannot overflow."""
    losses = []
    for c, r in zip(chosen, rejected, strict=True):
        d = c - r
        losses.append(torch.log1p(torch.exp(-d)) if d > 0 else torch.log1p(torch.exp(d)) - d)
    return sum(losses) / len(losses)


@right
def by_log_softmax(chosen, rejected):
    """The log-softmax over the two scores of a pair, computed in float64."""
    scores = torch.cat([chosen.unsqueeze(1), rejected.unsqueeze(1)], 1).double()
    return -scores.log_softmax(1)[:, 0].mean().to(chosen.dtype)


@right
def largest_taken_out(chosen, rejected):
    """max(-d, 0) + log1p(exp(-|d|))."""
    d = chosen - rejected
    return (F.relu(-d) + torch.log1p((-d.abs()).exp())).sum() / d.numel()
