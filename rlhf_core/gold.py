"""The gold scorer: a second opinion that the policy never trains against.

Logistic regression over words and pairs of words: another kind of model than the reward, so that what fools one need not fool
the other.  When the reward rises and gold does not, the policy has found a weakness of the reward model (lesson 8).
"""

from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

N_FEATURES = 2**18
EMBEDDED = Path(__file__).parent / "embedded" / "gold" / "weights.npz"


def features(texts):
    """Hashed uni- and bigram counts scaled to length 1, sparse (N, 2**18): nothing to store but the weights."""
    vectorizer = HashingVectorizer(ngram_range=(1, 2), n_features=N_FEATURES, alternate_sign=False, norm="l2")
    return vectorizer.transform(texts)


class GoldScorer:
    """P(positive) of each text: sigmoid(features @ weights + bias)."""

    def __init__(self, path: Path = EMBEDDED):
        with np.load(path) as stored:
            self.weights, self.bias = stored["weights"].astype(np.float32), float(stored["bias"])

    def __call__(self, texts) -> np.ndarray:
        """texts: N strings. Returns float (N,)."""
        if not len(texts):
            return np.zeros(0)
        return 1 / (1 + np.exp(-(features(texts) @ self.weights + self.bias)))
