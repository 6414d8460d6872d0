"""Make the gold scorer: logistic regression over hashed n-grams, on all 25,000 training reviews and their openings.

    python -m solutions.pipeline.make_gold --imdb DIR --out DIR

Every review counts four times: whole, and cut after 20, 30 and 60 words, because openings are what it will be shown.
Deterministic; about two minutes on one core.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from rlhf_core.data import load_reviews
from rlhf_core.gold import GoldScorer, features


def opening(text: str, words: int) -> str:
    return " ".join(text.split()[:words])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imdb", required=True, help="folder with train.parquet and test.parquet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--strength", type=float, default=10.0, help="inverse of the L2 penalty")
    args = parser.parse_args()
    started = time.time()
    train, test = load_reviews(args.imdb, "train"), load_reviews(args.imdb, "test")
    texts = train.texts + [opening(text, words) for words in (20, 30, 60) for text in train.texts]
    print(f"fitting on {len(texts)} texts")
    model = LogisticRegression(C=args.strength, max_iter=300, verbose=1).fit(features(texts), train.labels * 4)
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out / "weights.npz", weights=model.coef_[0].astype(np.float16), bias=model.intercept_[0])

    gold, label = GoldScorer(args.out / "weights.npz"), np.array(test.labels)
    figures = {"seconds": time.time() - started}
    for name, seen in {"whole": test.texts, "opening": [opening(text, 30) for text in test.texts]}.items():
        p = gold(seen)
        figures[name] = {"accuracy": float(((p > 0.5) == label).mean()), "mean_p_positive": float(p.mean())}
    (args.out / "training.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
