"""The bug hunt of lesson 8: nine checks of what a training recipe does, each with a diagnosis of its own.

    inspect_recipe(Recipe())

The recipe is the learner's class; what it does is looked at, never how it is written.  Its methods get small inputs of ours,
and policies that give every token the same known probability at each step, whatever came before: what a recipe draws from them
can be counted, and compared with what plain sampling would give.
"""

import functools
import html
import math
import sys
from collections import Counter
from dataclasses import dataclass

import torch

from rlhf_core.data import load_reviews
from rlhf_core.models import load_causal_lm, load_classifier, load_tokenizer

from . import oracles
from .driver.call import Listed, observe
from .plain_sampling import (
    CERTAIN,
    TOKENS,
    Reads,
    against_each_other,
    ending,
    entropy_of,
    narrow,
    policy_of,
    ranks,
    surprise_of,
    tokenizer,
    unlike_plain,
    wide,
)
from .selfcheck import show
from .show import STYLE, badge, escaped, indented, status_text

SECONDS = 60  # a call of the recipe
STEPS = 200  # of Adam in the listing: 50 batches, 4 epochs, one minibatch
ROWS = 256  # how many responses are drawn from a policy of ours


class Unusable(Exception):
    """What the recipe raised, or gave back in a form that cannot be judged; its text is for the learner."""


@dataclass
class Verdict:
    """What a check measured, for the table; diagnosis: what is wrong, or None."""

    measured: str
    diagnosis: str | None = None


@dataclass
class Row:
    """One check in the table. It passed where the diagnosis is None."""

    title: str
    question: str
    measured: str
    diagnosis: str | None

    @property
    def status(self) -> str:
        return "passed" if self.diagnosis is None else "failed"


def inspect_recipe(recipe, seed: int = 0):
    """Show which of the nine faults a recipe has: an instance of the class `Recipe` of lesson 8.

    Nothing of it is changed, and neither is the global random state.
    """
    show(Inspection(inspection(recipe, seed)))


def inspection(recipe, seed: int = 0) -> list[Row]:
    """The nine checks, each on its own: one that cannot be done leaves the others alone. A class is made an instance."""
    rows, recipe = [], recipe() if isinstance(recipe, type) else recipe
    for title, check, question in CHECKS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                verdict = check(recipe)
            except Unusable as error:
                verdict = Verdict("", str(error))
            except Exception as error:  # a result of a kind that nobody thought of
                verdict = Verdict(
                    "", f"What this part of the recipe returns cannot be judged ({type(error).__name__}: {error})."
                )
        rows.append(Row(title, question, verdict.measured, verdict.diagnosis))
    return rows


# Calling the recipe


def result_of(what: str, call):
    """call(), without what it prints. Raises Unusable for an exception, and for a call that does not come back."""
    seen = observe(call, {}, SECONDS)
    if seen.raised is not None:
        error = seen.raised
        where = f", at {error.where}" if error.where else ""
        if error.type == "TimeIsUp":
            raise Unusable(f"{what} was stopped: {error.message}{where}.")
        raise Unusable(f"{what} does not work: {error.type}: {error.message}{where}.")
    return seen.returned


def tensor_of(what: str, call, shape: tuple, dtype=None) -> torch.Tensor:
    """The tensor that call() returns, of this shape (None: any size) and this kind of dtype. Raises Unusable."""
    result = result_of(what, call)
    wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    if not isinstance(result, torch.Tensor):
        kind = "a list" if isinstance(result, Listed) else type(result).__name__
        raise Unusable(f"{what} returned {kind}, expected a tensor of shape {wanted}.")
    fits = len(result.shape) == len(shape) and all(size in (None, n) for size, n in zip(shape, result.shape, strict=True))
    if not fits or result.numel() == 0:
        raise Unusable(f"{what} returned a tensor of shape {tuple(result.shape)}, expected {wanted}.")
    if dtype is float:
        if not result.is_floating_point() or not result.isfinite().all():
            raise Unusable(f"{what} returned {result.dtype}, or values that are not finite; expected finite floats.")
    elif dtype is not None and result.dtype != dtype:
        raise Unusable(f"{what} returned {result.dtype}, expected {dtype}.")
    return result


# The nine checks


