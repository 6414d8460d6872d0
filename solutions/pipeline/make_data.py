"""Make the embedded reviews: a seeded, balanced sample of IMDB, its two splits kept apart.

    python -m solutions.pipeline.make_data --imdb DIR --out DIR

3,000 reviews from the official `train` split and 1,500 from the official `test` split, as the hub has them (`<br />` kept),
in a shuffled order.  Reviews longer than 3,000 characters are left out to keep the files small.
"""

import argparse
import random
from pathlib import Path

import pyarrow
import pyarrow.parquet

from rlhf_core.data import read_table

SIZES = {"train": 3000, "test": 1500}
LONGEST = 3000  # characters


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imdb", required=True, help="folder with train.parquet and test.parquet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(args.seed)
    for split, size in SIZES.items():
        table = read_table(args.imdb, split, ("text", "label"))
        short = [i for i, text in enumerate(table["text"]) if len(text) <= LONGEST]
        chosen = [i for label in (0, 1) for i in rng.sample([i for i in short if table["label"][i] == label], size // 2)]
        rng.shuffle(chosen)
        rows = {name: [column[i] for i in chosen] for name, column in table.items()}
        pyarrow.parquet.write_table(
            pyarrow.table(rows), args.out / f"{split}.parquet", compression="zstd", compression_level=19
        )
        print(f"{split}: {len(chosen)} reviews, {(args.out / f'{split}.parquet').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
