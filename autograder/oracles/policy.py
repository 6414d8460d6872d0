"""Lesson 1, slowly: log-probabilities of response tokens, and where a response ends."""

import torch


def log_softmax(logits):
    """log p_v = z_v - log sum_u exp(z_u) for one distribution (V,)."""
    shifted = logits - logits.max().detach()  # the largest exponent is 0, so that logits of 1e4 do not overflow
    return shifted - shifted.exp().sum().log()


def grid(rows, columns, entry):
    """The (rows, columns) tensor whose element (b, t) is the scalar tensor entry(b, t)."""
    return torch.stack([torch.stack([entry(b, t) for t in range(columns)]) for b in range(rows)])


def gather_logprobs(logits, tokens):
    """log softmax(logits[b, t])[tokens[b, t]]: logits (B, T, V), tokens (B, T) -> (B, T)."""
    logits = logits.double()
    return grid(*tokens.shape, lambda b, t: log_softmax(logits[b, t])[tokens[b, t]])


def run_row(model, input_ids, attention_mask, response_length):
    """Run the model on the real tokens of one row (L,), unpadded; the row has at least one prompt token.

    Returns the output and {t: k}: response token t was produced by index k of the output, the one before its own.
    """
    real = [place for place in range(len(input_ids)) if attention_mask[place]]
    output = model(
        input_ids=input_ids[real].unsqueeze(0),
        attention_mask=torch.ones(1, len(real), dtype=torch.int64, device=input_ids.device),
        position_ids=torch.arange(len(real), device=input_ids.device).unsqueeze(0),
    )
    start = len(input_ids) - response_length
    return output, {place - start: k - 1 for k, place in enumerate(real) if place >= start}


def response_logprobs(model, input_ids, attention_mask, response_length, temperature=1.0):
    """log softmax(z[j - 1] / temperature)[token j] for the last `response_length` places j.

    input_ids, attention_mask (B, P + T) -> (B, T), 0 at padding. One row at a time, so that padding cannot matter.
    """
    rows = []
    for ids, mask in zip(input_ids, attention_mask, strict=True):
        output, produced_at = run_row(model, ids, mask, response_length)
        logits = output.logits[0].double() / temperature
        responses = ids[len(ids) - response_length :]
        row = [(logits * 0).sum()] * response_length
        for t, k in produced_at.items():
            row[t] = log_softmax(logits[k])[responses[t]]
        rows.append(torch.stack(row))
    return torch.stack(rows)


def response_mask(tokens, eos_token_id):
    """True up to and including the first end-of-sequence token of each row: (B, T) -> bool (B, T)."""
    mask = torch.zeros(tokens.shape, dtype=torch.bool, device=tokens.device)
    for b in range(tokens.shape[0]):
        for t in range(tokens.shape[1]):
            mask[b, t] = True
            if tokens[b, t] == eos_token_id:
                break
    return mask


@torch.no_grad()
def next_token_distribution(model, prompt_ids_row, generated_ids, temperature):
    """softmax(z / temperature) (V,) of the token after an unpadded prompt and the tokens generated so far (both 1-d)."""
    ids = torch.tensor([int(token) for token in [*prompt_ids_row, *generated_ids]])
    output, _ = run_row(model, ids, torch.ones_like(ids), 0)
    return log_softmax(output.logits[0, -1].double() / temperature).exp()
