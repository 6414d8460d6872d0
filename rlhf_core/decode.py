"""Step-by-step decoding: the logits of the next token, without computing the whole prefix again where that can be avoided."""

import inspect

import torch
from transformers import StaticCache

from .padding import position_ids


class Decoder:
    """Gives the logits of the next token and takes the token that was chosen.

        decoder = Decoder(model, prompt_ids, attention_mask, max_new_tokens)
        for _ in range(max_new_tokens):
            logits = decoder.next_logits()      # (B, V)
            decoder.append(tokens)              # int64 (B,)

    A model whose forward takes `past_key_values` keeps the keys and values of what it has read in a cache of fixed size, and
    reads one new token a step; any other model reads the whole row again.
    """

    def __init__(self, model, prompt_ids, attention_mask, max_new_tokens):
        self.model = model
        self.input_ids, self.mask = prompt_ids, attention_mask.long()
        self.cache = None
        if "past_key_values" in inspect.signature(model.forward).parameters:
            self.cache = StaticCache(model.config, max_cache_len=prompt_ids.shape[1] + max_new_tokens)

    def next_logits(self):
        positions = position_ids(self.mask)
        if self.cache is None:
            out = self.model(input_ids=self.input_ids, attention_mask=self.mask, position_ids=positions)
            return out.logits[:, -1]
        new = self.input_ids.shape[1]
        out = self.model(
            input_ids=self.input_ids, attention_mask=self.mask, position_ids=positions[:, -new:],
            past_key_values=self.cache, use_cache=True,
        )  # fmt: skip
        return out.logits[:, -1]

    def append(self, tokens):
        new = tokens.unsqueeze(1)
        self.input_ids = new if self.cache is not None else torch.cat([self.input_ids, new], 1)
        self.mask = torch.cat([self.mask, torch.ones_like(new)], 1)
