"""Lesson 3: a reward model from preferences."""

import torch
import torch.nn.functional as F


def last_token_index(attention_mask):
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (places * attention_mask.long()).argmax(-1)


def bradley_terry_loss(chosen, rejected):
    return -F.logsigmoid(chosen - rejected).mean()


def pairwise_accuracy(chosen, rejected):
    wins = (chosen > rejected).to(chosen.dtype)
    ties = (chosen == rejected).to(chosen.dtype)
    return (wins + 0.5 * ties).mean()
