"""Lesson 1, a language model is a policy: what a learner sees."""

import math
from types import SimpleNamespace

import pytest
import torch

from autograder import compare, oracles
from autograder.answer import EndOfCheck, kind
from autograder.driver.toys import ToyPolicy
from rlhf_core.padding import join, left_pad

pytestmark = pytest.mark.visible


# gather_logprobs


@pytest.mark.exercise("gather_logprobs")
@pytest.mark.points(2)
def test_gather_the_tokens_that_were_drawn(answer, draw):
    """The log-probability of each token, and its gradient to the logits."""
    answer.agrees(draw.normal(3, 4, 5, scale=2), draw.integers(0, 5, 3, 4))
    answer.agrees(draw.normal(4, 4, 4, scale=2) + 1, draw.integers(0, 4, 4, 4))


@pytest.mark.exercise("gather_logprobs")
def test_gather_keeps_the_shape(answer, draw):
    """A batch of one, a response of one token, two tokens in the vocabulary."""
    for batch, length in ((1, 3), (3, 1), (1, 1)):
        answer.agrees(draw.normal(batch, length, 2), draw.integers(0, 2, batch, length))


@pytest.mark.exercise("gather_logprobs")
def test_gather_large_logits(answer, draw):
    """Logits of 1e4, far apart and close together: no infinity and no NaN."""
    tokens = draw.integers(0, 6, 2, 4)
    answer.agrees(draw.normal(2, 4, 6, scale=1e4), tokens, coarse=True, rtol=1e-3, atol=5e-3)
    for offset in (1e4, -1e4):  # float32 has steps of 1e-3 here
        answer.agrees(draw.normal(2, 4, 6) + offset, tokens, coarse=True, rtol=1e-3, atol=5e-3)


# response_logprobs


@pytest.mark.exercise("response_logprobs")
@pytest.mark.points(2)
def test_response_logprobs_of_ragged_rows(answer, draw):
    """Prompts and responses of unequal lengths, one response empty; the gradient to the model."""
    mask = draw.mask(3, 0, 4, 1, 2, width=4)
    scores_agree(answer, draw.policy_weights(), *sequences(draw, [5, 1, 3, 2, 4], mask), 4)


@pytest.mark.exercise("response_logprobs")
@pytest.mark.points(2)
def test_response_logprobs_at_a_temperature(answer, draw):
    """The logits are divided by the temperature before they are normalised."""
    mask = draw.mask(3, 2, 3, 1, width=3)
    for temperature in (0.6, 1.7):
        scores_agree(answer, draw.policy_weights(), *sequences(draw, [2, 4, 1, 3], mask), 3, temperature)


@pytest.mark.exercise("response_logprobs")
def test_response_logprobs_without_padding(answer, draw):
    """Rows that are all as long, longer responses than prompts and the reverse."""
    for prompt, length in ((2, 4), (5, 1), (1, 2)):
        mask = torch.ones(3, length, dtype=torch.bool)
        scores_agree(answer, draw.policy_weights(), *sequences(draw, [prompt] * 3, mask), length, 0.8)


@pytest.mark.exercise("response_logprobs")
def test_response_logprobs_of_one_row(answer, draw):
    """A batch of one, a prompt of one token, a response of one token."""
    for prompt, length, width in ((1, 1, 1), (1, 1, 3), (3, 2, 3)):
        mask = torch.arange(2) < length
        scores_agree(answer, draw.policy_weights(), *sequences(draw, [prompt], mask[None, :length], width), length, 0.7)


@pytest.mark.exercise("response_logprobs")
def test_response_logprobs_at_large_logits(answer, draw):
    """Logits of 1e4: no infinity and no NaN."""
    weights = draw.policy_weights()
    weights["head"] = weights["head"] * 1e4
    mask = draw.mask(3, 2, 3, 1, width=3)
    scores_agree(answer, weights, *sequences(draw, [2, 4, 1, 3], mask), 3, coarse=True)


def sequences(draw, prompt_lengths, mask, width=None, vocabulary=11):
    """input_ids and attention_mask (B, P + T) of left-padded prompts and right-padded responses; padding is any token."""
    width = width or max(prompt_lengths)
    lengths = torch.tensor(prompt_lengths).unsqueeze(1)
    attention_mask = torch.cat([torch.arange(width) >= width - lengths, mask], 1).long()
    return draw.integers(0, vocabulary, *attention_mask.shape), attention_mask


