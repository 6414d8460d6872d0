"""Valid variants of masked_mean."""

import torch

from ..bank import right


@right
def multiplied_with_a_small_eps(x, mask, dim=None):
    """Multiplication by the mask, and 1e-8 in the divisor against an empty one."""
    keep = mask.to(x.dtype)
    if dim is None:
        return (x * keep).sum() / (keep.sum() + 1e-8)
    return (x * keep).sum(dim=dim) / (keep.sum(dim=dim) + 1e-8)


@right
def line_by_line(x, mask, dim=None):
    """The True places of every line are picked out and averaged on their own."""

    def one(line, keep):
        return line[keep].mean() if keep.any() else (line * 0).sum()

    if dim is None:
        return one(x, mask)
    lines, masks = x.movedim(dim, -1), mask.movedim(dim, -1)
    width = lines.shape[-1]
    means = [one(line, keep) for line, keep in zip(lines.reshape(-1, width), masks.reshape(-1, width), strict=True)]
    return torch.stack(means).reshape(lines.shape[:-1])


@right
def nan_first_and_repaired(x, mask, dim=None):
    """Of nothing it is NaN at first; then `where` puts a 0 in its place."""
    kept = x.masked_fill(~mask, 0.0)
    dims = tuple(range(x.ndim)) if dim is None else dim
    count = mask.sum(dims)
    return torch.where(count > 0, kept.sum(dims) / count, torch.zeros((), dtype=x.dtype))


@right
def as_weights(x, mask, dim=None):
    """Every True place gets the weight one over the count, and the weighted numbers are summed."""
    keepdim = dim is not None
    count = mask.sum(dim, keepdim=True) if keepdim else mask.sum()
    weights = mask.to(x.dtype) / torch.maximum(count, torch.ones_like(count)).to(x.dtype)
    if not keepdim:
        return torch.einsum("i,i->", x.flatten(), weights.flatten())
    return (x * weights).sum(dim)


@right
def nanmean_in_float64(x, mask, dim=None):
    """Padding becomes NaN, which nanmean leaves out; in float64, returned in the dtype of x."""
    marked = torch.where(mask, x.double(), torch.nan)
    result = marked.nanmean() if dim is None else marked.nanmean(dim)
    return torch.where(result.isnan(), 0.0, result).to(x.dtype)
