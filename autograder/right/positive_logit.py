"""Valid variants of positive_logit."""

import torch

from ..bank import right


@right
def by_the_inverse_dict(logits, id2label):
    """The dict turned round, from the label in lower case to its index."""
    label2id = {label.lower(): int(index) for index, label in id2label.items()}
    if "positive" not in label2id:
        raise ValueError(f"expected a label 'positive', got {sorted(label2id)}")
    return logits.select(1, label2id["positive"])


@right
def by_a_product(logits, id2label):
    """A one-hot column picks the class; all keys are turned into numbers first."""
    names = {int(key): name.casefold() for key, name in id2label.items()}
    chosen = [float(names.get(i) == "positive") for i in range(logits.shape[-1])]
    if not any(chosen):
        raise ValueError("no positive label: " + ", ".join(id2label.values()))
    return torch.where(torch.tensor(chosen) == 1, logits, torch.zeros_like(logits)).sum(-1)


@right
def one_row_at_a_time(logits, id2label):
    """Plain Python: the class is looked for in upper case, then one number is taken from every row."""
    found = [int(key) for key in sorted(id2label, key=int) if str(id2label[key]).upper() == "POSITIVE"]
    if len(found) == 0:
        raise ValueError(f"labels are {id2label}")
    return torch.stack([row[found[0]] for row in logits])


@right
def by_gather(logits, id2label):
    """An index for each text, and gather."""
    try:
        index = next(i for i, label in id2label.items() if label.lower() == "positive")
    except StopIteration:
        raise ValueError(f"{', '.join(id2label.values())}: none of them is positive") from None
    columns = torch.full((logits.shape[0], 1), int(index))
    return logits.gather(1, columns).flatten()
