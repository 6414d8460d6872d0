"""Valid variants of sample_response."""

import torch

from rlhf_core.decode import Decoder
from rlhf_core.padding import join
from rlhf_core.policy import Sample, response_logprobs, response_mask

from ..bank import right


@right
@torch.no_grad()
def gumbel_max_with_the_decoder(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The token with the largest logit plus Gumbel noise is a draw from the softmax."""
    decoder = Decoder(model, prompt_ids, attention_mask, max_new_tokens)
    alive = torch.ones(len(prompt_ids), dtype=torch.bool)
    columns = []
    while len(columns) < max_new_tokens and alive.any():
        logits = decoder.next_logits() / temperature
        uniform = torch.rand(logits.shape, dtype=torch.float64, generator=generator).clamp(min=1e-300)
        chosen = (logits.double() - (-uniform.log()).log()).argmax(-1)
        chosen = torch.where(alive, chosen, eos_token_id)
        logp = logits.log_softmax(-1)[torch.arange(len(chosen)), chosen]
        columns.append((chosen, torch.where(alive, logp, torch.zeros_like(logp)), alive))
        alive = alive & (chosen != eos_token_id)
        decoder.append(chosen)
    return Sample(*(torch.stack(column, 1) for column in zip(*columns, strict=True)))


@right
def own_cache_and_inverse_cdf(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """A cache of its own, a uniform number looked up among the cumulative probabilities; always runs to the end."""
    with torch.no_grad():
        mask, past, ids = attention_mask, None, prompt_ids
        positions = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)
        tokens, logprobs = [], []
        for _ in range(max_new_tokens):
            out = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True)
            past, logits = out.past_key_values, out.logits[:, -1, :] / temperature
            total = logits.double().softmax(-1).cumsum(-1)
            uniform = torch.rand(len(ids), 1, dtype=torch.float64, generator=generator) * total[:, -1:]
            ids = torch.searchsorted(total, uniform, right=True).clamp(max=logits.shape[-1] - 1)
            tokens.append(ids)
            logprobs.append(logits.log_softmax(-1).gather(-1, ids))
            mask = torch.cat([mask, torch.ones_like(ids)], -1)
            positions = positions[:, -1:] + 1
        tokens, logprobs = torch.cat(tokens, 1), torch.cat(logprobs, 1)
        keep = response_mask(tokens, eos_token_id)
        return Sample(tokens.masked_fill(~keep, eos_token_id), logprobs.masked_fill(~keep, 0), keep)


@right
def whole_rows_again_and_scored_afterwards(
    model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None
):
    """No cache; finished rows are no longer seen by the mask; the log-probabilities come from one pass at the end."""
    ids, mask, width = prompt_ids, attention_mask, prompt_ids.shape[1]
    going = torch.ones_like(ids[:, 0])
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits[:, -1]
        token = torch.multinomial(torch.softmax(logits * (1 / temperature), dim=-1), 1, generator=generator).squeeze(-1)
        token = token * going + eos_token_id * (1 - going)
        ids, mask = torch.cat([ids, token[:, None]], 1), torch.cat([mask, going[:, None]], 1)
        going = going * (token != eos_token_id).long()
        if not going.any():
            break
    tokens, keep = ids[:, width:], mask[:, width:].bool()
    with torch.no_grad():
        logprobs = response_logprobs(model, *join(prompt_ids, attention_mask, tokens, keep), tokens.shape[1], temperature)
    return Sample(tokens, logprobs * keep, keep)


@right
@torch.inference_mode()
def filling_tensors(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Results made beforehand and filled in; an exponential race picks the token; lengths instead of flags."""
    batch = len(prompt_ids)
    tokens = prompt_ids.new_full((batch, max_new_tokens), eos_token_id)
    logprobs, lengths = None, torch.full((batch,), max_new_tokens)
    decoder = Decoder(model, prompt_ids, attention_mask, max_new_tokens)
    for t in range(max_new_tokens):
        z = decoder.next_logits() / temperature
        if logprobs is None:
            logprobs = z.new_zeros(batch, max_new_tokens)
        race = z.softmax(-1) / torch.empty_like(z).exponential_(generator=generator)
        choice = race.argmax(-1)
        open_rows = lengths > t
        tokens[open_rows, t] = choice[open_rows]
        logprobs[open_rows, t] = (z.gather(1, choice[:, None]).squeeze(1) - z.logsumexp(1))[open_rows]
        lengths = torch.where(open_rows & (choice == eos_token_id), t + 1, lengths)
        decoder.append(tokens[:, t])
    return Sample(tokens, logprobs, torch.arange(max_new_tokens) < lengths[:, None])


@right
@torch.no_grad()
def row_by_row(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Each prompt alone, without its padding."""
    results = []
    for ids, mask in zip(prompt_ids, attention_mask, strict=True):
        ids = ids[mask == 1].unsqueeze(0)
        tokens, logprobs = [], []
        while len(tokens) < max_new_tokens and (not tokens or tokens[-1] != eos_token_id):
            places = torch.arange(ids.shape[1]).unsqueeze(0)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=places).logits[0, -1]
            logp = (logits / temperature).log_softmax(-1)
            token = torch.multinomial(logp.exp(), 1, generator=generator)
            tokens.append(int(token))
            logprobs.append(logp[token])
            ids = torch.cat([ids, token.unsqueeze(0)], 1)
        rest = max_new_tokens - len(tokens)
        results.append((
            torch.tensor(tokens + [eos_token_id] * rest), torch.cat([*logprobs, logprobs[0].new_zeros(rest)]),
            torch.tensor([True] * len(tokens) + [False] * rest),
        ))  # fmt: skip
    return Sample(*(torch.stack(parts) for parts in zip(*results, strict=True)))
