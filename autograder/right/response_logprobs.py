"""Valid variants of response_logprobs."""

import torch
import torch.nn.functional as F

from rlhf_core.policy import gather_logprobs

from ..bank import right


@right
def shift_everything_then_cut(model, input_ids, attention_mask, response_length, temperature=1.0):
    """The usual shift of a language model over the whole sequence, and the response's places at the end."""
    positions = attention_mask.cumsum(-1) - 1
    positions = positions.masked_fill(attention_mask == 0, 1)
    output = model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions)
    logits, targets = output.logits[:, :-1] / temperature, input_ids[:, 1:]
    logp = F.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return logp[:, -response_length:]


@right
def row_by_row_unpadded(model, input_ids, attention_mask, response_length, temperature=1.0):
    """Each row alone, without its padding, and zeros where a response has ended."""
    rows = []
    for ids, mask in zip(input_ids, attention_mask, strict=True):
        real, start = ids[mask.bool()], ids.shape[0] - response_length
        tokens = int(mask[start:].sum())
        if tokens == 0:
            rows.append(model.head.new_zeros(response_length) if hasattr(model, "head") else torch.zeros(response_length))
            continue
        positions = torch.arange(len(real)).unsqueeze(0)
        out = model(input_ids=real.unsqueeze(0), attention_mask=torch.ones_like(positions), position_ids=positions)
        logits = out.logits[:, -tokens - 1 : -1] / temperature
        logp = -F.cross_entropy(logits[0], real[-tokens:], reduction="none")
        rows.append(F.pad(logp, (0, response_length - tokens)))
    return torch.stack(rows)


@right
def distribution_and_mask(model, input_ids, attention_mask, response_length, temperature=1.0):
    """torch.distributions, with the result multiplied by the mask; padding stands at negative positions."""
    positions = attention_mask.cumsum(-1) - 1
    prompt_length = input_ids.shape[1] - response_length
    logits = model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions).logits
    policy = torch.distributions.Categorical(logits=logits[:, prompt_length - 1 : -1] * (1 / temperature))
    return policy.log_prob(input_ids[:, prompt_length:]) * attention_mask[:, prompt_length:]


@right
def positions_from_the_first_token(model, input_ids, attention_mask, response_length, temperature=1.0):
    """Positions are distances from the first real token of a row, also on the padding behind the response."""
    first = attention_mask.argmax(-1, keepdim=True)
    positions = (torch.arange(input_ids.shape[1]) - first).clamp(min=0)
    logits = model(input_ids, attention_mask=attention_mask, position_ids=positions).logits
    logits = logits.roll(1, dims=1)[:, -response_length:]
    return gather_logprobs(logits.div(temperature), input_ids[:, -response_length:])


@right
def through_float64(model, input_ids, attention_mask, response_length, temperature=1.0):
    """Normalised in float64 with the largest logit subtracted, and back to the dtype of the logits."""
    positions = (attention_mask.cumsum(1) - attention_mask).clamp(min=0)
    out = model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions)
    columns = range(input_ids.shape[1] - response_length, input_ids.shape[1])
    results = []
    for j in columns:
        z = out.logits[:, j - 1].double() / temperature
        z = z - z.amax(-1, keepdim=True)
        chosen = z[torch.arange(len(z)), input_ids[:, j]]
        results.append(chosen - z.exp().sum(-1).log())
    return torch.stack(results, dim=1).to(out.logits.dtype)


@right
def token_by_token_with_a_cache(model, input_ids, attention_mask, response_length, temperature=1.0):
    """The prompt at once, then one token at a time with the cache that the model hands back."""
    width = input_ids.shape[1] - response_length
    positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
    past, start, results = None, 0, []
    for end in range(width, input_ids.shape[1]):
        out = model(
            input_ids=input_ids[:, start:end], attention_mask=attention_mask[:, :end], position_ids=positions[:, start:end],
            past_key_values=past, use_cache=True,
        )  # fmt: skip
        past, start = out.past_key_values, end
        logp = torch.log_softmax(out.logits[:, -1] / temperature, -1)
        results.append(logp.gather(1, input_ids[:, end : end + 1]))
    return torch.cat(results, 1)
