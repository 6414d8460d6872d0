"""Make the embedded reward model: a small DistilBERT, first on SST-2, then on IMDB.

    python -m solutions.pipeline.make_reward_model --data DIR --out DIR

The same two steps as at full size, where the first is done by whoever published
`distilbert-base-uncased-finetuned-sst-2-english`.  Its own lower-case WordPiece of 8,192 tokens, 2 layers of width 256.
Writes ``OUT/reward-sst2`` and ``OUT/reward-imdb``.  Seeded; a step whose folder stands is not done again.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from datasets import load_dataset
from tokenizers import BertWordPieceTokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from rlhf_core.data import clean_text

from .reward_model import fine_tune, predict

VOCAB_SIZE, MAX_LENGTH = 8192, 256


def read(path: Path, column: str) -> tuple[list[str], list[int]]:
    table = load_dataset("parquet", data_files=str(path), split="train")[:]
    return [clean_text(text) for text in table[column]], list(table["label"])


def make_tokenizer(texts: list[str], folder: Path):
    wordpiece = BertWordPieceTokenizer(lowercase=True)
    wordpiece.train_from_iterator(texts, vocab_size=VOCAB_SIZE, show_progress=True)
    folder.mkdir(parents=True, exist_ok=True)
    wordpiece.save_model(str(folder))
    return BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True, model_max_length=MAX_LENGTH)


def calibration_error(probability: torch.Tensor, label: torch.Tensor, bins: int = 10) -> float:
    """Expected calibration error: |mean P(positive) - share of positives|, weighted over `bins` equal bins of P."""
    index = (probability * bins).long().clamp(max=bins - 1)
    gaps = [(probability[index == b].sum() - label[index == b].sum()).abs() for b in range(bins)]
    return (torch.stack(gaps).sum() / len(label)).item()


def card_figures(model, tokenizer, texts, labels) -> dict:
    """Accuracy and calibration on the test split: whole reviews (first 256 tokens) and openings of 30 words."""
    label = torch.tensor(labels)
    figures = {}
    for name, seen in {"whole": texts, "opening": [" ".join(text.split()[:30]) for text in texts]}.items():
        p = predict(model, tokenizer, seen, max_length=MAX_LENGTH)[:, 1]
        figures[name] = {
            "accuracy": ((p > 0.5).long() == label).float().mean().item(),
            "calibration_error": calibration_error(p, label),
            "mean_p_positive": p.mean().item(),
        }
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with imdb/ and sst2/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sst2-epochs", type=int, default=3)
    parser.add_argument("--imdb-epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    sst2_texts, sst2_labels = read(args.data / "sst2/train.parquet", "sentence")
    imdb_texts, imdb_labels = read(args.data / "imdb/train.parquet", "text")
    common = {"batch_size": 64, "max_length": MAX_LENGTH, "seed": args.seed, "autocast": torch.bfloat16}

    sst2 = args.out / "reward-sst2"
    if not (sst2 / "training.json").exists():
        tokenizer = make_tokenizer(sst2_texts + imdb_texts, sst2)
        config = DistilBertConfig(
            vocab_size=len(tokenizer), max_position_embeddings=MAX_LENGTH, dim=256, hidden_dim=1024, n_layers=2, n_heads=4,
            dropout=0.2, attention_dropout=0.1, seq_classif_dropout=0.2, pad_token_id=tokenizer.pad_token_id,
            id2label={0: "NEGATIVE", 1: "POSITIVE"}, label2id={"NEGATIVE": 0, "POSITIVE": 1},
        )  # fmt: skip
        model = DistilBertForSequenceClassification(config)
        started = time.time()
        losses = fine_tune(model, tokenizer, sst2_texts, sst2_labels, epochs=args.sst2_epochs, learning_rate=5e-4,
                           cropped=False, description="SST-2", **common)  # fmt: skip
        seconds = time.time() - started
        texts, labels = read(args.data / "sst2/validation.parquet", "sentence")
        accuracy = (predict(model, tokenizer, texts).argmax(1) == torch.tensor(labels)).float().mean().item()
        save(model, tokenizer, sst2, {"losses": losses, "seconds": seconds, "sst2_validation_accuracy": accuracy})

    imdb = args.out / "reward-imdb"
    if not (imdb / "training.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(sst2)
        model = AutoModelForSequenceClassification.from_pretrained(sst2, dtype=torch.float32)
        started = time.time()
        losses = fine_tune(model, tokenizer, imdb_texts, imdb_labels, epochs=args.imdb_epochs, learning_rate=4e-4,
                           description="IMDB", **common)  # fmt: skip
        seconds = time.time() - started
        figures = card_figures(model, tokenizer, *read(args.data / "imdb/test.parquet", "text"))
        save(model, tokenizer, imdb, {"losses": losses, "seconds": seconds, "imdb_test": figures})


def save(model, tokenizer, folder: Path, measured: dict):
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    (folder / "training.json").write_text(json.dumps(measured, indent=1))
    print(folder.name, json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
