"""Mistakes in sample_response."""

import math
from types import SimpleNamespace

import torch
from torch.nn.functional import pad

from rlhf_core.policy import Sample

from ..bank import wrong

# A sampler in parts, so that a mistake names the part in which it differs.


def read(state):
    """Logits of the next token."""
    positions = (state.mask.cumsum(-1) - 1).clamp(min=0)
    return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, -1]


def pick(logits, generator):
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)


def drawn(logits, temperature, generator):
    return pick(logits / temperature, generator)


def logprob(logits, token):
    return logits.log_softmax(-1).gather(-1, token.unsqueeze(-1)).squeeze(-1)


def reported(logits, temperature, token):
    return logprob(logits / temperature, token)


def run(
    model, prompt_ids, attention_mask, max_new_tokens, temperature, eos, generator, read=read, draw=drawn, report=reported,
    filler=None, zero=True, enough=torch.all, goes_on=False, early=False, extra=0,
):  # fmt: skip
    """tokens, logprobs, and whether each row was still going.

    filler: what stands after the end (None: end-of-sequence).  zero: log-probability 0 there.  enough: when to stop, of
    `finished`.  goes_on: tokens are drawn after the end, too.  early: a row counts as finished before its last log-probability
    is kept.
    """
    state = SimpleNamespace(model=model, ids=prompt_ids, mask=attention_mask, width=prompt_ids.shape[1], step=0, past=None)
    finished = torch.zeros(len(prompt_ids), dtype=torch.bool)
    tokens, logprobs, alive = [], [], []
    for _ in range(max_new_tokens + extra):
        logits = read(state)
        token = draw(logits, temperature, generator)
        if not goes_on:
            token = token.masked_fill(finished, eos if filler is None else filler)
        value = report(logits, temperature, token)
        ends = token == eos
        over = finished | ends if early else finished
        tokens.append(token)
        logprobs.append(value.masked_fill(over, 0) if zero else value)
        alive.append(~finished)
        finished = finished | ends
        state.ids = torch.cat([state.ids, token.unsqueeze(1)], 1)
        state.mask = torch.cat([state.mask, torch.ones_like(token).unsqueeze(1)], 1)
        state.step += 1
        if enough(finished):
            break
    return torch.stack(tokens, 1), torch.stack(logprobs, 1), torch.stack(alive, 1)


def never(finished):
    return False


def sample(*arguments, **changes):
    with torch.no_grad():
        return Sample(*run(*arguments, **changes))


def cut_top_k(logits, k):
    k = min(k, logits.shape[-1])
    return logits.masked_fill(logits < logits.topk(k).values[:, -1:], -math.inf)


def cut_top_p(logits, p, temperature):
    probabilities, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
    drop = probabilities.cumsum(-1) - probabilities > p
    return logits.masked_fill(torch.zeros_like(drop).scatter(1, order, drop), -math.inf)


# The distribution that is drawn from


@wrong(about="sampling", read="sampling", hint="If you call your function twice, can it ever give another answer?")
def greedy(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The likeliest token is taken every time: nothing is sampled, so the policy never tries anything it could learn from."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda logits, temperature, generator: logits.argmax(-1),
    )  # fmt: skip


@greedy.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda logits, temperature, generator: logits.argmax(-1), report=lambda z, t, y: logprob(z, y),
    )  # fmt: skip


@greedy.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda logits, temperature, generator: logits.argmax(-1), report=lambda z, t, y: torch.zeros_like(z[:, 0]),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="Which logits go into your draw, and where are they divided by the temperature?")
def temperature_not_in_the_draw(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Tokens are drawn at temperature 1, while their log-probabilities are reported at the temperature that was asked for."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(z, g),
    )  # fmt: skip