def scores_agree(answer, weights, input_ids, attention_mask, length, temperature=None, coarse=False):
    """The log-probabilities on True tokens, and the gradient to the policy's parameters, are the oracle's.

    temperature: None leaves the argument out.
    """
    keep = attention_mask[:, -length:].bool()
    gradient_weights = torch.linspace(0.6, 1.4, max(keep.numel(), 2), dtype=torch.float64)[: keep.numel()].reshape(keep.shape)
    gradient_weights = gradient_weights * keep
    given = {"input_ids": input_ids, "attention_mask": attention_mask}
    for dtype in (torch.float32, torch.float64):
        seen = answer.run(
            "score", **given, response_length=length, temperature=temperature, gradient_weights=gradient_weights,
            **{name: weight.to(dtype) for name, weight in weights.items()},
        )  # fmt: skip
        got = tensor_of_shape(answer, seen["result"], tuple(keep.shape))
        what = f"The log-probabilities are {got.dtype}, expected {dtype} for logits of {dtype}."
        answer.expect(got.dtype == dtype, what, kind="wrong_dtype", minor=True)
        same = all(torch.equal(seen[name], value) for name, value in given.items())
        what = "response_logprobs changed its inputs in place: work on a copy, the caller still needs them."
        answer.expect(same, what, kind="changes_its_inputs", minor=True)
        got, gradients = got.double().masked_fill(~keep, 0), seen["gradients"]
        if gradients is not None:
            gradients = {name: gradient.double() for name, gradient in gradients.items()}
        if not coarse:
            answer.witness((got, gradients))  # before the slow truth, so that a diagnosis need not wait for it
        expected, truth = scores_of(weights, input_ids, attention_mask, length, temperature, gradient_weights)
        agree = compare.close(got, expected) | ~keep
        if coarse:
            finite = got.isfinite().all() and (gradients is None or all(g.isfinite().all() for g in gradients.values()))
            answer.expect(finite, "With logits of 1e4 the result or its gradient is infinite or NaN.", kind="not_finite")
            answer.expect(agree.all(), "With logits of 1e4 the log-probabilities are wrong.", kind="value")
        elif not agree.all():
            shown = "left out" if temperature is None else temperature
            first = compare.first_difference("log-probabilities", got, expected, agree)
            details = (
                f"{first}; temperature {shown}, input_ids = {input_ids.tolist()}, attention_mask = {attention_mask.tolist()}."
            )
            what = "The log-probabilities are not what they should be."
            answer.report("value", what, details, compare.pattern(got, expected, keep) or "")
        elif gradients is None:
            what = "No gradient reaches the model's parameters: the result is cut off from them (detach, no_grad, item?)."
            answer.report("gradient", what)
        else:
            wrong = [name for name in truth if not compare.close(gradients[name], truth[name]).all()]
            for name in wrong[:1]:
                agree = compare.close(gradients[name], truth[name])
                first = compare.first_difference(f"the gradient to {name}", gradients[name], truth[name], agree)
                answer.report("gradient", "The gradient to the model's parameters is wrong.", f"{first}.")


def scores_of(weights, input_ids, attention_mask, length, temperature, gradient_weights):
    """The oracle's log-probabilities, and its gradients by the names of the weights."""
    policy = double(weights)
    expected = oracles.response_logprobs(policy, input_ids, attention_mask, length, 1.0 if temperature is None else temperature)
    parameters = {"embedding": policy.embedding, "position": policy.position, "head": policy.head}
    found = torch.autograd.grad((expected * gradient_weights).sum(), list(parameters.values()))
    return expected.detach(), dict(zip(parameters, found, strict=True))


def double(weights):
    """The policy in float64, for the truth."""
    return ToyPolicy({name: weight.double() for name, weight in weights.items()})


def tensor_of_shape(answer, value, shape):
    """`value`, a float tensor of this shape; anything else ends the check."""
    is_tensor = isinstance(value, torch.Tensor)
    what = f"{answer.exercise} has to return one tensor of floats; yours is {value.dtype if is_tensor else kind(value)}."
    if not answer.expect(is_tensor and value.is_floating_point(), what, kind="wrong_type"):
        raise EndOfCheck
    got = tuple(value.shape)
    if not answer.expect(got == shape, f"The result has shape {got}, expected {shape}.", kind="wrong_shape", evidence=got):
        raise EndOfCheck
    return value


# response_mask


@pytest.mark.exercise("response_mask")
@pytest.mark.points(2)
def test_response_mask_up_to_the_first_end(answer, draw):
    """Responses that end early, late, at once and never, padded with the end-of-sequence token."""
    tokens = draw.integers(3, 9, 6, 5)
    for row, end in enumerate(draw.order(6).tolist()):
        tokens[row, end:] = 2  # nothing of the row that would end at place 5
    answer.agrees(tokens, 2)


