"""Lesson 7. An honest evaluation: held-out prompts, the same plain decoding before and after, intervals, the KL beside it."""

import itertools
import math
from dataclasses import dataclass

import torch
from tqdm.auto import tqdm

from .advantages import masked_mean
from .exercise import exercise
from .padding import join, left_pad
from .policy import response_logprobs, sample_response


@exercise
def bootstrap_ci(x, level=0.95, n_resamples=2000, generator=None):
    """Percentile bootstrap interval of the mean.

    Draw len(x) values with replacement, take their mean, n_resamples times; the interval is between the (1 - level) / 2 and
    (1 + level) / 2 quantiles of those means.

    x: (N,).  level: between 0 and 1.  generator: source of the randomness, or None.  Returns (low, high), two floats.
    Source: Efron 1979.
    """


@exercise
def win_rate(after, before):
    """Share of pairs in which `after` is larger; a tie is half.

    after, before: (N,), paired: the same prompt at the same index.  Returns a scalar between 0 and 1.
    """


@exercise
def sequence_kl(logprobs, ref_logprobs, mask):
    """Estimate of KL(policy || reference) over whole responses: the sum of k1 over True tokens, sign kept.

    It grows with the length of the response; a per-token mean would hide that.

    logprobs, ref_logprobs: (B, T).  mask: bool (B, T).  Returns (B,), in nats; a single one may be negative.
    """


@dataclass
class Evaluation:
    """One response to each held-out prompt, and what was measured about it; all arrays are (N,), paired by prompt."""

    prompts: list[str]
    responses: list[str]
    token_ids: list[list[int]]  # of the responses
    scores: dict[str, torch.Tensor]  # scorer's name -> its score of prompt + response
    sequence_kl: torch.Tensor  # nats
    ref_nll: torch.Tensor  # mean negative log-likelihood of a response token under the reference, nats


@torch.no_grad()
def evaluate_policy(policy, reference, scorers, prompts, tokenizer, max_new_tokens, seed, batch_size=256) -> Evaluation:
    """Let `policy` answer every prompt once, by plain sampling at temperature 1, and measure.

    scorers: name -> function from a list of texts to (N,) scores.  prompts: lists of token ids.
    """
    policy.eval()
    device = next(policy.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    token_ids, kl, nll = [], [], []
    for start in tqdm(range(0, len(prompts), batch_size), desc="evaluate", leave=False):
        prompt_ids, prompt_mask = left_pad(prompts[start : start + batch_size], tokenizer.pad_token_id, device)
        sample = sample_response(policy, prompt_ids, prompt_mask, max_new_tokens, 1.0, tokenizer.eos_token_id, generator)
        ref_logprobs = response_logprobs(
            reference, *join(prompt_ids, prompt_mask, sample.tokens, sample.mask), sample.tokens.shape[1]
        )
        token_ids += [row[keep].tolist() for row, keep in zip(sample.tokens, sample.mask, strict=True)]
        kl.append(sequence_kl(sample.logprobs, ref_logprobs, sample.mask).cpu())
        nll.append(-masked_mean(ref_logprobs, sample.mask, dim=1).cpu())
    prompt_texts = tokenizer.batch_decode(prompts)
    responses = tokenizer.batch_decode(token_ids, skip_special_tokens=True)
    texts = [prompt + response for prompt, response in zip(prompt_texts, responses, strict=True)]
    scores = {name: torch.as_tensor(scorer(texts), dtype=torch.float64) for name, scorer in scorers.items()}
    return Evaluation(prompt_texts, responses, token_ids, scores, torch.cat(kl).double(), torch.cat(nll).double())


def summarize(evaluation: Evaluation, seed: int) -> dict[str, dict[str, float]]:
    """Every measure as {mean, ci_low, ci_high} at 95 %.

    Means over responses take the bootstrap.  The perplexity is exp of the mean of `ref_nll`, and so are its bounds.  distinct_2
    belongs to all the responses together, and resampling would add repetitions, so it takes the jackknife over 16 blocks.
    """

    def interval(x):
        low, high = bootstrap_ci(x, generator=torch.Generator().manual_seed(seed))
        return {"mean": x.mean().item(), "ci_low": low, "ci_high": high}

    lengths = torch.tensor([len(ids) for ids in evaluation.token_ids], dtype=torch.float64)
    summary = {name: interval(scores) for name, scores in evaluation.scores.items()}
    summary["sequence_kl"] = interval(evaluation.sequence_kl)
    summary["ref_perplexity"] = {name: math.exp(value) for name, value in interval(evaluation.ref_nll).items()}
    summary["distinct_2"] = jackknife(distinct_2, evaluation.responses)
    summary["mean_length"] = interval(lengths)
    return summary


def distinct_2(texts: list[str]) -> float:
    """Different pairs of neighbouring words over all pairs: near 1 varied, near 0 repetitive.

    Words, not tokens, so that it does not depend on the tokenizer.  It falls with the number of texts, so compare only equal
    numbers of them.  Source: Li et al. 2016 (arXiv 1510.03055).
    """
    pairs = [pair for words in map(str.split, texts) for pair in itertools.pairwise(words)]
    return len(set(pairs)) / max(len(pairs), 1)


def jackknife(statistic, items: list, blocks: int = 16) -> dict[str, float]:
    """`statistic` of all items, with a 95 % interval from leaving out one block of them at a time."""
    value = statistic(items)
    blocks = min(blocks, len(items))
    without = torch.tensor([statistic([x for i, x in enumerate(items) if i % blocks != b]) for b in range(blocks)])
    error = ((blocks - 1) * (without - without.mean()).square().mean()).sqrt().item() if blocks > 1 else 0.0
    return {"mean": value, "ci_low": value - 1.96 * error, "ci_high": value + 1.96 * error}


FIVE_LEVELS = ("very negative", "negative", "neutral", "positive", "very positive")


def five_level(p_positive: float) -> str:
    """A probability as one of five words: below 0.2, 0.4, 0.6, 0.8, and above."""
    return FIVE_LEVELS[min(int(p_positive * 5), 4)]