@wrong(
    about="sampling", read="sampling", hint="Which logits go into your log-probability: those that the token was drawn from?"
)
def temperature_not_in_the_logprob(
    model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None
):
    """Tokens are drawn at the temperature, but their log-probabilities are those of temperature 1: another distribution."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: logprob(z, y),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="Where does your code use `temperature`?")
def temperature_forgotten(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The temperature is not used at all: tokens are drawn and reported at temperature 1."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, 1.0, eos_token_id, generator)


@wrong(
    about="sampling",
    read="sampling",
    hint="Does a temperature above 1 make a distribution flatter or steeper? What does yours do?",
)
def temperature_multiplied(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The logits are multiplied by the temperature instead of divided by it, so a hot policy draws like a cold one."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, 1 / temperature, eos_token_id, generator)


@temperature_multiplied.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(z * t, g),
    )  # fmt: skip


@temperature_multiplied.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: logprob(z * t, y),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="Follow one logit from the model to the draw: how often is it divided?")
def temperature_applied_twice(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The logits are divided by the temperature, and what is already divided is divided once more."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature**2, eos_token_id, generator)


@temperature_applied_twice.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(z / t / t, g),
    )  # fmt: skip


@temperature_applied_twice.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: logprob(z / t / t, y),
    )  # fmt: skip


@wrong(
    about="sampling",
    read="sampling",
    hint="Do the probabilities of all tokens still sum to 1 after your division by the temperature?",
)
def temperature_after_the_softmax(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The log-probability is divided by the temperature, not the logits, so the probabilities no longer sum to 1."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: logprob(z, y) / t,
    )  # fmt: skip


@temperature_after_the_softmax.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: logprob(z / t, y) / t,
    )  # fmt: skip


@temperature_after_the_softmax.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # Weights for the draw need not sum to 1, so that an undivided softmax over the temperature draws at temperature 1.
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: torch.multinomial(z.softmax(-1) / t, 1, generator=g).squeeze(1),
        report=lambda z, t, y: logprob(z, y) / t,
    )  # fmt: skip


@wrong(
    about="sampling", read="sampling", hint="Do the numbers that you report still sum to 1 over the tokens that can be drawn?"
)
def top_k_mismatch(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Only the k likeliest tokens can be drawn, but the log-probabilities are those of the whole vocabulary."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(cut_top_k(z, 50) / t, g),
    )  # fmt: skip


@top_k_mismatch.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # A k that is larger than a small vocabulary.
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: z.topk(50).indices.gather(1, pick(z.topk(50).values / t, g).unsqueeze(1)).squeeze(1),
    )  # fmt: skip


@top_k_mismatch.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(cut_top_k(z, 5) / t, g),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="Which tokens can the policy never try, however good they are?")
def top_k(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Only the k likeliest tokens can be drawn: the policy that is trained is another one than the model's softmax."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(cut_top_k(z, 50) / t, g), report=lambda z, t, y: logprob(cut_top_k(z, 50) / t, y),
    )  # fmt: skip


@top_k.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(cut_top_k(z, 5) / t, g), report=lambda z, t, y: logprob(cut_top_k(z, 5) / t, y),
    )  # fmt: skip


@top_k.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # A k that is larger than a small vocabulary.
    def draw(logits, temperature, generator):
        values, indices = logits.topk(50)
        return indices.gather(1, pick(values / temperature, generator).unsqueeze(1)).squeeze(1)

    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, draw=draw,
        report=lambda z, t, y: logprob(cut_top_k(z, 50) / t, y),
    )  # fmt: skip


@wrong(
    about="sampling", read="sampling", hint="Do the numbers that you report still sum to 1 over the tokens that can be drawn?"
)
def top_p_mismatch(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The unlikeliest tokens are cut off (top-p) before drawing, but the log-probabilities are of the whole vocabulary."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(cut_top_p(z, 0.9, t) / t, g),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="Which tokens can the policy never try, however good they are?")
def top_p(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The unlikeliest tokens are cut off (top-p): the policy that is trained is another one than the model's softmax."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(cut_top_p(z, 0.9, t) / t, g), report=lambda z, t, y: logprob(cut_top_p(z, 0.9, t) / t, y),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="What do probabilities become when they are taken for logits?")
def softmax_of_softmax(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The draw takes probabilities for logits and normalises them once more, so all tokens become about equally likely."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick((z / t).softmax(-1), g),
    )  # fmt: skip


@softmax_of_softmax.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick((z / t).softmax(-1), g), report=lambda z, t, y: logprob((z / t).softmax(-1), y),
    )  # fmt: skip


@wrong(about="sampling", read="sampling", hint="How many random numbers does a step need for a batch of B rows?")
def one_draw_for_all_rows(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """All rows of the batch share one draw of a step, so they are no independent samples."""

    def draw(logits, temperature, generator):
        total = (logits / temperature).softmax(-1).cumsum(-1)
        uniform = torch.rand(1, dtype=total.dtype, generator=generator)
        return (total < uniform).sum(-1).clamp(max=logits.shape[-1] - 1)

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, draw=draw)


@one_draw_for_all_rows.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(z[:1] / t, g).expand(len(z)),
    )  # fmt: skip


@wrong(about="sampling", read="end", hint="Can your policy ever choose to end a response?")
def cannot_end(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The end-of-sequence token can never be drawn, so a response always has its full length."""
    ends = torch.zeros_like(prompt_ids[0, 0]) + eos_token_id
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        draw=lambda z, t, g: pick(z.index_fill(-1, ends, -math.inf) / t, g),
    )  # fmt: skip


