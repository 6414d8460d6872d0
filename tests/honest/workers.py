import subprocess
import sys
import tempfile
import threading

import torch
from torch.utils.data import DataLoader, TensorDataset

from rlhf_core.advantages import masked_mean
from rlhf_core.preferences import pairwise_accuracy


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    if dim is not None:
        return torch.where(mask, x, 0.0).sum(dim) / mask.sum(dim).clamp(min=1)
    return torch.where(mask, x, 0.0).sum() / mask.sum().clamp(min=1)


@pairwise_accuracy.implement
def pairwise_accuracy(chosen, rejected):
    right, total = 0, 0
    for a, b in DataLoader(TensorDataset(chosen.double(), rejected.double()), batch_size=4, num_workers=2):
        right, total = right + (a > b).sum(), total + len(a)
    return (right / total).to(chosen.dtype if chosen.is_floating_point() else torch.float32)


def length_bonus(texts, target_words=50, weight=0.5):
    with tempfile.NamedTemporaryFile() as file:
        torch.save(torch.tensor([len(text.split()) for text in texts]), file.name)
        words = torch.load(file.name)
    return weight * (words / target_words).clamp(max=1)


def best_of_n_kl(n):
    said = []
    formula = f"import math; print(math.log({n}) - ({n} - 1) / {n})"
    command = [sys.executable, "-c", formula]
    thread = threading.Thread(target=lambda: said.append(subprocess.run(command, capture_output=True, text=True).stdout))
    thread.start()
    thread.join()
    return float(said[0])
