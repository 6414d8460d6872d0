"""The models: a policy with a value head on its trunk, its frozen reference, and the classifier that scores.

A model's name is one of ``embedded:NAME`` (shipped with the course), a folder in the Hugging Face layout, or a hub id.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from .errors import ConfigError, ModelError

EMBEDDED = Path(__file__).parent / "embedded"


@dataclass
class PolicyOutput:
    """`values` (B, L) and `logits` (B, L, V). The projection to the vocabulary is a third of the work of a small model, so it
    waits until somebody asks for it."""

    hidden: torch.Tensor
    values: torch.Tensor
    lm_head: nn.Module
    past_key_values: object = None
    _logits: torch.Tensor = field(default=None, repr=False)

    @property
    def logits(self):
        if self._logits is None:
            self._logits = self.lm_head(self.hidden)
        return self._logits


class PolicyWithValue(nn.Module):
    """A causal language model and, on the same trunk, one linear unit that predicts the return: `.logits` and `.values`.

    The unit starts at zero, so that the first advantages are the rewards themselves and not the noise of a random head.
    """

    def __init__(self, lm):
        super().__init__()
        self.lm = lm
        self.value_head = nn.Linear(lm.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    @property
    def config(self):
        return self.lm.config

    @property
    def device(self):
        return self.lm.device

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=False):
        out = self.lm.base_model(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
            past_key_values=past_key_values, use_cache=use_cache,
        )  # fmt: skip
        hidden = out.last_hidden_state
        values = self.value_head(hidden).squeeze(-1)
        return PolicyOutput(hidden, values, self.lm.get_output_embeddings(), out.past_key_values)


def model_path(name: str) -> str:
    """The folder behind ``embedded:NAME``; any other name as it is. Raises ModelError for an unknown embedded name."""
    if not name.startswith("embedded:"):
        return name
    folder = EMBEDDED / name.removeprefix("embedded:")
    if not folder.is_dir():
        shipped = ", ".join(sorted(f"embedded:{p.parent.name}" for p in EMBEDDED.glob("*/config.json")))
        raise ModelError(f"there is no model {name!r}; the course ships {shipped}")
    return str(folder)


def _load(factory, name: str, **options):
    path = model_path(name)
    try:
        return factory.from_pretrained(path, **options)
    except Exception as error:  # transformers and safetensors raise a dozen kinds here; all mean the same to a user
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = (
            "the folder is damaged or incomplete: make it anew, or name another model"
            if Path(path).exists()
            else 'is the name right, and is there a network? Without one, use a local folder or an "embedded:" model'
        )
        raise ModelError(f"could not load {name!r}: {reason} ({remedy})") from error


def load_tokenizer(name: str):
    """The tokenizer of a model; one without a padding token pads with its end-of-sequence token."""
    tokenizer = _load(AutoTokenizer, name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_causal_lm(name: str, device="cpu", dtype=torch.float32):
    """A causal language model in evaluation mode, without dropout: PPO's ratio of new to old has to start at exactly 1."""
    model = _load(AutoModelForCausalLM, name, dtype=dtype)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.to(device).eval()


def load_classifier(name: str, device="cpu", dtype=torch.float32):
    """A sequence classifier in evaluation mode."""
    return _load(AutoModelForSequenceClassification, name, dtype=dtype).to(device).eval()


def freeze_bottom(lm, layers: int):
    """Keep the embeddings (and with them the tied output projection) and the first `layers` blocks of `lm` as they are.

    Adam moves every weight it is given by about the learning rate, whether the gradient is signal or noise; what is frozen
    cannot drift, so the same reward costs less KL. Backpropagation ends at the first block that is trained, too.
    """
    blocks = next(module for module in lm.base_model.modules() if isinstance(module, nn.ModuleList))
    if not 0 <= layers < len(blocks):
        raise ConfigError(f"frozen_layers has to be 0 to {len(blocks) - 1} for a model of {len(blocks)} blocks, got {layers}")
    for module in lm.base_model.modules():
        if isinstance(module, nn.Embedding):
            module.requires_grad_(False)
    for block in blocks[:layers]:
        block.requires_grad_(False)


def freeze(model):
    """Switch gradients off for good: the reference is only read."""
    return model.eval().requires_grad_(False)
