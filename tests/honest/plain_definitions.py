import torch
import torch.nn.functional as F


def gather_logprobs(logits, tokens):
    return F.log_softmax(logits, dim=-1).gather(-1, tokens[..., None])[..., 0]


def masked_mean(x, mask, dim=None):
    x = x.masked_fill(~mask, 0)
    return x.sum() / mask.sum().clamp(min=1) if dim is None else x.sum(dim) / mask.sum(dim).clamp(min=1)


def masked_whiten(x, mask, shift_mean=True, eps=1e-8):
    mean = masked_mean(x, mask)
    var = masked_mean((x - mean) ** 2, mask)
    y = (x - mean) * torch.rsqrt(var + eps) + (0 if shift_mean else mean)
    return y.masked_fill(~mask, 0)


def bradley_terry_loss(chosen, rejected):
    return -F.logsigmoid(chosen - rejected).mean()


def pairwise_accuracy(chosen, rejected):
    return (chosen > rejected).float().mean()


def win_rate(after, before):
    return ((after > before).double() + 0.5 * (after == before).double()).mean()
