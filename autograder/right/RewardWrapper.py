"""Valid variants of RewardWrapper."""

import copy
import itertools

import torch
from torch.nn.utils.rnn import pad_sequence

from rlhf_core.rewards import positive_logit

from ..bank import right


@right
class OneTextAtATime:
    """Every text is a batch of its own, so nothing is ever padded."""

    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length

    def __call__(self, texts):
        self.model.train(False)
        self.tokenizer.truncation_side = "right"
        scores = []
        for text in texts:
            inputs = self.tokenizer(text, truncation=True, max_length=self.max_length, return_tensors="pt")
            logits = self.model(**inputs).logits.detach()
            scores.append(positive_logit(logits, self.model.config.id2label).item())
        return torch.tensor(scores, dtype=torch.float32)


@right
class InOrder:
    """Batches in the order of the texts, in inference mode, with everything that the tokenizer gives passed on."""

    def __init__(self, model, tokenizer, batch_size, max_length):
        tokenizer.padding_side = tokenizer.truncation_side = "right"
        self.model, self.tokenizer, self.batch_size, self.max_length = model, tokenizer, batch_size, max_length
        self.index = {label.lower(): index for index, label in model.config.id2label.items()}["positive"]

    @torch.inference_mode()
    def __call__(self, texts):
        if not texts:
            return torch.empty(0)
        self.model.eval()
        rest, scores = iter(texts), []
        while batch := list(itertools.islice(rest, self.batch_size)):
            inputs = self.tokenizer(
                batch, padding="longest", truncation="longest_first", max_length=self.max_length, return_tensors="pt"
            ).to(self.model.device)
            scores.append(self.model(**inputs)["logits"][..., self.index])
        return torch.cat(scores).to(torch.float32).clone()


@right
class PaddedToTheMaximum:
    """Every batch is padded to max_length; the mode that the model was in is restored afterwards."""

    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer, self.batch_size, self.max_length = model, copy.deepcopy(tokenizer), batch_size, max_length
        self.tokenizer.truncation_side = "right"

    def __call__(self, texts):
        training = self.model.training
        self.model.eval()
        scores = torch.zeros(len(texts), dtype=torch.float32)
        for start in range(0, len(texts), self.batch_size):
            chosen = slice(start, min(start + self.batch_size, len(texts)))
            inputs = self.tokenizer(
                texts[chosen], padding="max_length", truncation=True, max_length=self.max_length, padding_side="right",
                return_tensors="pt", return_token_type_ids=False,
            )  # fmt: skip
            with torch.no_grad():
                logits = self.model(inputs.input_ids, attention_mask=inputs.attention_mask)[0]
            scores[chosen] = positive_logit(logits, self.model.config.id2label).to(scores.dtype)
        self.model.train(training)
        return scores


@right
class PaddedByHand:
    """Token ids first, cut by hand before the closing [SEP]; the longest go first, padded by pad_sequence, and are put back."""

    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer, self.batch_size, self.max_length = model, tokenizer, batch_size, max_length

    def __call__(self, texts):
        for module in self.model.modules():
            module.eval()
        rows = [self.tokenizer.encode(text) for text in texts]
        rows = [row if len(row) <= self.max_length else [*row[: self.max_length - 1], row[-1]] for row in rows]
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        scores = []
        for start in range(0, len(rows), self.batch_size):
            batch = [torch.tensor(rows[i]) for i in order[start : start + self.batch_size]]
            ids = pad_sequence(batch, batch_first=True, padding_value=self.tokenizer.pad_token_id)
            mask = pad_sequence([torch.ones(len(row), dtype=torch.int64) for row in batch], batch_first=True)
            scores += positive_logit(self.model(input_ids=ids, attention_mask=mask).logits, self.model.config.id2label).tolist()
        back = torch.argsort(torch.tensor(order, dtype=torch.int64))
        return torch.tensor(scores, dtype=torch.float32)[back]


@right
class EveryTextOnce:
    """Equal texts are scored once, in a dict; batches are padded by tokenizer.pad, and the result is detached at the end."""

    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer, self.batch_size, self.max_length = model, copy.copy(tokenizer), batch_size, max_length
        self.tokenizer.padding_side = self.tokenizer.truncation_side = "right"

    def __call__(self, texts):
        self.model.eval()
        different, known = list(dict.fromkeys(texts)), {}
        for start in range(0, len(different), self.batch_size):
            batch = different[start : start + self.batch_size]
            rows = [self.tokenizer(text, truncation=True, max_length=self.max_length) for text in batch]
            inputs = self.tokenizer.pad(rows, padding=True, return_tensors="pt")
            logits = self.model(**inputs).logits
            known.update(zip(batch, positive_logit(logits, self.model.config.id2label), strict=True))
        return torch.stack([known[text] for text in texts]).float().detach() if texts else torch.zeros(0)


@right
class CutAfterTheSpecialTokens:
    """The first max_length token ids are kept, whatever they are, of a batch from a DataLoader."""

    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer, self.batch_size, self.max_length = model, tokenizer, batch_size, max_length

    @torch.no_grad()
    def __call__(self, texts):
        self.model.eval()
        loader = torch.utils.data.DataLoader(list(texts), batch_size=self.batch_size, collate_fn=self.encode) if texts else []
        scores = [positive_logit(self.model(**inputs).logits, self.model.config.id2label) for inputs in loader]
        return torch.cat([torch.zeros(0), *scores]).float()

    def encode(self, texts):
        inputs = self.tokenizer(list(texts), padding=True, padding_side="right", return_tensors="pt")
        return {name: x[:, : self.max_length] for name, x in inputs.items()}
