"""Valid variants of shape_rewards."""

import torch

from ..bank import right


@right
def row_by_row(scores, logprobs, ref_logprobs, mask, kl_coef):
    """Plain Python over rows and tokens."""
    rewards = torch.zeros_like(logprobs)
    for b, length in enumerate(mask.sum(1).tolist()):
        for t in range(length):
            rewards[b, t] = -kl_coef * (logprobs[b, t].item() - ref_logprobs[b, t].item())
        if length:
            rewards[b, length - 1] += scores[b].item()
    return rewards


@right
def indexing_rows_that_are_not_empty(scores, logprobs, ref_logprobs, mask, kl_coef):
    """The penalty times the mask, then the score added by index where there is a last token."""
    rewards = (-kl_coef * (logprobs - ref_logprobs) * mask.to(logprobs.dtype)).detach()
    lengths = mask.sum(-1)
    rows = (lengths > 0).nonzero().squeeze(-1)
    rewards[rows, lengths[rows] - 1] += scores.detach()[rows]
    return rewards


@right
def where_the_mask_ends(scores, logprobs, ref_logprobs, mask, kl_coef):
    """The last True token is the one whose right neighbour is False."""
    with torch.no_grad():
        neighbour = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)
        bonus = torch.where(mask & ~neighbour, scores[:, None], torch.zeros_like(logprobs))
        return torch.where(mask, bonus + kl_coef * (ref_logprobs - logprobs), torch.zeros_like(logprobs))


@right
def by_scatter(scores, logprobs, ref_logprobs, mask, kl_coef):
    """scatter_add at the last token; masked afterwards, which drops the score of an empty row."""
    scores, logprobs, ref_logprobs = scores.detach(), logprobs.detach(), ref_logprobs.detach()
    last = (mask.sum(-1, keepdim=True) - 1).clamp(min=0)
    rewards = (-kl_coef * (logprobs - ref_logprobs)).scatter_add(1, last, scores.unsqueeze(1))
    return rewards * mask


@right
def with_numpy(scores, logprobs, ref_logprobs, mask, kl_coef):
    """Over numpy, in float64."""
    import numpy as np

    s, p, q, m = (x.detach().numpy() for x in (scores, logprobs, ref_logprobs, mask))
    rewards = np.where(m, -kl_coef * (p.astype(np.float64) - q), 0.0)
    ends = m.sum(1)
    rewards[ends > 0, ends[ends > 0] - 1] += s[ends > 0]
    return torch.from_numpy(rewards).to(logprobs.dtype)
