"""sample_response on a toy policy: what it returns, and what it leaves behind."""

from types import SimpleNamespace

import torch
from torch.nn.functional import pad

from ..toys import ToyPolicy

NAMES = ("tokens", "logprobs", "mask")


class CachingPolicy(ToyPolicy):
    """A ToyPolicy whose cache keeps all that was read, masked or not: with a cache, too, the mask has to cover the whole row.

    Columns that the mask lacks on the right are not seen, as in transformers.
    """

    def __init__(self, weights):
        super().__init__(weights)
        layer = SimpleNamespace(sliding_window=None)
        self.config.num_hidden_layers, self.config.per_layer_config = 1, [layer]  # what the caches of transformers ask for
        self.config.get_text_config = lambda **_: self.config

    def forward(self, input_ids, attention_mask=None, position_ids=None, **cache):
        memory = cache.get("past_key_values")
        before = getattr(memory, "toy_read", self.embedding.new_zeros(len(input_ids), 0, self.embedding.shape[1]))
        past, length = before.shape[1], before.shape[1] + input_ids.shape[1]
        mask = input_ids.new_ones(len(input_ids), length) if attention_mask is None else attention_mask.long()
        mask = pad(mask, (0, max(length - mask.shape[1], 0)))[:, :length]
        places = torch.arange(past, length).expand_as(input_ids) if position_ids is None else position_ids
        read = self.embedding[input_ids] + self.position[torch.where(mask[:, past:].bool(), places, 0)]
        read = torch.cat([before, read], 1)
        if cache.get("use_cache") or memory is not None:
            memory = SimpleNamespace(get_seq_length=lambda: length) if memory is None else memory
            memory.toy_read = read
        seen = read * mask.unsqueeze(-1).to(read.dtype)
        hidden = torch.tanh(seen.cumsum(1) - 0.7 * seen)[:, past:]
        values = self.value_head(hidden).squeeze(-1)
        return SimpleNamespace(logits=hidden @ self.head, values=values, past_key_values=memory)


def draw(implementation, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, seed, **weights):
    """One call with a generator of its own, on a policy of these weights."""
    policy = CachingPolicy(weights).eval()
    generator = torch.Generator().manual_seed(seed)
    before = torch.get_rng_state()
    result = implementation(policy, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator)
    seen = {"random_state": [before, torch.get_rng_state()], "prompt_ids": prompt_ids, "attention_mask": attention_mask}
    return seen | parts(result)


def parts(result) -> dict:
    """The three tensors by name, from a Sample or from any tuple of three; else what it was."""
    named = all(hasattr(result, name) for name in NAMES)
    if not named and not (isinstance(result, tuple | list) and len(result) == 3):
        size = f" of {len(result)}" if isinstance(result, tuple | list | dict) else ""
        return {"named": False, "other": "None" if result is None else f"a {type(result).__name__}{size}"}
    three = [getattr(result, name) for name in NAMES] if named else list(result)
    carries = [name for name, x in zip(NAMES, three, strict=True) if isinstance(x, torch.Tensor) and x.requires_grad]
    return {"named": named, "carries_gradient": carries} | dict(zip(NAMES, three, strict=True))


def draw_again(implementation, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, seed, **weights):
    """Two calls with one generator, one with a new generator of the same seed, and two without any."""
    policy = CachingPolicy(weights).eval()
    arguments = (max_new_tokens, temperature, eos_token_id)

    def tokens(**options):
        result = implementation(policy, prompt_ids.clone(), attention_mask.clone(), *arguments, **options)
        return parts(result).get("tokens")

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        first, second = tokens(generator=generator), tokens(generator=generator)
        again = tokens(generator=torch.Generator().manual_seed(seed))
        return {"first": first, "second": second, "again": again, "without": [tokens(), tokens()]}
