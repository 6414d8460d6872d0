"""Seeded inputs for the checks: ragged, non-zero, rounded to two decimals so that a learner can redo them by hand."""

import hashlib

import torch


class Draw:
    """A source of inputs whose every number follows from a seed and the name of the check."""

    def __init__(self, seed, name: str):
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def normal(self, *shape, scale=1.0):
        """float64, mean 0, deviation `scale`, two decimals; never exactly 0."""
        x = (scale * torch.randn(shape, dtype=torch.float64, generator=self.generator)).round(decimals=2)
        return torch.where(x == 0, 0.37 * scale, x)

    def uniform(self, low, high, *shape):
        """float64 between low and high, two decimals."""
        x = low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=self.generator)
        return x.round(decimals=2)

    def logprobs(self, *shape):
        """Log-probabilities of tokens, -4 to -0.1 nats."""
        return self.uniform(-4, -0.1, *shape)

    def integers(self, low, high, *shape):
        """int64, low <= x < high."""
        return torch.randint(low, high, shape, generator=self.generator)

    def order(self, n):
        return torch.randperm(n, generator=self.generator)

    def mask(self, *lengths, width):
        """bool (B, width), rows of the given lengths in a drawn order: response masks are True from the left."""
        lengths = torch.tensor(lengths)[self.order(len(lengths))]
        return torch.arange(width) < lengths.unsqueeze(1)

    def junk(self, x, mask):
        """x with large numbers of either sign where the mask is False: finite, and seen in any result they leak into."""
        size = self.uniform(15, 30, *x.shape)
        sign = self.integers(0, 2, *x.shape) * 2 - 1
        keep = mask if mask.shape == x.shape else mask.unsqueeze(-1).expand_as(x)
        return torch.where(keep, x, size * sign)

    def policy_weights(self, vocabulary=11, width=8, places=40):
        """Weights of a ToyPolicy, float32, strong enough that what it says depends on what it reads."""
        return {
            "embedding": self.normal(vocabulary, width).float(),
            "position": self.normal(places, width, scale=0.5).float(),
            "head": self.normal(width, vocabulary, scale=0.6).float(),
            "value": self.normal(width, scale=0.4).float(),
        }