@cannot_end.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    ends = torch.zeros_like(prompt_ids[0, 0]) + eos_token_id

    def endless(state):
        return read(state).index_fill(-1, ends, -math.inf)

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=endless)


# What is reported


@wrong(about="formula", read="logprob", hint="Do the numbers of one step, exponentiated, sum to 1 over the vocabulary?")
def raw_logits_reported(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The logit of the token is reported, without the logsumexp that makes a log-probability of it."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: (z / t).gather(1, y.unsqueeze(1)).squeeze(1),
    )  # fmt: skip


@raw_logits_reported.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: z.gather(1, y.unsqueeze(1)).squeeze(1),
    )  # fmt: skip


@wrong(about="formula", read="logprob", hint="Can a log-probability be positive? What is still missing after the softmax?")
def probabilities_reported(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The probability of the token is reported, between 0 and 1, and not its logarithm."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: logprob(z / t, y).exp(),
    )  # fmt: skip


@wrong(about="sign", read="logprob", hint="What sign does a log-probability have?")
def negative_log_likelihood(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The sign is that of a loss: what is reported is minus the log-probability."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: -logprob(z / t, y),
    )  # fmt: skip


@wrong(about="reading", read="logprob", hint="Is the token that was drawn always the likeliest one?")
def likeliest_reported(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The log-probability is that of the likeliest token, whichever token was drawn."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        report=lambda z, t, y: (z / t).log_softmax(-1).amax(-1),
    )  # fmt: skip


@wrong(about="time", read="shift", hint="Which logits produced this token: those before it was appended, or those after?")
def reported_one_step_late(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The log-probability is read from the logits after the token, which are about the token that follows it."""
    with torch.no_grad():
        tokens, _, alive = run(
            model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
        )  # fmt: skip
        mask = torch.cat([attention_mask, alive.long()], 1)
        state = SimpleNamespace(model=model, ids=torch.cat([prompt_ids, tokens], 1), mask=mask)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = model(input_ids=state.ids, attention_mask=mask, position_ids=positions).logits[:, -tokens.shape[1] :]
        return Sample(tokens, logprob(logits / temperature, tokens) * alive, alive)


@wrong(about="mean", read="logprob", hint="PPO needs one number for each token: where are they added up?")
def one_logprob_a_row(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The log-probabilities of a response are summed up, though one is needed for each token."""
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs.sum(-1), alive)


