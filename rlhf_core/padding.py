"""Batches of unequal lengths: prompts are padded on the left, so that every response begins at the same index."""

import torch


def left_pad(prompts, pad_token_id, device=None):
    """Stack lists of token ids into (ids, mask), both int64 (B, P), padded on the left.

    Raises ValueError for an empty batch and for an empty prompt: a policy needs at least one token to continue.
    """
    if not len(prompts) or not all(len(p) for p in prompts):
        where = next((i for i, p in enumerate(prompts) if not len(p)), None)
        what = "no prompts were given" if where is None else f"prompt {where} is empty"
        raise ValueError(f"{what}: every prompt needs at least one token")
    width = max(len(p) for p in prompts)
    ids = torch.full((len(prompts), width), pad_token_id, dtype=torch.int64)
    mask = torch.zeros(len(prompts), width, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.as_tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def position_ids(attention_mask):
    """Positions (B, L) that count the real tokens of each row from 0, whatever the padding on the left (which gets 0)."""
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)


def join(prompt_ids, prompt_mask, tokens, mask):
    """Prompt and response as one input: (input_ids, attention_mask), both int64 (B, P + T)."""
    return torch.cat([prompt_ids, tokens], 1), torch.cat([prompt_mask, mask.long()], 1)


def response_texts(tokenizer, tokens, mask):
    """The text of each response, without what stands after the end and without special tokens: list of B strings."""
    rows = [row[keep].tolist() for row, keep in zip(tokens.cpu(), mask.cpu(), strict=True)]
    return tokenizer.batch_decode(rows, skip_special_tokens=True)