@pytest.mark.exercise("response_mask")
def test_response_mask_whatever_stands_after_the_end(answer, draw):
    """Other tokens and further end-of-sequence tokens after the first one."""
    tokens = draw.integers(3, 9, 5, 6)
    tokens[0, 1] = tokens[0, 4] = tokens[1, 0] = tokens[1, 2] = tokens[2, 3] = tokens[3, 4] = tokens[3, 5] = 7
    tokens[2] = torch.where(tokens[2] == 7, 8, tokens[2])
    tokens[2, 3] = 7
    answer.agrees(tokens, 7)
    answer.agrees(draw.integers(0, 3, 8, 7), 0)


@pytest.mark.exercise("response_mask")
def test_response_mask_of_one_row(answer, draw):
    """A batch of one, a response of one token, with and without an end."""
    answer.agrees(torch.tensor([[4, 5, 6]]), 5)
    answer.agrees(torch.tensor([[4, 5, 6]]), 3)
    answer.agrees(torch.tensor([[5]]), 5)
    answer.agrees(torch.tensor([[5], [0], [3]]), 0)


# sample_response


@pytest.mark.exercise("sample_response")
def test_sample_returns_responses_only(answer, draw):
    """Tokens, log-probabilities and mask of the responses: no prompt, no gradient."""
    for dtype, lengths, new_tokens in ((torch.float32, [4, 1, 2, 4, 3], 5), (torch.float64, [1], 3)):
        form_agrees(answer, draw, draw.policy_weights(SMALL), prompts_of(draw, lengths), new_tokens, dtype)


@pytest.mark.exercise("sample_response")
def test_sample_reports_every_token_rightly(answer, draw):
    """Every token, at every step, is reported with its log-probability at this temperature."""
    table_agrees(answer, draw, [4, 1], 0.7)


@pytest.mark.exercise("sample_response")
@pytest.mark.points(2)
def test_sample_stops_at_the_end(answer, draw):
    """After its first end token a row holds that token, log-probability 0, and False."""
    # The second and third add nothing to a mistake that the first one shows.
    if ends_agree(answer, draw, prompts_of(draw, [3, 1, 2, 3] * 12), 6, chance=0.3):
        ends_agree(answer, draw, prompts_of(draw, [2, 3] * 20), 4, chance=1.0)
        ends_agree(answer, draw, prompts_of(draw, [1, 2, 2] * 30), 1, chance=0.0)


@pytest.mark.exercise("sample_response")
@pytest.mark.points(3)
def test_sample_follows_the_distribution(answer, draw):
    """Tokens are drawn from softmax(logits / temperature), none left out, each row anew."""
    distribution_agrees(answer, draw, temperature=0.6)


@pytest.mark.exercise("sample_response")
def test_sample_uses_its_generator(answer, draw):
    """All randomness comes from the generator: one seed, one sample."""
    randomness_agrees(answer, draw, prompts_of(draw, [3, 1, 2, 3] * 8), 4)


@pytest.mark.exercise("sample_response")
@pytest.mark.points(2)
def test_sample_after_prompts_of_unequal_lengths(answer, draw):
    """What counts is the prompt without its padding, and the tokens drawn so far."""
    prompts = prompts_of(draw, [4, 1, 2, 3] * 2)
    for dtype, temperature in ((torch.float32, 0.6), (torch.float64, 1.6)):
        reports_agree(answer, draw, draw.policy_weights(SMALL), prompts, 4, temperature, dtype)


EOS = 3  # not 0, so that padding with 0 is seen
# The vocabulary where the distribution itself is not judged: the same everywhere, so that every top-k leaves the same evidence.
SMALL = 7


def prompts_of(draw, lengths, vocabulary=SMALL):
    """Lists of token ids."""
    return [draw.integers(0, vocabulary, length).tolist() for length in lengths]


def with_base(weights, base, small=1.0):
    """Weights under which the logits are about `base` (V,) everywhere, and depend on what was read by `small` times the rest.

    The first unit is driven to 1 by the first real token; a column of the head that reads it is a bias.
    """
    weights = {name: weight.clone() for name, weight in weights.items()}
    weights["embedding"][:, 0], weights["position"][:, 0] = 0, 20
    weights["head"] *= small
    weights["head"][0] = base
    return weights


