"""Models small enough to run in a fraction of a millisecond, whose results depend on all that a model is given."""

from types import SimpleNamespace

import torch
from torch import nn


class ToyPolicy(nn.Module):
    """A causal model, called like those of transformers: `.logits` (B, L, V) and `.values` (B, L).

    Place t sees the sum of what stands before and at it, so that tokens, their positions and the attention mask all matter, and
    a forgotten one is visible.  Left out, the mask is 1 everywhere and positions count from the left, as in GPT-2.

    weights: tensors embedding (V, D), position (L, D), head (D, V), value (D,).  dropout: rate in training mode.
    It keeps its calls in `calls`: input_ids, attention_mask, position_ids, training.
    """

    def __init__(self, weights: dict, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Parameter(weights["embedding"].clone())
        self.position = nn.Parameter(weights["position"].clone())
        self.head = nn.Parameter(weights["head"].clone())
        self.value_head = nn.Linear(weights["value"].shape[0], 1, dtype=weights["value"].dtype)
        with torch.no_grad():
            self.value_head.weight.copy_(weights["value"].unsqueeze(0))
            self.value_head.bias.zero_()
        self.dropout = nn.Dropout(dropout)
        vocabulary, width = weights["embedding"].shape
        self.config = SimpleNamespace(vocab_size=vocabulary, hidden_size=width)
        self.calls = []

    @property
    def device(self):
        return self.embedding.device

    def forward(self, input_ids, attention_mask=None, position_ids=None, **cache):
        self.calls.append(
            {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids, "training": self.training}
        )
        memory, past = cache.get("past_key_values"), 0
        if memory is not None and hasattr(memory, "toy_sum"):
            past = memory.toy_length
        new = input_ids.shape[1]
        mask = torch.ones(len(input_ids), new) if attention_mask is None else attention_mask[:, -new:]
        places = torch.arange(past, past + new).expand_as(input_ids) if position_ids is None else position_ids
        places = torch.where(mask.bool(), places, 0)  # padding may stand at any place
        seen = (self.embedding[input_ids] + self.position[places]) * mask.unsqueeze(-1).to(self.embedding.dtype)
        total = seen.cumsum(1)
        if past:
            total = total + memory.toy_sum
        if cache.get("use_cache") or memory is not None:
            memory = SimpleNamespace(get_seq_length=lambda: past + new) if memory is None else memory
            memory.toy_sum, memory.toy_length = total[:, -1:], past + new
        hidden = self.dropout(torch.tanh(total - 0.7 * seen))
        return SimpleNamespace(logits=hidden @ self.head, values=self.value_head(hidden).squeeze(-1), past_key_values=memory)
