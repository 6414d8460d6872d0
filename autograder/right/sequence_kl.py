"""Valid variants of sequence_kl."""

import torch

from rlhf_core.advantages import masked_mean
from rlhf_core.kl import kl_estimate

from ..bank import right


@right
def multiplying_by_the_mask(logprobs, ref_logprobs, mask):
    """A float mask, and an einsum for the sum."""
    return torch.einsum("bt,bt->b", logprobs - ref_logprobs, mask.to(logprobs.dtype))


@right
def in_plain_python(logprobs, ref_logprobs, mask):
    """Row by row and token by token, with Python numbers."""
    totals = []
    for policy_row, reference_row, mask_row in zip(logprobs.tolist(), ref_logprobs.tolist(), mask.tolist(), strict=True):
        totals.append(sum((p - r for p, r, m in zip(policy_row, reference_row, mask_row, strict=True) if m), 0.0))
    return torch.tensor(totals, dtype=logprobs.dtype, device=logprobs.device)


@right
def the_last_of_a_running_sum(logprobs, ref_logprobs, mask):
    """A cumulative sum over time, of which the last column is taken."""
    return torch.where(mask, logprobs - ref_logprobs, torch.zeros_like(logprobs)).cumsum(1)[:, -1]


@right
def by_the_exercises(logprobs, ref_logprobs, mask):
    """The masked mean of kl_estimate's k1, times the number of tokens."""
    return masked_mean(kl_estimate(logprobs, ref_logprobs, "k1"), mask, dim=1) * mask.sum(1)


@right
def one_sum_minus_the_other(logprobs, ref_logprobs, mask):
    """The log-probability of the response under the one, minus that under the other, in float64."""
    keep = mask.double()
    total = (logprobs.double() * keep).sum(-1) - (ref_logprobs.double() * keep).sum(-1)
    return total.to(logprobs.dtype)


@right
def only_the_true_ones(logprobs, ref_logprobs, mask):
    """The True tokens are picked out and added to their rows by index."""
    rows = mask.nonzero()[:, 0]
    totals = torch.zeros(len(mask), dtype=logprobs.dtype, device=logprobs.device)
    return totals.index_add(0, rows, (logprobs - ref_logprobs)[mask])
