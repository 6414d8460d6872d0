"""Lesson 1. A language model is a policy: the state is the text so far, the action is the next token.

Conventions of the whole course: `B` batch, `P` prompt length, `T` response length, `V` vocabulary.  Prompts are left-padded,
responses right-padded.  `mask` is bool (B, T): True on response tokens up to and including the first end-of-sequence token.
`logits[:, t]` is the distribution that produced `tokens[:, t]`.  Log-probabilities are natural logs, under the distribution
that was really sampled from.
"""

from typing import NamedTuple

import torch

from .exercise import exercise


class Sample(NamedTuple):
    """What a policy answered to a batch of prompts, without the prompts."""

    tokens: torch.Tensor  # int64 (B, T); end-of-sequence after the end
    logprobs: torch.Tensor  # (B, T), dtype of the logits; 0 after the end
    mask: torch.Tensor  # bool (B, T)


@exercise
def gather_logprobs(logits, tokens):
    """Log-probability of each token under its logits.

        log pi(a_t | s_t) = logits[b, t, a_t] - logsumexp_v logits[b, t, v]

    logits: (B, T, V), aligned: logits[:, t] produced tokens[:, t].  tokens: int64 (B, T).
    Returns (B, T), in nats, dtype of the logits, finite at logits of 1e4; the gradient flows to the logits.
    """


@exercise
def response_logprobs(model, input_ids, attention_mask, response_length, temperature=1.0):
    """Log-probabilities of the last `response_length` tokens of each row, given all that stands before them.

    A language model's output at place i is its distribution of the token at place i + 1, so the logits that belong to the
    response begin one place before it.  They are divided by `temperature` first, as they were when the response was sampled.

    model: called as model(input_ids=, attention_mask=, position_ids=), has `.logits` (B, P + T, V).
    input_ids, attention_mask: int64 (B, P + T), prompt (left-padded) and response (right-padded).
    Position ids count the real tokens of each row from 0, whatever the padding on the left.
    Returns (B, response_length), in nats; the gradient flows to the model's parameters.
    """


@exercise
def response_mask(tokens, eos_token_id):
    """True on the tokens of a response up to and including its first end-of-sequence token.

    The policy chose to end the response, so that choice is scored and trained like any other; what stands after it was chosen
    by nobody.  A response without an end-of-sequence token is True everywhere.

    tokens: int64 (B, T).  eos_token_id: one int.  Returns bool (B, T).
    """


@exercise
def sample_response(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Sample a response to each prompt, token by token: a_t ~ softmax(logits_t / temperature).

    No top-k and no top-p: the log-probabilities that are returned have to be those of the distribution sampled from.
    `rlhf_core.decode.Decoder` gives the logits of the next token, with a key-value cache where the model has one.

    prompt_ids, attention_mask: int64 (B, P), left-padded.  temperature > 0.  generator: source of all randomness, or None.
    Returns Sample(tokens, logprobs, mask), each (B, T) with T <= max_new_tokens, without the prompt and without a gradient.
    Rows that have ended hold `eos_token_id` and log-probability 0.
    """
