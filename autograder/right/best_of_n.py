"""Valid variants of best_of_n."""

import torch

from ..bank import right


@right
def sample_by_sample(scores, n):
    """Plain Python, group by group; a later sample wins only where it is really better."""
    prompts, samples = scores.shape
    best = torch.zeros(prompts, samples // n, dtype=torch.int64)
    for prompt, row in enumerate(scores.tolist()):
        for group in range(samples // n):
            places = range(group * n, group * n + n)
            best[prompt, group] = max(places, key=lambda place, row=row: row[place])
    return best


@right
def by_unfold(scores, n):
    """Windows of n samples that are n apart."""
    if n > scores.shape[1]:
        return torch.empty(len(scores), 0, dtype=torch.int64)
    windows = scores.unfold(1, n, n)
    _, within = windows.max(dim=2)
    return within + torch.arange(windows.shape[1]).mul(n)


@right
def by_a_stable_sort(scores, n):
    """The groups sorted downwards; a stable sort keeps the first of a tie in front."""
    groups = scores.size(1) // n
    cut = scores.narrow(1, 0, groups * n).reshape(scores.size(0), groups, n)
    order = torch.sort(cut, dim=-1, descending=True, stable=True).indices
    starts = torch.arange(0, groups * n, n)
    return order[..., 0] + starts[None, :] if groups else torch.zeros(scores.size(0), 0, dtype=torch.long)


@right
def with_numpy(scores, n):
    """In numpy, whose argmax takes the first of a tie as well."""
    array = scores.detach().numpy()
    groups = array.shape[1] // n
    columns = [array[:, g * n : (g + 1) * n].argmax(1) + g * n for g in range(groups)]
    if not columns:
        return torch.empty((array.shape[0], 0), dtype=torch.int64)
    return torch.stack([torch.as_tensor(column) for column in columns], dim=1).long()
