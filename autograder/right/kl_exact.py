"""Valid variants of kl_exact."""

import torch
import torch.nn.functional as F

from ..bank import right


@right
def by_the_library(logits, ref_logits):
    """torch's kl_div, which takes the reference first, both as logarithms."""
    log_p, log_q = F.log_softmax(logits, dim=-1), F.log_softmax(ref_logits, dim=-1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=-1)


@right
def cross_entropy_minus_entropy(logits, ref_logits):
    """The cross-entropy with the reference, minus the policy's own entropy."""
    log_p = logits.log_softmax(-1)
    p = log_p.exp()
    return (p * log_p).sum(-1) - (p * ref_logits.log_softmax(-1)).sum(-1)


@right
def by_logsumexp(logits, ref_logits):
    """The expected difference of the logits, and the two normalisers once for each place."""
    p = torch.softmax(logits, dim=-1)
    expected = torch.einsum("btv,btv->bt", p, logits - ref_logits)
    return expected - torch.logsumexp(logits, -1) + torch.logsumexp(ref_logits, -1)


@right
def logarithms_detached(logits, ref_logits):
    """The log-ratio as a constant weight: its own gradient has mean 0 under the policy, so nothing is lost."""
    log_ratio = (logits.log_softmax(-1) - ref_logits.log_softmax(-1)).detach()
    return (logits.softmax(-1) * log_ratio).sum(-1)


@right
def place_by_place(logits, ref_logits):
    """Two loops, in float64, the largest logit taken out by hand."""

    def log_probabilities(x):
        x = x - x.max()
        return x - x.exp().sum().log()

    rows = []
    for row, ref_row in zip(logits.double(), ref_logits.double(), strict=True):
        places = []
        for x, y in zip(row, ref_row, strict=True):
            log_p, log_q = log_probabilities(x), log_probabilities(y)
            places.append(torch.dot(log_p.exp(), log_p - log_q))
        rows.append(torch.stack(places))
    return torch.stack(rows).to(logits.dtype)


@right
def never_negative(logits, ref_logits):
    """Rounding below 0 is cut off; the reference is a constant."""
    with torch.no_grad():
        log_q = ref_logits.log_softmax(-1)
    log_p = logits.log_softmax(-1)
    return torch.sum(F.softmax(logits, -1) * (log_p - log_q), dim=-1).clamp(min=0)
