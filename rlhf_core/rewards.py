"""Lesson 2. The reward wrapper: a sentiment classifier scores a text, and that score is the reward."""

from .exercise import exercise


@exercise
def positive_logit(logits, id2label):
    """The logit of the class that is called "positive", whatever its index and its case.

    The order of labels differs between published classifiers, and a reward read off a fixed index is then noise or its own
    opposite.  The logit, unlike the probability, does not saturate: a good review can still get better.

    logits: (B, C).  id2label: dict from class index (int or numeric string, in any order) to name, as in `model.config`.
    Returns (B,).  Raises ValueError, naming the labels, when none of them is "positive".
    """


@exercise
class RewardWrapper:
    """Scores texts with a classifier: float32 (B,), the positive logit of each text, in the order of the texts.

    model: a sequence classifier with `config.id2label`, called with input_ids and attention_mask.  tokenizer: the model's own,
    not the policy's: the two talk through text.  batch_size: texts at a time.  max_length: tokens kept, cut on the right.

    Evaluation mode is set at each call, no gradient is kept, and what a text scores does not depend on its batch-mates.
    """

    def __init__(self, model, tokenizer, batch_size, max_length): ...

    def __call__(self, texts): ...


@exercise
def length_bonus(texts, target_words=50, weight=0.5):
    """A bonus that grows with the length of a text and stops at the target.

        bonus = weight * min(words / target_words, 1)        words = len(text.split())

    texts: list of B strings.  Returns float32 (B,), between 0 and `weight`.
    """


@exercise
def normalize_scores(scores, eps=1e-8):
    """Scores with mean 0 and standard deviation 1: (x - mean) / (std + eps), eps outside the root.

    scores: (B,).  Returns (B,); a single score gives 0, equal scores give 0.
    """
