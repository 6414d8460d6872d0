"""Lesson 7: an honest evaluation."""

import torch


def bootstrap_ci(x, level=0.95, n_resamples=2000, generator=None):
    device = generator.device if generator is not None else x.device
    draws = torch.randint(len(x), (n_resamples, len(x)), generator=generator, device=device).to(x.device)
    means = x[draws].mean(1)
    tail = (1 - level) / 2
    return means.quantile(tail).item(), means.quantile(1 - tail).item()


def win_rate(after, before):
    wins, ties = (after > before).to(after.dtype), (after == before).to(after.dtype)
    return (wins + 0.5 * ties).mean()


def sequence_kl(logprobs, ref_logprobs, mask):
    return (logprobs - ref_logprobs).masked_fill(~mask, 0.0).sum(-1)