@wrong(about="shape", read="logprob", hint="What are the shapes of your three results? Which dimension is one too many?")
def extra_dimension(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The log-probabilities have a dimension too many: a last one of size 1, or the whole vocabulary."""
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs.unsqueeze(-1), alive)


@wrong(about="gradient", read="sampling", hint="Is the sample data, or a part of the loss?")
def gradient_kept(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The graph of every step is kept: the log-probabilities of the rollout are old ones, constants, and memory runs out."""
    return Sample(*run(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator))


# The end of a response


@wrong(about="mask", read="end", hint="What should a row hold once it has drawn its end-of-sequence token?")
def goes_on_after_eos(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """A row that has ended goes on drawing tokens, which belong to no response."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, goes_on=True, enough=never
    )


@goes_on_after_eos.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # No end is looked for at all.
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, goes_on=True, zero=False,
        enough=never,
    )  # fmt: skip
    return Sample(tokens, logprobs, torch.ones_like(tokens, dtype=torch.bool))


@goes_on_after_eos.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, goes_on=True, zero=False
    )
    return Sample(tokens, logprobs, torch.ones_like(tokens, dtype=torch.bool))


@goes_on_after_eos.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, goes_on=True, zero=False
    )


@goes_on_after_eos.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, goes_on=True, zero=False
    )
    return Sample(tokens, logprobs, tokens != eos_token_id)


@goes_on_after_eos.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, goes_on=True, zero=False
    )
    return Sample(tokens, logprobs * (tokens != eos_token_id), tokens != eos_token_id)


@wrong(about="mask", read="end", hint="Which token pads a response here?")
def filled_with_another_token(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Rows that have ended are filled with token 0, a word of the vocabulary, instead of the end-of-sequence token."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, filler=0)


@filled_with_another_token.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, filler=0, zero=False)


@wrong(about="mask", read="end", hint="What is the log-probability of a token that nobody drew?")
def logprobs_after_the_end(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The log-probabilities after the end of a response are not 0, though its padding was drawn by nobody."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, zero=False)


@logprobs_after_the_end.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs.masked_fill(~alive, -math.inf), alive)


@wrong(about="mask", read="end", hint="Who chose to end the response, and should that choice be scored?")
def eos_not_counted(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The end-of-sequence token that the policy drew is not counted: False in the mask, though it was chosen like any other."""
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs, tokens != eos_token_id)


@eos_not_counted.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, early=True
    )
    return Sample(tokens, logprobs, tokens != eos_token_id)


@eos_not_counted.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, zero=False
    )
    return Sample(tokens, logprobs, tokens != eos_token_id)


@wrong(about="mask", read="end", hint="In which order do you mark a row as ended and keep its log-probability?")
def eos_logprob_lost(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """A row counts as ended before the log-probability of its last token is kept, so that of the end-of-sequence token is 0."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, early=True)


@wrong(about="mask", read="end", hint="Which of the tokens in a padded response did the policy choose?")
def mask_true_everywhere(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The mask is True also after the end of a response, so padding is scored and trained on."""
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs, torch.ones_like(tokens, dtype=torch.bool))


@mask_true_everywhere.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, _ = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, zero=False
    )
    return Sample(tokens, logprobs, torch.ones_like(tokens, dtype=torch.bool))


@wrong(about="mask", read="end", hint="Which tokens take part in a loss, the True ones or the False ones?")
def mask_inverted(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """True and False are exchanged: the mask says which rows have ended, not which tokens were drawn."""
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs, ~alive)


