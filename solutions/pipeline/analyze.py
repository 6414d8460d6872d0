"""The seed's small tool: read the sentiment of any texts."""

from rlhf_core.evaluate import five_level
from rlhf_core.models import load_classifier, load_tokenizer
from rlhf_core.rewards import RewardWrapper, normalize_scores

from .reward_model import positive_probability


def analyze_reviews(texts: list[str], model_name: str = "embedded:reward-imdb", batch_size: int = 64, max_length: int = 256):
    """One dict a text: `text`, `logit`, `p_positive`, `normalized` (among these texts), `reading` (one of five words).

    Raises ModelError when the model cannot be loaded.
    """
    if not texts:
        return []
    model, tokenizer = load_classifier(model_name), load_tokenizer(model_name)
    logits = RewardWrapper(model, tokenizer, batch_size, max_length)(texts)
    p_positive = positive_probability(model, tokenizer, texts, batch_size, max_length)
    rows = zip(texts, logits.tolist(), p_positive.tolist(), normalize_scores(logits).tolist(), strict=True)
    return [
        {"text": text, "logit": logit, "p_positive": p, "normalized": normalized, "reading": five_level(p)}
        for text, logit, p, normalized in rows
    ]
