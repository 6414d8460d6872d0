"""Movie reviews, and the prompts cut from them.

A source is ``embedded`` (a few thousand reviews shipped with the course), a local folder in the layout of the hub's
`stanfordnlp/imdb` (columns `text` and `label`, 0 negative, 1 positive), or a hub id.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet
from datasets import load_dataset

from .errors import DataError

EMBEDDED = Path(__file__).parent / "embedded" / "imdb"


@dataclass
class Reviews:
    """N texts and their labels, 0 negative or 1 positive."""

    texts: list[str]
    labels: list[int]

    def __len__(self):
        return len(self.texts)

    def subset(self, n: int, seed: int) -> "Reviews":
        """`n` reviews drawn without replacement, or all when there are fewer.

        Always shuffled: IMDB's splits are sorted by label, so their first thousand rows hold one class only.
        """
        order = random.Random(seed).sample(range(len(self)), min(n, len(self)))
        return Reviews([self.texts[i] for i in order], [self.labels[i] for i in order])


def clean_text(text: str) -> str:
    """A review as one line: IMDB keeps the line breaks of its pages as ``<br />``."""
    return re.sub(r"\s+", " ", re.sub(r"<br\s*/?>", " ", text)).strip()


def read_table(source: str, split: str, columns: tuple[str, ...]) -> dict[str, list]:
    """The named columns of one split, as lists. Raises DataError when source, split or a column is missing."""
    folder = EMBEDDED if source == "embedded" else Path(source)
    file = folder / f"{split}.parquet"
    try:
        table = pyarrow.parquet.read_table(file).to_pydict() if file.exists() else load_dataset(source, split=split)[:]
    except Exception as error:  # parquet and datasets raise many kinds; all mean the same to a user
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"could not read split {split!r} of {source!r}: {reason} "
            f'(name a folder that holds {split}.parquet, a hub id with a network, or "embedded")'
        ) from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise DataError(f"{source!r} has no column {missing[0]!r}; its columns are {', '.join(table) or 'none'}")
    return {name: list(table[name]) for name in columns}


def load_reviews(source: str, split: str) -> Reviews:
    """All reviews of a split, cleaned. Raises DataError, also for labels other than 0 and 1."""
    table = read_table(source, split, ("text", "label"))
    strange = sorted(set(table["label"]) - {0, 1}, key=str)
    if strange:
        raise DataError(f"{source!r} split {split!r} has the label {strange[0]!r}; labels are 0 (negative) and 1 (positive)")
    return Reviews([clean_text(text) for text in table["text"]], table["label"])


def make_prompts(texts, tokenizer, min_tokens: int, max_tokens: int, seed: int, exclude=()) -> list[list[int]]:
    """Openings of reviews as token ids: `min_tokens` to `max_tokens` of each, none of `exclude`, none twice.

    Many reviews begin alike ("This movie is"), so a held-out review alone does not make a held-out prompt.
    """
    rng = random.Random(seed)
    seen = {tuple(prompt) for prompt in exclude}
    prompts = []
    for ids in tokenizer([text[: 30 * max_tokens] for text in texts])["input_ids"]:
        prompt = tuple(ids[: rng.randint(min_tokens, max_tokens)])
        if len(prompt) >= min_tokens and prompt not in seen:
            seen.add(prompt)
            prompts.append(list(prompt))
    return prompts
