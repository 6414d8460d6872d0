"""Valid variants of masked_whiten."""

import torch

from rlhf_core.advantages import masked_mean

from ..bank import right


@right
def only_the_true_tokens(x, mask, shift_mean=True, eps=1e-8):
    """The True tokens are picked out, whitened and put back."""
    result, kept = torch.zeros_like(x), x[mask]
    if kept.numel() == 0:
        return result
    mean, variance = kept.mean(), kept.var(unbiased=False)
    result[mask] = (kept - mean) / torch.sqrt(variance + eps) + (0 if shift_mean else mean)
    return result


@right
def unbiased(x, mask, shift_mean=True, eps=1e-8):
    """With the unbiased variance: over one token less, but never over none."""
    mean = masked_mean(x, mask)
    centred = (x - mean) * mask
    variance = centred.square().sum() / (mask.sum() - 1).clamp(min=1)
    whitened = centred * torch.rsqrt(variance + eps)
    return whitened if shift_mean else whitened + mean * mask


@right
def from_two_moments(x, mask, shift_mean=True, eps=1e-8):
    """The variance as mean of squares minus square of the mean, in float64, where it loses nothing."""
    kept = torch.where(mask, x, 0.0).double()
    count = mask.sum().clamp(min=1)
    mean = kept.sum() / count
    variance = (kept.square().sum() / count - mean.square()).clamp(min=0)
    whitened = (kept - mean) / (variance + eps).sqrt()
    if not shift_mean:
        whitened += mean
    return whitened.masked_fill(~mask, 0.0).to(x.dtype)


@right
def plain_python(x, mask, shift_mean=True, eps=1e-8):
    """Plain Python, token by token."""
    result = torch.zeros_like(x)
    places = mask.nonzero().tolist()
    values = [x[b, t].item() for b, t in places]
    if not values:
        return result
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    for (b, t), value in zip(places, values, strict=True):
        result[b, t] = (value - mean) / (variance + eps) ** 0.5 + (0.0 if shift_mean else mean)
    return result


@right
def unbiased_where_there_are_two(x, mask, shift_mean=True, eps=1e-8):
    """The unbiased variance by Bessel's factor, and the biased one of a single token; NaN of nothing is masked away."""
    count = mask.sum()
    mean = torch.where(mask, x, torch.zeros_like(x)).sum() / count
    variance = torch.where(mask, (x - mean) ** 2, torch.zeros_like(x)).sum() / count
    if count > 1:
        variance = variance * count / (count - 1)
    whitened = (x - mean) / torch.sqrt(variance + eps)
    if shift_mean is False:
        whitened = whitened + mean
    return torch.where(mask, whitened, torch.zeros_like(x))
