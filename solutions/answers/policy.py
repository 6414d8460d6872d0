"""Lesson 1: a language model is a policy."""

import torch

from rlhf_core import policy
from rlhf_core.decode import Decoder
from rlhf_core.padding import position_ids
from rlhf_core.policy import Sample


def gather_logprobs(logits, tokens):
    chosen = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def response_logprobs(model, input_ids, attention_mask, response_length, temperature=1.0):
    logits = model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask)).logits
    # The logits at place i are about the token at place i + 1: begin one place before the response, leave the last one out.
    logits = logits[:, -response_length - 1 : -1]
    return policy.gather_logprobs(logits / temperature, input_ids[:, -response_length:])


def response_mask(tokens, eos_token_id):
    is_eos = (tokens == eos_token_id).long()
    eos_before = is_eos.cumsum(-1) - is_eos
    return eos_before == 0


@torch.no_grad()
def sample_response(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    decoder = Decoder(model, prompt_ids, attention_mask, max_new_tokens)
    finished = torch.zeros(len(prompt_ids), dtype=torch.bool, device=prompt_ids.device)
    tokens, logprobs = [], []
    for _ in range(max_new_tokens):
        logits = decoder.next_logits() / temperature
        token = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        logprob = policy.gather_logprobs(logits.unsqueeze(1), token)
        token = token.squeeze(1).masked_fill(finished, eos_token_id)
        tokens.append(token)
        logprobs.append(logprob.squeeze(1).masked_fill(finished, 0.0))
        finished = finished | (token == eos_token_id)
        if finished.all():
            break
        decoder.append(token)
    tokens = torch.stack(tokens, 1)
    return Sample(tokens, torch.stack(logprobs, 1), policy.response_mask(tokens, eos_token_id))