def sample_of(answer, draw, weights, prompts, new_tokens, temperature, dtype=torch.float32, rows=None):
    """A sample in usable form: tokens, logprobs, mask, and where the tokens say that a response goes (`real`).

    rows: int64 (B,), the prompt of each row; by default every prompt once.  `seen` is what came back, as it came.

    All that can be said without a model is judged here; what cannot be used further ends the check.
    """
    prompt_ids, attention_mask = left_pad(prompts, 0)
    if rows is not None:
        prompt_ids, attention_mask = prompt_ids[rows], attention_mask[rows]
    # Padding of any token, so that a forgotten mask is seen.
    prompt_ids = torch.where(attention_mask == 1, prompt_ids, draw.integers(0, len(weights["embedding"]), *prompt_ids.shape))
    given = {"prompt_ids": prompt_ids, "attention_mask": attention_mask}
    seen = answer.run(
        "draw", **given, max_new_tokens=new_tokens, temperature=temperature, eos_token_id=EOS,
        seed=int(draw.integers(0, 2**31, 1)), **{name: weight.to(dtype) for name, weight in weights.items()},
    )  # fmt: skip
    what = f"sample_response has to return Sample(tokens, logprobs, mask); it returned {seen.get('other', 'something else')}."
    if not answer.expect("tokens" in seen, what, kind="wrong_type"):
        raise EndOfCheck
    tokens, logprobs, mask = three_tensors(answer, seen, prompt_ids, new_tokens)
    in_range = tokens.numel() == 0 or (tokens.min() >= 0 and tokens.max() < len(weights["embedding"]))
    if not answer.expect(in_range, "A token is outside the vocabulary.", kind="value"):
        raise EndOfCheck
    ends = (tokens == EOS).long()
    real = ends.cumsum(1) - ends == 0
    what = "A log-probability of a token that was drawn is infinite or NaN."
    if not answer.expect(logprobs[real].isfinite().all(), what, kind="not_finite"):
        raise EndOfCheck
    enough = tokens.shape[1] == new_tokens or bool((tokens == EOS).any(1).all())
    short = "one token short" if tokens.shape[1] == new_tokens - 1 else "early"
    what = "The loop stops before every row has ended or max_new_tokens are drawn."
    details = f"{tokens.shape[1]} of {new_tokens} tokens, and rows without an end."
    answer.expect(enough, what, details, kind="stops_early", evidence="enough" if enough else short)
    return SimpleNamespace(
        tokens=tokens.long(), logprobs=logprobs.double(), mask=mask != 0, real=real, **given,
        seen=seen, same_inputs=all(torch.equal(seen[name], value) for name, value in given.items()),
    )  # fmt: skip


def three_tensors(answer, seen, prompt_ids, new_tokens):
    """tokens, logprobs and mask, all (B, T) with T from 1 to `new_tokens`; anything else ends the check."""
    three = [seen[name] for name in ("tokens", "logprobs", "mask")]
    kinds = [sort_of(value) for value in three]
    if not answer.expect("other" not in kinds, f"tokens, logprobs and mask have to be tensors; yours are {', '.join(kinds)}.",
                         kind="wrong_type", evidence=kinds if "other" in kinds else None):  # fmt: skip
        raise EndOfCheck
    in_order = kinds[1] == "float" and kinds[0] != "float" and (kinds[0] != "bool" or kinds[2] == "bool")
    what = f"A sample is tokens (int64), logprobs (float) and mask (bool), in this order; yours are {', '.join(kinds)}."
    if not answer.expect(in_order, what, kind="wrong_order", evidence=None if in_order else kinds):
        raise EndOfCheck
    tokens, logprobs, mask = three
    batch, width = prompt_ids.shape
    whole = tokens.ndim == 2 and tokens.shape[1] > width and torch.equal(tokens[:, :width].long(), prompt_ids)
    whole = whole and (tokens.shape[1] > new_tokens or prompt_ids.numel() >= 20)  # a few tokens may be the same by chance
    what = "The prompt is part of what is returned: tokens, logprobs and mask begin with the first new token."
    if not answer.expect(not whole, what, kind="prompt_returned"):
        raise EndOfCheck
    shape = tuple(tokens.shape)
    fits = tokens.ndim == 2 and shape[0] == batch and 1 <= shape[1] <= new_tokens
    wrong = "one more" if shape == (batch, new_tokens + 1) else "one less" if shape == (batch, 0) else "other"
    what = f"tokens have shape {shape}, expected ({batch}, T) with T from 1 to {new_tokens} (max_new_tokens)."
    if not answer.expect(fits, what, kind="wrong_shape", evidence="fits" if fits else wrong):
        raise EndOfCheck
    for name, value in (("logprobs", logprobs), ("mask", mask)):
        fits = value.shape == tokens.shape
        what = f"{name} has shape {tuple(value.shape)}, expected {shape}, as the tokens."
        if not answer.expect(fits, what, kind="wrong_shape", evidence="fits" if fits else (name, value.ndim)):
            raise EndOfCheck
    return tokens, logprobs, mask


