"""Valid variants of AdaptiveKLController."""

import torch

from ..bank import right


@right
class with_numpy:
    """np.clip, and a numpy number as the value."""

    def __init__(self, init_kl_coef, target, horizon):
        import numpy as np

        self.clip = np.clip
        self.value, self.target, self.horizon = np.float64(init_kl_coef), target, horizon

    def update(self, kl, n_steps):
        error = self.clip(kl / self.target - 1, -0.2, 0.2)
        self.value = self.value * (1 + error * n_steps / self.horizon)
        return self.value


@right
class with_a_tensor:
    """The value is a tensor without dimensions, changed in place."""

    def __init__(self, init_kl_coef, target, horizon):
        self.value = torch.tensor(float(init_kl_coef), dtype=torch.float64)
        self.target = target
        self.horizon = horizon

    def update(self, kl, n_steps):
        error = torch.clamp(torch.tensor(float(kl)) / self.target - 1, min=-0.2, max=0.2)
        self.value.mul_(1 + error * (n_steps / self.horizon))


@right
class by_cases:
    """Three cases instead of a clip; the value stays what it was given until the first update."""

    def __init__(self, init_kl_coef, target, horizon):
        self.value = init_kl_coef
        self.settings = (target, horizon)

    def update(self, kl, n_steps):
        target, horizon = self.settings
        if kl > 1.2 * target:
            error = 0.2
        elif kl < 0.8 * target:
            error = -0.2
        else:
            error = (kl - target) / target
        self.value += self.value * error * n_steps / horizon


@right
class from_its_history:
    """Keeps every factor and multiplies them when asked."""

    def __init__(self, init_kl_coef, target, horizon):
        self.init_kl_coef, self.target, self.horizon = init_kl_coef, target, horizon
        self.factors = []

    @property
    def value(self):
        product = self.init_kl_coef
        for factor in self.factors:
            product = product * factor
        return product

    def update(self, kl, n_steps):
        ratio = max(0.8, min(1.2, kl / self.target))
        self.factors.append(1 + (ratio - 1) * n_steps / self.horizon)
