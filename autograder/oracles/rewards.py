"""Lesson 2, slowly: the score of one text at a time."""

import torch

from .advantages import mean, variance


def positive_logit(logits, id2label):
    """The logit of the class labelled "positive", in any case: logits (B, classes) -> (B,)."""
    for index, label in id2label.items():
        if label.lower() == "positive":
            return torch.stack([row[int(index)] for row in logits.double()])
    raise ValueError(f"no label 'positive' among {list(id2label.values())}")


@torch.no_grad()
def reward_scores(model, tokenizer, texts, max_length):
    """The positive logit of each text, alone in its batch and cut on the right to `max_length` tokens: (len(texts),)."""
    modes = [(module, module.training) for module in model.modules()]
    side = tokenizer.truncation_side
    model.eval()
    tokenizer.truncation_side = "right"
    scores = torch.zeros(len(texts), dtype=torch.float64)
    for i, text in enumerate(texts):
        encoded = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        output = model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])
        scores[i] = positive_logit(output.logits, model.config.id2label)[0]
    tokenizer.truncation_side = side
    for module, training in modes:
        module.training = training
    return scores


def length_bonus(texts, target_words=50, weight=0.5):
    """weight * min(words / target_words, 1), words split at white space: (len(texts),)."""
    bonus = torch.zeros(len(texts), dtype=torch.float64)
    for i, text in enumerate(texts):
        bonus[i] = weight * min(len(text.split()) / target_words, 1.0)
    return bonus


def normalize_scores(scores, eps=1e-8, *, unbiased=False):
    """(x - mean) / (std + eps), eps outside the root: (B,) -> (B,)."""
    values = list(scores.double())
    deviation = variance(values, unbiased).sqrt()
    return torch.stack([(x - mean(values)) / (deviation + eps) for x in values])