def sort_of(value) -> str:
    if not isinstance(value, torch.Tensor) or value.is_complex():
        return "other"
    return "float" if value.is_floating_point() else "bool" if value.dtype == torch.bool else "int"


def form_agrees(answer, draw, weights, prompts, new_tokens, dtype):
    """What is judged once, as it says nothing about the other checks: names, dtypes, no gradient, inputs unchanged."""
    sample = sample_of(answer, draw, weights, prompts, new_tokens, 0.8, dtype)
    what = "Return a Sample from rlhf_core.policy, so that its parts have names: Sample(tokens, logprobs, mask)."
    answer.expect(sample.seen["named"], what, kind="wrong_type")
    for name, wanted in (("tokens", torch.int64), ("logprobs", dtype), ("mask", torch.bool)):
        found = sample.seen[name].dtype
        given = f" for logits of {dtype}" if name == "logprobs" else ""
        answer.expect(found == wanted, f"{name} is {found}, expected {wanted}{given}.", kind="wrong_dtype")
    what = "The sample carries a gradient: draw it under torch.no_grad(), it is data for the update."
    answer.expect(not sample.seen["carries_gradient"], what, kind="gradient", minor=True)
    what = "sample_response changed its inputs in place: work on a copy, the caller still needs them."
    answer.expect(sample.same_inputs, what, kind="changes_its_inputs")


def reports_agree(answer, draw, weights, prompts, new_tokens, temperature, dtype):
    """The log-probabilities of the tokens that came back are the oracle's for these tokens."""
    seen = sample_of(answer, draw, weights, prompts, new_tokens, temperature, dtype)
    policy = double(weights)
    joined = join(seen.prompt_ids, seen.attention_mask, seen.tokens, seen.real)
    expected = oracles.response_logprobs(policy, *joined, seen.tokens.shape[1], temperature).detach()
    agree = compare.close(seen.logprobs, expected) | ~seen.real
    details = "" if agree.all() else compare.first_difference("logprobs", seen.logprobs, expected, agree)
    if details:
        row = (~agree).nonzero()[0, 0]
        prompt, drawn = seen.prompt_ids[row][seen.attention_mask[row] == 1].tolist(), seen.tokens[row].tolist()
        details += f"; temperature {temperature}, prompt {prompt}, tokens {drawn}."
    what = "The log-probabilities are not those of softmax(logits / temperature) for the tokens that were drawn."
    answer.expect(agree.all(), what, details, kind="value")


def table_agrees(answer, draw, lengths, temperature, rows=400, vocabulary=SMALL, steps=3):
    """What is reported for each token of a small vocabulary, at each step after each of the prompts: (prompts, steps, V).

    All tokens read alike here, so that a step's distribution depends on the prompt's length alone and every token is seen at
    every step.  So the table does not depend on what was drawn, and serves as evidence.
    """
    weights = with_base(
        draw.policy_weights(vocabulary), torch.linspace(-0.5, 0.5, vocabulary)[draw.order(vocabulary)], small=0.3
    )
    weights["embedding"][:] = weights["embedding"][0]
    prompts = prompts_of(draw, lengths, vocabulary)
    rows = torch.arange(len(prompts)).repeat(rows)
    seen = sample_of(answer, draw, weights, prompts, steps, temperature, rows=rows)
    policy = double(weights)
    expected = [oracles.next_token_distribution(policy, p, [0] * step, temperature) for p in prompts for step in range(steps)]
    expected = torch.stack(expected).reshape(len(lengths), steps, vocabulary).log()
    row, step = seen.real.nonzero(as_tuple=True)
    reported = torch.full_like(expected, math.nan)
    reported[row % len(lengths), step, seen.tokens[row, step]] = seen.logprobs[row, step]
    known = ~reported.isnan()
    agree = compare.close(reported, expected) | ~known
    family = renormalised(reported, expected, known, temperature)
    evidence = None if agree.all() else family or torch.where(known, reported, expected)
    details = "" if agree.all() else compare.first_difference("logprob[prompt, step, token]", reported, expected, agree)
    what = "The log-probabilities are not those of softmax(logits / temperature) for the tokens that were drawn."
    answer.expect(
        agree.all(), what, details and f"{details}; the prompts have {lengths} tokens.", kind="value", evidence=evidence
    )