@wrong(about="time", read="end", hint="May a row go on when another one has ended?")
def stops_with_the_first_row(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The loop ends as soon as any row has ended, so the other responses are cut short."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, enough=torch.any)


@wrong(about="time", read="sampling", hint="How often does your loop run for max_new_tokens = 1?")
def one_token_too_few(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The loop runs once too seldom: a response has at most max_new_tokens - 1 tokens."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, extra=-1)


@wrong(about="time", read="sampling", hint="How often does your loop run for max_new_tokens = 1?")
def one_token_too_many(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The loop runs once too often: a response may have max_new_tokens + 1 tokens."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, extra=1)


@wrong(about="shape", read="sampling", hint="Which of the tokens that you return were chosen by the policy?")
def prompt_returned(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The prompt is returned with the response, so it is scored and trained on, though the policy did not choose it."""
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(torch.cat([prompt_ids, tokens], 1), logprobs, alive)


@prompt_returned.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    width = prompt_ids.shape[1]
    return Sample(torch.cat([prompt_ids, tokens], 1), pad(logprobs, (width, 0)), torch.cat([attention_mask.bool(), alive], 1))


@prompt_returned.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # In the mask alone.
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, logprobs, torch.cat([attention_mask.bool(), alive], 1))


@wrong(about="shape", read="sampling", hint="In which order does Sample name its parts?")
def results_in_another_order(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The parts of the sample are in another order than tokens, logprobs, mask."""
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(tokens, alive, logprobs)


@results_in_another_order.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    tokens, logprobs, alive = sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator
    )  # fmt: skip
    return Sample(logprobs, tokens, alive)


# What the model is given


@wrong(about="reading", read="padding", hint="Which position has the first real token of a row that is padded by three places?")
def left_pad_positions_ignored(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Positions count the padding on the left of a prompt, so what a row draws depends on how far it was padded."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        read=lambda s: s.model(input_ids=s.ids, attention_mask=s.mask).logits[:, -1],
    )  # fmt: skip


@wrong(about="reading", read="padding", hint="How many real tokens stand before the first new one, and how many columns?")
def new_positions_count_the_padding(
    model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None
):
    """The prompt's positions are right, but those of the new tokens count the columns, padding included."""

    def count(state):
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        new = torch.arange(state.width, state.ids.shape[1]).expand(len(positions), -1)
        positions = torch.cat([positions, new], 1)
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=count)


@wrong(about="reading", read="padding", hint="Which positions do your new tokens have? Print them for two steps.")
def new_positions_wrong(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The position ids of the new tokens do not go on where the prompt ends: they stand still, begin anew, or are one off."""

    def stand_still(state):
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        positions = torch.cat([positions, positions[:, -1:].expand(-1, state.step)], 1)
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=stand_still)


@new_positions_wrong.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def begin_anew(state):
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        positions = torch.cat([positions, torch.arange(state.step).expand(len(positions), -1)], 1)
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=begin_anew)


@new_positions_wrong.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def one_late(state):
        positions = (state.mask.cumsum(-1) - 1).clamp(min=0)
        positions[:, state.width :] += 1
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=one_late)


@new_positions_wrong.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def all_at_zero(state):
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        positions = pad(positions, (0, state.step))
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=all_at_zero)


@wrong(about="reading", read="padding", hint="Should a row's first real token stand at position 0 or 1?")
def positions_from_one(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """Positions begin at 1: the running count of the mask already includes the token itself."""

    def from_one(state):
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=state.mask.cumsum(-1)).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=from_one)


@wrong(about="reading", read="padding", hint="How does the model learn which of its inputs are padding?")
def no_attention_mask(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The attention mask is not handed to the model, so the padding before a prompt is read like text."""

    def unmasked(state):
        return state.model(input_ids=state.ids, position_ids=(state.mask.cumsum(-1) - 1).clamp(min=0)).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=unmasked)


@no_attention_mask.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # Without the mask it shows at which position the padding was put.
    def unmasked(state):
        positions = (state.mask.cumsum(-1) - 1).masked_fill(state.mask == 0, 1)
        return state.model(input_ids=state.ids, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=unmasked)


@no_attention_mask.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def unmasked(state):
        return state.model(input_ids=state.ids, position_ids=state.mask.cumsum(-1) - 1).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=unmasked)


@wrong(about="reading", read="padding", hint="Which two things does the model have to be told about the padding?")
def padding_unknown_to_the_model(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The model gets neither the attention mask nor position ids, so the padding before a prompt is read as its start."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        read=lambda s: s.model(input_ids=s.ids).logits[:, -1],
    )  # fmt: skip


@wrong(
    about="reading",
    read="padding",
    hint="When a token is appended to input_ids, what has to be appended to the attention mask?",
)
def new_tokens_masked(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The attention mask does not cover the new tokens, so the model does not see what it has drawn itself."""

    def blind(state):
        mask, positions = pad(attention_mask, (0, state.step)), (state.mask.cumsum(-1) - 1).clamp(min=0)
        return state.model(input_ids=state.ids, attention_mask=mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=blind)


@new_tokens_masked.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def blind(state):
        mask = pad(attention_mask, (0, state.step))
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        return state.model(input_ids=state.ids, attention_mask=mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=blind)


@wrong(
    about="state",
    read="sampling",
    hint="When you hand over a cache and one new token, does the mask still say where the padding was?",
)
def mask_of_the_new_token_only(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """With a cache the mask has to cover the whole row, what is cached too: here it covers the new token alone."""
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        read=lambda s: with_cache(s, lambda mask: mask[:, -1:]),
    )  # fmt: skip


@mask_of_the_new_token_only.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # None at all after the prompt.
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        read=lambda s: with_cache(s, lambda mask: None),
    )  # fmt: skip


def with_cache(state, mask_after, positions_after=lambda positions: positions[:, -1:]):
    """Logits of the next token with a cache; what is given after the prompt is changed."""
    positions = (state.mask.cumsum(-1) - 1).clamp(min=0)
    if state.step == 0:
        out = state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions, use_cache=True)
    else:
        out = state.model(
            input_ids=state.ids[:, -1:], attention_mask=mask_after(state.mask), position_ids=positions_after(positions),
            past_key_values=state.past, use_cache=True,
        )  # fmt: skip
    state.past = out.past_key_values
    return out.logits[:, -1]


@new_positions_count_the_padding.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # With a cache and no position ids after the prompt.
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        read=lambda s: with_cache(s, lambda mask: mask, lambda positions: None),
    )  # fmt: skip


@new_positions_wrong.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    # With a cache, one place too far.
    return sample(
        model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator,
        read=lambda s: with_cache(s, lambda mask: mask, lambda positions: positions[:, -1:] + 1),
    )  # fmt: skip


@wrong(about="state", read="sampling", hint="What does the model read at your second step?")
def last_token_alone(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """After the first step the model is given the last token alone, without a cache: it has forgotten the prompt."""

    def forgetful(state):
        positions = (state.mask.cumsum(-1) - 1).clamp(min=0)
        if state.step:
            ids, mask, positions = state.ids[:, -1:], state.mask[:, -1:], positions[:, -1:]
            return state.model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[:, -1]
        return read(state)

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=forgetful)


@last_token_alone.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def forgetful(state):
        if state.step:
            return state.model(input_ids=state.ids[:, -1:], attention_mask=state.mask[:, -1:]).logits[:, -1]
        return read(state)

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=forgetful)


@last_token_alone.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def forgetful(state):
        if state.step:
            ids = state.ids[:, state.width :]
            return state.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
        return read(state)

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=forgetful)


@wrong(about="state", read="sampling", hint="Does the input of your second step contain the token of the first?")
def never_appends(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The token that was drawn is not appended to the input, so every token is drawn as if it were the first."""

    def prompt_again(state):
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        return state.model(input_ids=prompt_ids, attention_mask=attention_mask, position_ids=positions).logits[:, -1]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=prompt_again)


@wrong(about="time", read="shift", hint="At which place of the output are the logits of the token that comes next?")
def reads_another_place(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The logits are not read at the last place, so they are about a token that the row already holds."""

    def one_before(state):
        positions = (state.mask.cumsum(-1) - 1).clamp(min=0)
        logits = state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits
        return logits[:, max(logits.shape[1] - 2, 0)]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=one_before)


@reads_another_place.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    def first(state):
        positions = (state.mask.cumsum(-1) - 1).clamp(min=0)
        return state.model(input_ids=state.ids, attention_mask=state.mask, position_ids=positions).logits[:, 0]

    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator, read=first)


# The source of randomness


@wrong(about="state", read="sampling", hint="Which of your calls draws random numbers, and what does it take them from?")
def generator_ignored(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """The tokens are drawn from the global random state, not from the generator, so a run cannot be repeated."""
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, None)


@wrong(
    about="state", read="sampling", hint="If every call begins with the same seed, what do two calls in a row have in common?"
)
def seeded_inside(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    """A seed is set inside the function, so every call draws the same random numbers."""
    generator = torch.Generator().manual_seed(0)
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator)


@seeded_inside.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    torch.manual_seed(0)
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, None)


@seeded_inside.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    if generator is not None:
        generator.manual_seed(0)
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator)


@seeded_inside.also
def _(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    return sample(model, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator)