def sampled(recipe, probabilities, first=1, rows=ROWS, vocabulary=TOKENS + 1) -> tuple[torch.Tensor, int]:
    """Sequences (rows, P + T) that the recipe trains on, from a policy with these probabilities, and P."""
    prompts = torch.randint(1, 1 + len(probabilities) - (first == 0), (rows, 5))
    policy = policy_of(probabilities, first, vocabulary)
    sequences = tensor_of("sample", lambda: recipe.sample(policy, prompts.clone()), (rows, None), torch.int64)
    if not torch.equal(sequences[:, :5], prompts):
        raise Unusable("sample does not return the prompts (B, P) with the responses behind them, (B, P + T).")
    if sequences.shape[1] == 5:
        raise Unusable("sample returned no response: the prompts (B, P) alone.")
    return sequences, 5


def learning_rate(recipe) -> Verdict:
    rate = result_of("learning_rate", lambda: recipe.learning_rate)
    if isinstance(rate, torch.Tensor) and rate.numel() == 1:
        rate = rate.item()
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not math.isfinite(rate):
        raise Unusable(f"learning_rate is {rate!r}, expected a number.")
    moved = probe()
    step, reach = moved(rate), moved(STEPS * rate)
    measured = f"{reach:.1g} nats in {STEPS} steps"
    if rate <= 0 or reach < 0.1:
        return Verdict(
            measured,
            f"A step of Adam moves a weight by about {rate:.0e}. If all {STEPS} steps of the listing went the same way, the "
            f"policy's next token would be {reach:.1g} nats from where it was: nothing is learned, whatever the reward says.",
        )
    if not step < 1:  # NaN included
        return Verdict(
            f"{step:.1f} nats in one step",
            f"A step of Adam moves a weight by about {rate:g}. After the first step the policy's next token is {step:.1f} nats "
            "from where it was: what the policy knew of language is gone before the second batch.",
        )
    return Verdict(f"{step:.1g} nats a step")


@functools.cache
def probe():
    """moved(size): by how many nats a token the embedded policy moves when each weight goes by `size` along a gradient."""
    lm = load_causal_lm("embedded:policy")
    texts = [text[:200] for text in load_reviews("embedded", "test").texts[:8]]
    ids = torch.tensor([ids[:16] for ids in tokenizer()(texts).input_ids])

    def logprobs():
        return lm(input_ids=ids).logits.log_softmax(-1)

    with torch.enable_grad():
        logprobs()[:, :-1].gather(-1, ids[:, 1:, None]).mean().backward()
    weights = {name: p.detach().clone() for name, p in lm.named_parameters()}
    start = logprobs().detach()

    @torch.no_grad()
    def moved(size):
        for name, p in lm.named_parameters():
            p.copy_(weights[name] + size * p.grad.sign())
        now = logprobs()
        return (now.exp() * (now - start)).sum(-1).mean().clamp(min=0).item()

    return moved


def prompts(recipe) -> Verdict:
    batches = [tensor_of("prompts", recipe.prompts, (None, None), torch.int64) for _ in range(8)]
    rows = [tuple(row) for batch in batches for row in batch.tolist()]
    counts = Counter(rows)
    distinct, commonest = len(counts), max(counts.values()) / len(rows)
    if distinct >= 32 and commonest <= 1 / 8:
        return Verdict(f"{distinct} in 8 batches")
    if distinct >= 32:
        return Verdict(
            f"{commonest:.0%} are the same", f"One prompt makes up {commonest:.0%} of 8 batches: it is what is learned."
        )
    different = "one prompt" if distinct == 1 else f"{distinct} different prompts"
    return Verdict(
        f"{distinct} in 8 batches",
        f"8 batches, {len(rows)} rows, hold {different}. What the policy learns, it learns about these words: how it goes on "
        "after any others is never tried.",
    )


def minimum_length(recipe) -> Verdict:
    sequences, start = sampled(recipe, ending(), first=0)
    ended = sequences[:, start:] == tokenizer().eos_token_id
    first = torch.where(ended.any(1), ended.long().argmax(1), ended.shape[1])
    shortest = int(first.min()) + 1  # the end itself is a token of the response
    share = (first == 0).float().mean()
    if shortest == 1:  # the probability that none of 256 ends here is 0.7 ** 256, below 1e-39
        return Verdict(f"{share:.0%} end at token 1")
    seen = f"the first end is token {shortest}" if ended.any() else f"none ends within {ended.shape[1]} tokens"
    return Verdict(
        f"first end: {shortest if ended.any() else 'never'}",
        f"A policy that ends with probability 0.3 at every token wrote {len(first)} responses, and {seen}. Where the policy "
        "wants to end it may not, and what is written in place of the end is trained on as its own choice.",
    )