def renormalised(reported, expected, known, temperature) -> str | None:
    """The kind of cut (top-k or top-p) after which the reported numbers are normalised, if they are."""
    if compare.close(reported, expected)[known].all():
        return None
    expected, reported, known = (x.reshape(-1, x.shape[-1]) for x in (expected, reported, known))
    ranked = expected.sort(-1, descending=True).values
    for name, sizes in cuts_of(ranked.exp(), (ranked * temperature).softmax(-1)):
        for size in sizes:
            table = cut_table(expected, size)
            if not (known & table.isinf()).any() and compare.close(reported, table.nan_to_num(neginf=0))[known].all():
                return f"normalised over {name}"
    return None


P_GRID = torch.tensor([*(i / 50 for i in range(1, 50)), 0.95, 0.99, 0.995], dtype=torch.float64)


def cuts_of(ranked, unscaled=None):
    """How many tokens are left in each of the contexts by each k and p that may cut something: (name, sizes (n, C)).

    ranked: probabilities (C, V), the largest first.  unscaled: those before the temperature, which top-p may go by, too.
    """
    contexts, vocabulary = ranked.shape
    yield "top-k", torch.arange(1, vocabulary).unsqueeze(1).expand(-1, contexts)
    grid = P_GRID.expand(contexts, -1).contiguous()
    for probabilities in (ranked,) if unscaled is None else (ranked, unscaled):
        total = probabilities.cumsum(-1)
        yield "top-p", torch.searchsorted(total - probabilities, grid).clamp(1, vocabulary).T
        yield "top-p", torch.searchsorted(total, grid, right=True).clamp(1, vocabulary).T  # without the token that crosses p


def cut_table(logp, size):
    """Log-probabilities (C, V) where only the likeliest `size` (C,) tokens of each context are left."""
    rank = logp.argsort(-1, descending=True).argsort(-1)
    return torch.where(rank < size.unsqueeze(1), logp, -math.inf).log_softmax(-1)


def ends_agree(answer, draw, prompts, new_tokens, chance, vocabulary=SMALL):
    """What stands after the end of a response, where each token ends it with about this chance; whether all is right."""
    base = torch.zeros(vocabulary)
    certain = chance in (0.0, 1.0)
    base[EOS] = (60.0 if chance else -60.0) if certain else math.log(chance / (1 - chance) * (vocabulary - 1))
    weights = with_base(draw.policy_weights(vocabulary), base, small=0.05 if certain else 0.3)
    seen = sample_of(answer, draw, weights, prompts, new_tokens, 1.0)
    if certain:
        never = "another token is drawn though the end is certain" if chance else "a response ends though that is impossible"
        what = f"By the model's logits {never}: may the end-of-sequence token be drawn like any other?"
        ends = seen.tokens == EOS
        answer.expect(ends[:, 0].all() if chance else not ends.any(), what, kind="distribution")
    after = ~seen.real
    others = seen.tokens[after] != EOS
    filled = "the end-of-sequence token" if not others.any() else "0" if not seen.tokens[after].any() else "other tokens"
    what = f"After its end a row holds {filled} instead of the end-of-sequence token."
    right = answer.expect(not others.any(), what, kind="value", evidence=filled)
    what = "The log-probability after the end of a response is not 0: nobody chose these tokens."
    right &= answer.expect(not seen.logprobs[after].any(), what, kind="value")
    first = ~(seen.tokens == EOS).cumsum(1).bool()
    known = {
        "right": seen.real, "drops the end": first, "True everywhere": torch.ones_like(after),
        "False at every end": seen.tokens != EOS, "inverted": after,
        "one too many": torch.cat([torch.ones_like(after[:, :1]), seen.real[:, :-1]], 1),
    }  # fmt: skip
    found = next((name for name, mask in known.items() if torch.equal(seen.mask, mask)), "something else")
    what = "The mask is not True up to and including the first end-of-sequence token, and False after it."
    right &= answer.expect(found == "right", what, kind="value", evidence=found)
    return right


def randomness_agrees(answer, draw, prompts, new_tokens):
    """Two calls with the same generator, with a new one of the same seed, and without one."""
    weights = draw.policy_weights(SMALL)
    prompt_ids, attention_mask = left_pad(prompts, 0)
    given = {
        "prompt_ids": prompt_ids, "attention_mask": attention_mask, "max_new_tokens": new_tokens, "temperature": 1.2,
        "eos_token_id": EOS, "seed": int(draw.integers(0, 2**31, 1)), **weights,
    }  # fmt: skip
    one = answer.run("draw", **given)
    if not answer.expect("tokens" in one, "sample_response has to return Sample(tokens, logprobs, mask).", kind="wrong_type"):
        raise EndOfCheck
    before, after = one["random_state"]
    what = "The global random state is moved although a generator is given: pass the generator on to whatever draws."
    answer.expect(torch.equal(before, after), what, kind="moves_the_random_state", minor=True)
    seen = answer.run("draw_again", **given)
    what = "Two calls with generators of the same seed give different samples: all randomness has to come from the generator."
    answer.expect(alike(seen["first"], seen["again"]), what, kind="ignores_the_generator", minor=True)
    what = "Two calls in a row with one generator give the same sample: a call has to draw from the generator, and move it on."
    answer.expect(not alike(seen["first"], seen["second"]), what, kind="same_sample_twice", minor=True)
    what = "Two calls without a generator give the same sample: do not set a seed inside."
    answer.expect(not alike(*seen["without"]), what, kind="same_sample_twice", minor=True)


