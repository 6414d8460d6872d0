from dataclasses import dataclass, field

import torch


@dataclass
class Limits:
    low: float = -0.2
    high: float = 0.2
    seen: list = field(default_factory=list)

    def clip(self, x):
        self.seen.append(x)
        return max(self.low, min(self.high, x))


class Base:
    def step(self, error, n_steps):
        self.value = self.value * (1 + error * n_steps / self.horizon)


class AdaptiveKLController(Base):
    def __init__(self, init_kl_coef, target, horizon):
        self.value, self.target, self.horizon, self.limits = init_kl_coef, target, horizon, Limits()

    def update(self, kl, n_steps):
        self.step(self.limits.clip(kl / self.target - 1), n_steps)


class RewardWrapper:
    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer = model.eval(), tokenizer
        self.batch_size, self.max_length = batch_size, max_length

    @torch.no_grad()
    def __call__(self, texts):
        scores = []
        for start in range(0, len(texts), self.batch_size):
            batch = self.tokenizer(
                texts[start : start + self.batch_size], padding=True, truncation=True, max_length=self.max_length,
                return_tensors="pt",
            )  # fmt: skip
            scores.append(self.model(**batch).logits[:, 1])
        return torch.cat(scores)