def sampling(recipe) -> Verdict:
    """A policy with a long tail shows what changes or cuts off probabilities; one with four tokens, what blocks n-grams."""
    probabilities = wide()
    batch = sampled(recipe, probabilities)
    surprise, entropy = surprise_of(ranks([batch], 1, TOKENS), probabilities), entropy_of(probabilities)
    said = unlike_plain([batch], 1, probabilities, (1,))
    if not said:
        batch = sampled(recipe, narrow(), rows=ROWS // 4)
        said = unlike_plain([batch], 1, narrow(), (2, 3, 4, 5, 6))
    measured = f"{surprise:.2f} for {entropy:.2f} nats"
    if not said:
        return Verdict(measured)
    return Verdict(
        measured,
        f"From a policy with known probabilities {listed(said)}. The log-probabilities in ratio and KL are the plain policy's: "
        "they are about a distribution that nobody sampled from, so that even the sign of the KL is not to be trusted.",
    )


def listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def split(recipe) -> Verdict:
    trained = []
    for rows, length, new in ((3, 4, 6), (2, 7, 3), (1, 1, 5)):
        sequences = torch.arange(1, rows * (length + new) + 1).view(rows, -1)
        given = sequences[:, :length]
        result = result_of("split", lambda s=sequences, g=given: recipe.split(s.clone(), g.clone()))
        if not isinstance(result, tuple | list) or len(result) != 2 or not all(isinstance(x, torch.Tensor) for x in result):
            raise Unusable("split has to return two tensors: the context and the tokens that are trained on.")
        context, tokens = result
        if [tuple(x.shape[:1]) for x in result] != [(rows,)] * 2 or context.dim() != 2 or tokens.dim() != 2:
            raise Unusable(f"split returned shapes {tuple(context.shape)} and {tuple(tokens.shape)} for {rows} sequences.")
        whole = torch.equal(torch.cat([context, tokens], 1), sequences)
        trained.append((length, new, tokens.shape[1], whole))
    wrong = [(length, new, n, whole) for length, new, n, whole in trained if n != new or not whole]
    if not wrong:
        return Verdict("responses alone")
    length, new, n, whole = wrong[0]
    seen = f"Of a prompt of {length} tokens and a response of {new}, {n} tokens are trained on"
    if n > new:
        why = f"{n - new} of them are the prompt's, which the policy did not choose: their rewards and advantages say nothing"
    elif n < new:
        why = f"{new - n} that the policy chose are not, and count as given"
    else:
        why = "and they are not the response, or the context is not the prompt: the log-probabilities are those of another text"
    return Verdict(f"{n} of {new} tokens", f"{seen}; {why}.")


def mask(recipe) -> Verdict:
    eos = tokenizer().eos_token_id
    rows = [
        [5, 6, 7, 8, 9, 3],
        [5, eos, eos, eos, eos, eos],
        [eos, 5, 6, eos, 7, 8],
        [5, 6, 7, eos, 9, eos],
        [5, 6, 7, 8, 9, eos],
    ]
    tokens = torch.tensor(rows)
    got = tensor_of("mask", lambda: recipe.mask(tokens.clone()), (5, 6), torch.bool)
    wanted = oracles.response_mask(tokens, eos)
    extra, short = int((got & ~wanted).sum()), int((wanted & ~got).sum())
    measured = f"{int(got.sum())} tokens of {int(wanted.sum())}"
    if not extra and not short:
        return Verdict(measured)
    said = []
    if extra:
        said.append(
            f"{extra} of {int((~wanted).sum())} places behind an end are True: padding is trained on as if the policy had "
            "chosen it, and the score stands behind the end"
        )
    if short:
        ends = int((wanted & ~got & (tokens == eos)).sum())
        said.append(
            f"{short} of {int(wanted.sum())} tokens that the policy chose are False, {ends} of them a first end: what is "
            "False is never learned"
        )
    return Verdict(measured, f"In five responses {listed(said)}.")


def scores(recipe) -> Verdict:
    texts, sentiment = texts_by_length()
    got = tensor_of("scores", lambda: recipe.scores(list(texts)), (len(texts),), float).double().view(len(WORDS), -1)
    centred = sentiment - sentiment.mean(1, keepdim=True)
    spread = centred.square().mean().sqrt()
    within = got - got.mean(1, keepdim=True)
    agreement = (centred * within).sum() / (centred.norm() * within.norm()).clamp(min=1e-12)
    if agreement < 0.5:
        return Verdict(
            f"correlation {agreement:.2f}",
            f"Among texts of the same length the scores have a correlation of {agreement:.2f} with the sentiment: it is "
            "something else that is rewarded.",
        )
    # What a score owes to the sentiment is taken off, by least squares within a length; what is left, the length has given.
    per_sentiment = (centred * got).sum() / centred.square().sum()
    left = got.mean(1) - per_sentiment * sentiment.mean(1)
    given = ((left[-1] - left[0]) / (per_sentiment * spread)).item()
    largest = ((left.max() - left.min()) / (per_sentiment * spread)).item()
    measured = f"{round(given, 1) + 0.0:.1f} spreads"
    if largest < 0.5:
        return Verdict(measured)
    return Verdict(
        measured,
        f"From {WORDS[0]} to {WORDS[-1]} words, at the same sentiment, the score changes by {given:.1f} times the standard "
        "deviation of the sentiment (less than half is accepted). To write more is easier than to write better, so a policy "
        "writes more.",
    )


WORDS = (4, 12, 40)


@functools.cache
def texts_by_length() -> tuple[list[str], torch.Tensor]:
    """Beginnings of 32 reviews, with 4, with 12 and with 40 words, and the sentiment of each, float64 (3, 32)."""
    reviews = [text.split() for text in load_reviews("embedded", "test").texts[:32]]
    texts = [" ".join(words[:n]) for n in WORDS for words in reviews]
    model, words = load_classifier("embedded:reward-imdb"), load_tokenizer("embedded:reward-imdb")
    return texts, oracles.reward_scores(model, words, texts, max_length=64).view(len(WORDS), -1)


def kl(recipe) -> Verdict:
    """All tokens of a small vocabulary are given, so that the mean over the policy's samples is a sum and has no noise."""
    generator, found = torch.Generator().manual_seed(0), []
    for spread in (0.3, 1.0, 2.0):
        p, q = (spread * torch.randn(2, 8, generator=generator)).log_softmax(-1)
        got = tensor_of("kl", lambda p=p, q=q: recipe.kl(p.view(2, 4).clone(), q.view(2, 4).clone()), (2, 4), float)
        found.append(((p.exp() * got.flatten()).sum().item(), (p.exp() * (p - q)).sum().item()))
    mean, exact = max(found, key=lambda pair: abs(pair[0] - pair[1]) / pair[1])
    measured = f"{mean:.2f} for {exact:.2f} nats"
    if abs(mean - exact) < 1e-3 * max(exact, 1):
        return Verdict(measured)
    if abs(mean + exact) < 1e-3 * max(exact, 1):
        return Verdict(
            measured,
            f"In the mean over a policy's own tokens it gives {mean:.2f} nats, minus the KL: the ratio is turned round, and a "
            "policy that runs away from its reference is paid for it.",
        )
    p, q = torch.full((1, 4), -2.0), torch.full((1, 4), -1.5)
    below = tensor_of("kl", lambda: recipe.kl(p.clone(), q.clone()), (1, 4), float).mean().item()
    return Verdict(
        measured,
        f"In the mean over a policy's own tokens it gives {mean:.2f} nats, and the KL is {exact:.2f}. For tokens that are all "
        f"half a nat less likely than under the reference it gives {below:.2f}: single terms below 0 belong to the mean, and a "
        "mean below 0 is the alarm.",
    )


def evaluation(recipe) -> Verdict:
    eos, vocabulary = tokenizer().eos_token_id, len(tokenizer())
    first = eos + 200  # words, not the bytes that the vocabulary begins with
    policy = policy_of(wide(), first, vocabulary)
    reads = Reads(policy)
    got = tensor_of("evaluate", lambda: recipe.evaluate(policy), (None,), float)
    batches = reads.continued()
    if not batches:
        raise Unusable("evaluate never lets the policy that it is given write anything.")
    prompts = {tuple(row) for sequences, start in batches for row in sequences[:, :start].tolist()}
    asked, trained_on = len(prompts), len(prompts & drawn_for_training(recipe))
    n = min(len(got), asked)
    problems = []
    if n < 50:
        texts = "one text" if len(got) == 1 else f"{len(got)} texts"
        which = "one prompt" if asked == 1 else f"{asked} different prompts"
        problems.append(
            f"It rests on {texts}, from {which}. Single texts differ by as much as training changes them, and so few cannot "
            "tell the two apart."
        )
    if trained_on > 1:
        problems.append(
            f"{trained_on} of its {asked} prompts turned up in 32 batches of training: what was learned by heart counts, too."
        )
    said = unlike_plain(batches, first, wide(), (1, 3))
    if said and not decoded_alike(recipe, policy, batches, first):
        problems.append(f"What is judged is not what is trained: unlike in training, {listed(said)}.")
    return Verdict(f"{n} prompt{'s' * (n > 1)}", " ".join(problems) or None)


def drawn_for_training(recipe) -> set[tuple]:
    """The prompts of 32 batches; none where `prompts` does not work, as that has a check of its own."""
    try:
        batches = [tensor_of("prompts", recipe.prompts, (None, None), torch.int64) for _ in range(32)]
    except Unusable:
        return set()
    return {tuple(row) for batch in batches for row in batch.tolist()}


def decoded_alike(recipe, policy, batches, first: int) -> bool:
    """Whether the recipe trains on what differs from plain sampling, too, and in the same way: then that is its fault, and not
    the evaluation's. Both answer the same prompts."""
    sequences, start = batches[0]
    prompts = sequences[:, :start].repeat(math.ceil(ROWS / len(sequences)), 1)[:ROWS]
    trained = [(tensor_of("sample", lambda: recipe.sample(policy, prompts.clone()), (ROWS, None), torch.int64), start)]
    if not unlike_plain(trained, first, wide(), (1, 3)):
        return False
    return against_each_other(ranks(batches, first, TOKENS), ranks(trained, first, TOKENS)) < CERTAIN


CHECKS = (
    (
        "The learning rate is of a size that can do something",
        learning_rate,
        "By how much does a step of Adam move a weight, and how many steps are there?",
    ),
    (
        "Many different prompts are trained on",
        prompts,
        "After which words shall the policy write well, and where do you have some of them?",
    ),
    (
        "A response may end wherever the policy ends it",
        minimum_length,
        "Who decides that a text is finished, and from which token on?",
    ),
    (
        "What is trained on is drawn as the policy gives it",
        sampling,
        "Which options change the probabilities before a token is drawn, and which of them does `generate` set unasked?",
    ),
    (
        "The response is trained on, all of it and nothing else",
        split,
        "Where does what the policy chose begin?",
    ),
    (
        "The mask is True up to the first end, that one included",
        mask,
        "The end and the padding are the same token: which of them has the policy chosen?",
    ),
    (
        "The sentiment decides the score, and not the length",
        scores,
        "How many words does a policy have to add to make up for a bad opinion?",
    ),
    (
        "The KL estimate is the KL in the mean",
        kl,
        "What is the mean worth when some of its terms have been changed and others not?",
    ),
    (
        "The evaluation asks many prompts, and decodes as in training",
        evaluation,
        "Of ten headlines, how many would say the same if you asked again? And who answers?",
    ),
)


# The table


class Inspection:
    """The rows of an inspection: as a table in a notebook, as text elsewhere."""

    def __init__(self, rows: list[Row]):
        self.rows = rows

    @property
    def headline(self) -> str:
        passed = sum(row.status == "passed" for row in self.rows)
        return f"The recipe: {passed} of {len(self.rows)} are in order"

    def _repr_html_(self):
        lines = []
        for row in self.rows:
            said = "" if row.diagnosis is None else f"{escaped(row.diagnosis)}<br><b>Hint.</b> {escaped(row.question)}"
            lines.append(
                f'<tr><th scope="row">{escaped(row.title)}</th><td>{badge(row.status)}</td>'
                f"<td>{escaped(row.measured)}</td><td>{said}</td></tr>"
            )
        head = "".join(f'<th scope="col">{name}</th>' for name in ("check", "result", "measured", "what it does"))
        table = f"<table><caption>{html.escape(self.headline)}</caption><thead><tr>{head}</tr></thead>"
        return f'<div class="rlhf-check"><style>{STYLE}</style>{table}<tbody>{"".join(lines)}</tbody></table></div>'

    def __repr__(self):
        lines = [self.headline]
        for row in self.rows:
            measured = f" ({row.measured})" if row.measured else ""
            lines.append(f"  {status_text(row.status, sys.stdout.isatty())}  {row.title}{measured}")
            if row.diagnosis is not None:
                lines += [*indented(row.diagnosis), *indented(f"Hint: {row.question}")]
        return "\n".join(lines)
