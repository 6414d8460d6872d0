"""Lesson 2: the reward wrapper."""

import copy

import torch

from rlhf_core import rewards


def positive_logit(logits, id2label):
    for index, label in id2label.items():
        if label.lower() == "positive":
            return logits[:, int(index)]
    raise ValueError(f'no label is "positive"; the labels are {list(id2label.values())}')


class RewardWrapper:
    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer = model, copy.copy(tokenizer)
        self.tokenizer.truncation_side = "right"  # some tokenizers come set to cut on the left
        self.batch_size, self.max_length = batch_size, max_length

    @torch.no_grad()
    def __call__(self, texts):
        self.model.eval()
        # Texts of similar length go together, so that little is spent on padding; `scores[batch]` puts them back in order.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        scores = torch.empty(len(texts))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            scores[batch] = self._score([texts[i] for i in batch])
        return scores

    def _score(self, texts):
        device = next(self.model.parameters()).device
        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_length, padding_side="right", return_tensors="pt"
        ).to(device)
        logits = self.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        return rewards.positive_logit(logits, self.model.config.id2label).float().cpu()


def length_bonus(texts, target_words=50, weight=0.5):
    words = torch.tensor([len(text.split()) for text in texts], dtype=torch.float32)
    return weight * (words / target_words).clamp(max=1)


def normalize_scores(scores, eps=1e-8):
    centred = scores - scores.mean()
    return centred / (centred.square().mean().sqrt() + eps)
