"""Stage 1: fine-tune a sentiment classifier on movie reviews; it becomes the reward model of stage 2.

One function, used at every size: to make the embedded reward model, by `rlhf-course run --preset tiny`, and by the full-size
presets.
"""

import math
import random

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm


def crop(text: str, rng: random.Random, min_words: int = 8, from_start: float = 0.7) -> str:
    """A random stretch of a review, its length log-uniform between `min_words` and all of it.

    The reward model will score openings of 30 words, not whole reviews, so it has to have seen short ones.  Most stretches
    begin where the review begins, as the scored ones do.
    """
    words = text.split()
    if len(words) <= min_words:
        return text
    length = round(math.exp(rng.uniform(math.log(min_words), math.log(len(words)))))
    start = 0 if rng.random() < from_start else rng.randrange(len(words) - length + 1)
    return " ".join(words[start : start + length])


def bucketed_batches(lengths: list[int], batch_size: int, rng: random.Random, pool: int = 50) -> list[list[int]]:
    """Shuffled batches of similar length: each pool of `pool` batches is sorted, cut, and its batches shuffled."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), pool * batch_size):
        chunk = sorted(order[start : start + pool * batch_size], key=lengths.__getitem__)
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    rng.shuffle(batches)
    return batches


def fine_tune(model, tokenizer, texts, labels, *, epochs, batch_size, learning_rate, max_length, seed,
              cropped=True, autocast=None, description="reward model"):  # fmt: skip
    """Train `model` in place with cross-entropy; AdamW, warm-up over 5 % of the steps, then linear to zero.

    texts, labels: N reviews and their classes.  autocast: a dtype for mixed precision, or None.
    Returns the mean training loss of each epoch, in nats.
    """
    device = model.device
    rng = random.Random(seed)
    torch.manual_seed(seed)  # dropout
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    total = epochs * math.ceil(len(texts) / batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.05 * total + 1), (total - step) / total)
    )
    losses = []
    with tqdm(total=total, desc=description) as bar:
        for epoch in range(epochs):
            model.train()
            seen = [crop(text, rng) for text in texts] if cropped else texts
            token_ids = tokenizer(seen, truncation=True, max_length=max_length)["input_ids"]
            epoch_loss = 0.0
            for batch in bucketed_batches([len(ids) for ids in token_ids], batch_size, rng):
                # Few different lengths: each new shape costs memory that the CPU's kernels keep.
                rows = {"input_ids": [token_ids[i] for i in batch]}
                inputs = tokenizer.pad(rows, pad_to_multiple_of=16, return_tensors="pt").to(device)
                target = torch.tensor([labels[i] for i in batch], device=device)
                with torch.autocast(device.type, autocast, enabled=autocast is not None):
                    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
                loss = F.cross_entropy(logits.float(), target)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                epoch_loss += loss.item() * len(batch)
                bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.3f}", refresh=False)
                bar.update()
            losses.append(epoch_loss / len(texts))
    model.eval()
    return losses


@torch.no_grad()
def predict(model, tokenizer, texts, *, batch_size=64, max_length=256) -> torch.Tensor:
    """P(class) of every text, in the order of the texts: float32 (N, classes)."""
    model.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result = torch.empty(len(texts), model.config.num_labels)
    for start in tqdm(range(0, len(order), batch_size), desc="predict", leave=False, disable=len(texts) < 600):
        batch = order[start : start + batch_size]
        inputs = tokenizer([texts[i] for i in batch], truncation=True, max_length=max_length, padding=True, return_tensors="pt")
        inputs = inputs.to(model.device)
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        result[batch] = logits.softmax(-1).float().cpu()
    return result


def positive_probability(model, tokenizer, texts, batch_size, max_length) -> torch.Tensor:
    """P(positive) of every text: float32 (N,)."""
    index = next(int(i) for i, label in model.config.id2label.items() if label.lower() == "positive")
    return predict(model, tokenizer, texts, batch_size=batch_size, max_length=max_length)[:, index]