def alike(a, b) -> bool:
    return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and torch.equal(a, b)


# The distribution that tokens are drawn from


# log(1.1e7): a right answer exceeds it in fewer than one of 1e7 runs.
TOO_MUCH = 16.2
AS_ASKED = "what was asked for"


def distribution_agrees(answer, draw, temperature, rows=3000, vocabulary=60):
    """Two tokens a row: is there an alternative under which they are far more likely than under what was asked for?

    For any fixed alternative Q, the mean over right answers of Q(tokens) / P(tokens) is 1, and so it is for an average of
    alternatives.  By Markov's inequality that average exceeds 1.1e7 in fewer than one of 1e7 runs of a right answer, however it
    draws its tokens.  It is judged on two groups of rows.

    A prompt with a steep and one with a flat distribution tell top-k from top-p.  A third one is padded on the left.
    """
    base = torch.linspace(-1.2, 1.2, vocabulary)[draw.order(vocabulary)]
    base[EOS] = 0.8  # likely enough that its absence is seen
    weights = with_base(draw.policy_weights(vocabulary), base, small=0.25)
    weights["embedding"][:, 1], weights["position"][:, 1] = 0, 0  # the second unit makes the distribution steeper or flatter
    weights["embedding"][4, 1], weights["embedding"][5, 1] = 20, -20
    weights["head"][1] = 0.5 * base
    prompts = [[4, 6, 7], [5, 7, 6], [8, 9]]
    group = torch.tensor(([0, 1] * 5 + [2, 2]) * (rows // 12))
    seen = sample_of(answer, draw, weights, prompts, 2, temperature, rows=group)
    if seen.tokens.shape[1] < 2:  # every row ended at once
        seen.tokens = torch.cat([seen.tokens, torch.full_like(seen.tokens, EOS)], 1)
        seen.real = torch.cat([seen.real, torch.zeros_like(seen.real)], 1)
    policy = double(weights)
    logits = [contexts(policy, prompt) for prompt in prompts]
    counts = [tally(seen, group == g, vocabulary) for g in range(3)]
    found, table = verdict(torch.stack(logits[:2]), torch.stack(counts[:2]), temperature)
    evidence = [found]
    if table is not None:  # a part of the vocabulary is never drawn: is it left out in the log-probabilities, too?
        first = seen.real[:, 0] & (group < 2)
        reported, place = seen.logprobs[first, 0], (group[first], seen.tokens[first, 0])
        asked = torch.stack([logit[0] for logit in logits[:2]]).div(temperature).log_softmax(-1)
        evidence += [bool(compare.close(reported, source[place]).all()) for source in (asked, table[:, 0])]
    what = f"Tokens are not drawn from softmax(logits / temperature): they look like {found}."
    details = f"{rows} rows at temperature {temperature}."
    answer.expect(found == AS_ASKED, what, details, kind="distribution", evidence=evidence)
    if found == AS_ASKED:
        padded = verdict(logits[2].unsqueeze(0), counts[2].unsqueeze(0), temperature)
        what = "For a prompt that is padded on the left, tokens are not drawn from softmax(logits / temperature)."
        answer.expect(padded[0] == AS_ASKED, what, details, kind="distribution")


@torch.no_grad()
def contexts(policy, prompt):
    """Logits (1 + V, V) of the token after the prompt, and after the prompt and each token."""
    vocabulary = policy.config.vocab_size
    ids = torch.cat([torch.tensor([prompt]).expand(vocabulary, -1), torch.arange(vocabulary).unsqueeze(1)], 1)
    logits = policy(input_ids=ids).logits
    return torch.cat([logits[:1, -2], logits[:, -1]])


def tally(seen, rows, vocabulary):
    """How often each token came after the prompt, and after the prompt and each token: (1 + V, V)."""
    tokens, both = seen.tokens[rows], seen.real[rows, 1]
    first = tokens[:, 0].bincount(minlength=vocabulary).unsqueeze(0)
    second = (tokens[both, 0] * vocabulary + tokens[both, 1]).bincount(minlength=vocabulary**2).reshape(vocabulary, vocabulary)
    return torch.cat([first, second]).double()


def verdict(logits, counts, temperature):
    """AS_ASKED, or the alternative under which the counts are likeliest; and its log-probabilities where it is a cut.

    logits, counts: (groups, contexts, V).
    """
    families = {}
    for name, values, table in alternatives(logits, counts, temperature):
        families.setdefault(name, []).append((values, table))
    # Every family has the same weight, and each of its members a share of that.
    shares = []
    for members in families.values():
        values = torch.cat([values for values, _ in members])
        shares.append(values.logsumexp(0) - math.log(len(values)))
    asked = likelihood((logits / temperature).log_softmax(-1), counts)
    if torch.stack(shares).logsumexp(0) - math.log(len(families)) - asked < TOO_MUCH:
        return AS_ASKED, None
    best, found, best_table = -math.inf, "", None
    for name, members in families.items():
        for values, table in members:
            value, index = values.max(0)
            value = value - 12 if table else value  # rare tokens that were not drawn, by chance, make no cut
            if value > best + 1e-6:  # the first of those that are alike
                best, found, best_table = value, name, table and table(index)
    return found, best_table


def alternatives(logits, counts, temperature):
    """What a wrong sampler may draw from: (name, log-likelihoods (n,), table(i) where it is a cut)."""
    asked = (logits / temperature).log_softmax(-1)

    def one(table):
        return likelihood(table, counts).unsqueeze(0)

    yield "the likeliest token every time", one(torch.where(asked == asked.amax(-1, keepdim=True), 0.0, -math.inf)), None
    temperatures = {
        "softmax(logits / temperature)": temperature, "softmax(logits), the temperature left out": 1.0,
        "softmax(logits * temperature)": 1 / temperature, "the temperature applied twice": temperature**2,
    }  # fmt: skip
    order = logits.argsort(-1, descending=True)
    for name, value in temperatures.items():
        logp = (logits / value).log_softmax(-1)
        if value != temperature:
            yield name, one(logp), None
        unscaled = logits.softmax(-1) if value == temperature else None
        for cut, values, table in cut_likelihoods(logp, order, counts, unscaled):
            yield cut if value == temperature else f"{cut} of {name}", values, table
    for factor in (0.25, 4.0):
        yield "softmax at another temperature", one((logits / (temperature * factor)).log_softmax(-1)), None
    yield "all tokens nearly alike", one(torch.zeros_like(logits).log_softmax(-1)), None
    yield "all tokens nearly alike", one(asked.exp().log_softmax(-1)), None
    yield "the first token's distribution again", one(asked[:, :1].expand_as(asked)), None
    ends = torch.arange(logits.shape[-1]) == EOS
    yield "responses that cannot end", one(asked.masked_fill(ends, -math.inf).log_softmax(-1)), None
    visited = counts.sum(-1) > 0
    n, prior = counts[visited], asked[visited].exp()
    for strength in (1.0, 30.0, 300.0):  # every context has a distribution of its own, around the one asked for
        value = (torch.lgamma(strength * prior + n) - torch.lgamma(strength * prior)).sum()
        value = value + (math.lgamma(strength) - torch.lgamma(strength + n.sum(-1))).sum()
        yield "another distribution", value.unsqueeze(0), None


def cut_likelihoods(logp, order, counts, unscaled=None):
    """The log-likelihoods of the counts after every top-k and top-p: (name, values (n,), table(i)).

    order: the tokens of each context, the likeliest first.  unscaled: probabilities before the temperature.
    """
    visited = counts.sum(-1) > 0
    n, order = counts[visited], order[visited]
    n, ranked = n.gather(-1, order), logp[visited].gather(-1, order)
    total = ranked.exp().cumsum(-1).log()
    deepest = torch.where(n > 0, torch.arange(1, n.shape[-1] + 1), 0).amax(-1)  # so many have to be left
    for name, sizes in cuts_of(ranked.exp(), None if unscaled is None else unscaled[visited].gather(-1, order)):
        values = likelihood(ranked, n) - (n.sum(-1, keepdim=True) * total.gather(-1, sizes.T - 1)).sum(0)
        values = torch.where((sizes >= deepest).all(1), values, -math.inf)

        def table(index, sizes=sizes):
            result = torch.full_like(logp, -math.inf)
            result[visited] = cut_table(logp[visited], sizes[index])
            return result

        yield name, values, table


def likelihood(logp, counts):
    return torch.where(counts > 0, counts * logp, 0.0).sum()
