# %% [markdown]
# ## What you will have at the end
#
# The policy wrote a sentence: "Very heart warming" was given, "and gentleful tale has some potential to be very boring and
# outrageous." is its own. The reward model disliked it and said so once, at the end: −1.9. Each column below is one token,
# each row a value of $\lambda$, and the colour is the *advantage* that token is trained with: blue says "more of this", red
# says "less".
#
# PICTURE
#
# At the top of the upper panel two tokens are to blame: "potential" and "boring". Further down the blame spreads over what
# came before them. The lower panel has the same sentence, the same score, and a worse idea of what to expect; there the full
# stop takes the blame. The colours come from a function that you will write, generalised advantage estimation. Two others of
# this lesson, a mean that knows the mask and whitening, make its numbers fit for training, and a last one says how far the idea
# of what to expect can be trusted.

# %%
import torch
from ipywidgets import interact
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap

import rlhf_core
from autograder import check
from rlhf_core import advantages
from rlhf_core.advantages import compute_gae, explained_variance, masked_mean, masked_whiten
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.kl import shape_rewards
from rlhf_core.models import PolicyWithValue, load_causal_lm, load_classifier, load_tokenizer
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import sample_response
from rlhf_core.rewards import RewardWrapper

tokenizer = load_tokenizer("embedded:policy")
model = load_causal_lm("embedded:policy")
with rlhf_core.use("mine", otherwise="reference"):
    score = RewardWrapper(load_classifier("embedded:reward-imdb"), load_tokenizer("embedded:reward-imdb"), 64, 64)

# %% [markdown]
# ## The problem: many tokens, one score
#
# First some material: 768 openings of real reviews, continued by the policy. This policy hardly ever ends a text within 20
# tokens, so in this lesson a full stop ends the episode; that gives sentences of all lengths. Sampling, scoring and rewards
# are your functions of lessons 1, 2 and 4 where you have them, and borrowed from the reference answers where you have not
# and your edition of the course has those. That is what `rlhf_core.use` does; this lesson's own exercises are never borrowed.


# %%
def write_sentences(prompts, length, seed):
    """One sentence to each prompt (a list of tokens), of `length` tokens at most: a Sample and the reward model's scores."""
    prompt_ids, prompt_mask = left_pad(prompts, tokenizer.pad_token_id)
    full_stop, generator = tokenizer(".").input_ids[0], torch.Generator().manual_seed(seed)
    with rlhf_core.use("mine", otherwise="reference"):
        sample = sample_response(model, prompt_ids, prompt_mask, length, 1.0, full_stop, generator)
        sentences = response_texts(tokenizer, sample.tokens, sample.mask)
        scores = score([tokenizer.decode(prompt) + text for prompt, text in zip(prompts, sentences)])
    return sample, scores


def score_on_the_last(scores, mask):
    """The rewards of lesson 4. The policy is still its own reference, so the KL penalty is 0 on every token."""
    same = torch.zeros(mask.shape)
    with rlhf_core.use("mine", otherwise="reference"):
        return shape_rewards(scores, same, same, mask, kl_coef=0.1)


prompts = make_prompts(load_reviews("embedded", "train").texts, tokenizer, min_tokens=3, max_tokens=6, seed=0)[:768]
sample, scores = write_sentences(prompts, length=20, seed=0)
mask, rewards = sample.mask, score_on_the_last(scores, sample.mask)
for row in scores.argsort()[[0, 8, 384, 767]]:
    print(f"{scores[row]:5.2f}  {tokenizer.decode(prompts[row])}|{tokenizer.decode(sample.tokens[row][mask[row]])}")

# %% [markdown]
# Here is the sentence of the picture, kept as text so that it is the same on every machine. It is one of those 768, chosen
# because it turns round half-way. Its rewards are what your training loop would see:

# %% tolerance=0.02
prompt = tokenizer("Very heart warming").input_ids
response = tokenizer(" and gentleful tale has some potential to be very boring and outrageous.").input_ids
one_score = score_on_the_last(torch.tensor([-1.93]), torch.ones(1, len(response), dtype=torch.bool))
print([tokenizer.decode(token) for token in response])
print([round(reward, 2) for reward in one_score[0].tolist()])

# %% [markdown]
# Eighteen tokens, one of them with a reward: the full stop, which has done nothing wrong. Each of the 18 needs a number that
# says whether to make it likelier. Three answers suggest themselves. All tokens get −1.93: then "gentleful tale" is punished
# along with "boring". The full stop alone gets it: then the policy learns to avoid full stops. Or each token gets the
# difference that it made. This lesson is about the third.
#
# Two tools come first, because every average from here on runs over a batch with holes in it.

# %% [markdown] section="mean"
# A batch of two responses with three tokens. The second one ended after its first token, and behind it stands junk:
#
# | | `x` | `mask` |
# |---|---|---|
# | first row | 1 2 3 | True True True |
# | second row | 4 99 99 | True False False |
#
# There are four tokens, and their mean is (1 + 2 + 3 + 4) / 4 = **2.5**. Three other numbers are easy to get:
#
# - `x.mean()` is 208 / 6 = 34.7: the junk is in it.
# - Junk set to 0, then the mean: 10 / 6 = 1.67. The junk is gone from the sum, but it is still counted.
# - The mean of each row first, 2 and 4, then their mean: 3. The 4 now weighs one half and not one quarter, because its row is
#   short. A loss made like this pulls harder on the tokens of short responses.
#
# Write $m_{bt}$ for `mask[b, t]`, 1 where it is True:
#
# $$\operatorname{mean}_m(x) = \frac{\sum_{b,t} m_{bt}\, x_{bt}}{\sum_{b,t} m_{bt}}.$$

# %% [markdown] exercise="masked_mean" minutes=10 difficulty=1
# Return the mean of `x` over the places where `mask` is True: one number when `dim` is `None`, else the means along that
# dimension, which disappears from the shape.
#
# What to watch for: `dim=0` is not `dim=None`, though both are false in an `if`. A row may have no token; its mean is 0, and
# so is its gradient. Losses will be built on this mean, so the gradient has to flow to `x`.
#
# Hint: Two sums and a division. Before summing, put 0 wherever the mask is False: `torch.where(mask, x, torch.zeros_like(x))`.
#
# Hint: `mask.sum(dim)` counts. A count of 0 has to become 1 *before* you divide: `.clamp(min=1)`.
#
# Hint: Two returns, one for `dim is None` with `.sum()`, one with `.sum(dim)`; the same in numerator and denominator.

# %% answer="masked_mean"
@masked_mean.implement
def masked_mean(x, mask, dim=None):
    ### BEGIN SOLUTION
    # where, not multiplication: what stands on padding may be large, and large * 0 is safe only while it is finite.
    kept = torch.where(mask, x, torch.zeros_like(x))
    if dim is None:
        return kept.sum() / mask.sum().clamp(min=1)
    return kept.sum(dim) / mask.sum(dim).clamp(min=1)
    ### END SOLUTION

# %% tolerance=0.001
x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 99.0, 99.0]])
tokens_of = torch.tensor([[True, True, True], [True, False, False]])
print(f"{masked_mean(x, tokens_of):.2f}", masked_mean(x, tokens_of, dim=1), masked_mean(x, tokens_of, dim=0))

# %% [markdown]
# **Predict before you run:** the 768 sentences have log-probabilities around −4 on each token and 0 behind the end. Is
# `x.mean()` too high or too low? And the mean of means, in which the full stop of a short sentence weighs more than that of a
# long one?

# %% tolerance=0.1
print(f"over everything:  {sample.logprobs.mean():.2f}")
print(f"mean of means:    {masked_mean(sample.logprobs, mask, dim=1).mean():.2f}")
print(f"over the tokens:  {masked_mean(sample.logprobs, mask):.2f}")

# %% [markdown]
# One place in five is padding, so the first number is a fifth too small in size: it reports a policy surer of itself than it
# is. The second one errs in the same direction, by less: the full stop is a likely token, and in a short sentence it is a
# larger part.
#
# Why 0 and not NaN for a row without a token, and why so much care with its gradient? Because a repair that comes after the
# division comes too late:

# %%
x_empty, nothing = torch.ones(1, 3, requires_grad=True), torch.zeros(1, 3, dtype=torch.bool)
quotient = (x_empty * nothing).sum() / nothing.to(x_empty.dtype).sum()  # 0 / 0
torch.where(nothing.any(), quotient, torch.zeros_like(quotient)).backward()
print("repaired after the division:", x_empty.grad)
x_empty.grad = None
masked_mean(x_empty, nothing).backward()
print("yours:                      ", x_empty.grad)

# %% [markdown]
# `torch.where` throws the NaN away on the way forward. On the way back it multiplies it by 0, and NaN times 0 is NaN. One such
# minibatch, and every weight of the model is NaN after the optimizer's step.

# %% [markdown] section="whitening"
# Advantages come in units of the reward. With a reward model whose scores are ten times as large, the gradient is ten times
# as large, and the learning rate that worked yesterday does not work today. PPO therefore *whitens* advantages before it uses
# them: mean 0, variance 1, over all tokens of the batch.
#
# The four tokens from above by hand: the mean is 2.5, the deviations are −1.5, −0.5, 0.5, 1.5, their squares 2.25, 0.25,
# 0.25, 2.25, and the variance is 5 / 4 = 1.25. One over its root is 0.894, so the result is −1.342, −0.447, 0.447, 1.342.
#
# $$y_{bt} = \frac{x_{bt} - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad \mu = \operatorname{mean}_m(x), \quad
# \sigma^2 = \operatorname{mean}_m((x - \mu)^2), \quad \varepsilon = \mathtt{eps}.$$
#
# `eps` stands *inside* the root, and there it does more than prevent a division by 0. Two tokens that differ by rounding, one
# millionth above and one below their mean, have variance $10^{-12}$. With $10^{-8}$ inside the root they come out at ±0.01.
# With $10^{-8}$ added after the root they come out at ±0.99: rounding noise, blown up into advantages.
#
# With `shift_mean=False` the mean is added back after scaling: 1.158, 2.053, 2.947, 3.842. That is for whitening *rewards*,
# where the sign has a meaning that must survive.

# %% [markdown] exercise="masked_whiten" minutes=15 difficulty=2
# Return `x` scaled to variance 1 over the True places, with mean 0 unless `shift_mean` is False, and 0 where the mask is
# False.
#
# What to watch for: the mask is needed three times: for the mean, for the variance, and for the result. A single token has
# variance 0 and comes out as 0 (or as its mean); the unbiased variance would divide 0 by 0 there. Whether you divide by $n$ or
# by $n - 1$ elsewhere is not checked.
#
# Hint: You have written half of it already: both the mean and the variance are a `masked_mean`.
#
# Hint: Take the mean off first, square the differences, and average *those* under the mask. If you set padding to 0 before the
# mean is taken off, each padded place adds the squared mean to your variance.
#
# Hint: `(x - mean) * torch.rsqrt(variance + eps)`, then the mean again if `shift_mean` is False, then `torch.where` with
# zeros.

# %% answer="masked_whiten"
@masked_whiten.implement
def masked_whiten(x, mask, shift_mean=True, eps=1e-8):
    ### BEGIN SOLUTION
    mean = advantages.masked_mean(x, mask)
    variance = advantages.masked_mean((x - mean).square(), mask)
    whitened = (x - mean) * torch.rsqrt(variance + eps)
    if not shift_mean:
        whitened = whitened + mean
    return torch.where(mask, whitened, torch.zeros_like(x))
    ### END SOLUTION

# %% tolerance=0.01
print(masked_whiten(x, tokens_of))
print(masked_whiten(x, tokens_of, shift_mean=False))
close = torch.tensor([[1 + 1e-6, 1 - 1e-6]], dtype=torch.float64)
print(masked_whiten(close, torch.ones_like(close, dtype=torch.bool)))

# %% [markdown]
# **Now break it.** Hand your function a mask that is True everywhere, which is what forgetting the mask amounts to. What do
# the four tokens, with their 1, 2, 3, 4, come out as?

# %% tolerance=0.01
print(masked_whiten(x, torch.ones_like(tokens_of)))

# %% [markdown]
# All four are near −0.7. Beside the junk the differences between them have all but vanished: the worst token and the best are
# punished alike.
#
# Question: Could you whiten each response by itself, so that every row has mean 0 and variance 1?
#
# Answer: Then a good response and a bad one look the same: in each of them half of the tokens is encouraged and half
# discouraged. What told them apart was the mean of the row, and that has been taken off. The batch is what a response is
# compared with.

# %% [markdown] section="values"
# Back to the sentence. The difference that a token made is the difference between two expectations: what score could be
# expected before it, and what score after it. So define what can be expected. The *return* from token $t$ on is the sum of
# the rewards that are still to come, those further away discounted by $\gamma$ (`gamma`) for each step:
#
# $$G_t = r_t + \gamma\, r_{t+1} + \gamma^2 r_{t+2} + \dots$$
#
# With $\gamma = 1$ and one score at the end, $G_t$ is that score at every token. With $\gamma = 0.9$ and rewards 0, 0, 1 it
# is 0.81, 0.9, 1. The *value* of a state is the return that the policy can expect from there on, the mean over all the ways
# it may go on:
#
# $$V_t = V(s_t) = \mathbb{E}\,[\,G_t \mid s_t\,].$$
#
# Mind the index. $s_t$ is the text *before* token $t$, so `values[:, t]` knows nothing of token $t$. The value after it is
# `values[:, t + 1]`.
#
# An expectation can be measured: let the policy finish the text 64 times and average the scores. Do that before each of the 18
# tokens. **Predict before you run:** the sentence begins "Very heart warming and gentleful tale has some potential to be very
# boring and". Where is $V_t$ highest? Before which tokens does it fall?


# %%
def value_by_sampling(start, length, n=64):
    """Mean score of n sentences that the policy writes from `start`, and the standard error of that mean."""
    _, finished = write_sentences([start] * n, length, seed=len(start))
    return finished.mean().item(), finished.std().item() / n**0.5


pairs = [value_by_sampling(prompt + response[:t], 20 - t) for t in range(len(response))]
measured, standard_error = torch.tensor(pairs).T[:, None]  # (1, T) each: a batch of one response
for t in (6, 8, 9, 12, 13):
    print(f"before {tokenizer.decode(response[t])!r:12} {measured[0, t]:5.2f} +- {standard_error[0, t]:.2f}")

# %% [markdown]
# 1,152 sentences for the values of one. No training run can afford that, so PPO trains a *value head*: a single linear unit
# that looks at the policy's hidden state and predicts the return. `PolicyWithValue` puts one on the model; it starts at zero.
# PPO trains it along with the policy. Here least squares does it in one go: 512 sentences to fit it, 256 to see what it is
# worth.
#
# A hidden state stands at the same place as the logits, so the states before the response's tokens begin one place before it:
# the shift of lesson 1 once more.

# %%
policy = PolicyWithValue(model)


@torch.no_grad()
def before_each_token(ids, attention, length):
    """Hidden states and values of the states before each of the last `length` tokens."""
    out = policy(input_ids=ids, attention_mask=attention, position_ids=position_ids(attention))
    return out.hidden[:, -length - 1 : -1], out.values[:, -length - 1 : -1]


full, attention = join(*left_pad(prompts, tokenizer.pad_token_id), sample.tokens, mask)
hidden, _ = before_each_token(full, attention, mask.shape[1])
features = torch.cat([hidden, torch.ones_like(hidden[..., :1])], -1)  # 256 numbers and a 1 for the bias
target = scores[:, None].expand(mask.shape)  # the return of each token with gamma 1
X, y = features[:512][mask[:512]], target[:512][mask[:512]]
weights = torch.linalg.solve(X.T @ X + 300 * torch.eye(257), X.T @ y)  # the 300 keeps the weights small
with torch.no_grad():
    policy.value_head.weight.copy_(weights[None, :-1])
    policy.value_head.bias.copy_(weights[-1:])

_, values = before_each_token(full, attention, mask.shape[1])

# %%
sentence = torch.tensor([prompt + response])
_, by_head = before_each_token(sentence, torch.ones_like(sentence), len(response))
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(measured[0], "o-", color="#1f77b4", label="measured: 64 continuations each")
ax.fill_between(range(18), *(measured[0] + side * standard_error[0] for side in (-2, 2)), color="#1f77b4", alpha=0.2)
ax.plot(by_head[0], "o-", color="#b8860b", label="value head")
ax.axhline(-1.93, color="#8a8f98", linestyle=":", label="the score that came")
ax.set_xticks(range(18), [tokenizer.decode(token) for token in response], rotation=45, ha="right")
ax.set(xlabel="the token before which the value is taken", ylabel="value (units of the score)")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Before " potential" nearly everything that the policy could still write would have pleased the reward model: 2.2. Then two
# drops, to 0.6 behind " potential" (it shows *before* the next token, " to"), and to −1.6 behind " boring". By then the
# matter is settled, and the rest of the sentence changes little.
#
# The head sees the first drop, and little of the second. That is a poor value function (the last exercise puts a number on it),
# and PPO begins with a worse one, all zeros. Keep both lines: the difference between them is what $\lambda$ is about.

# %% [markdown] section="gae"
# Three tokens, rewards 0, 0, 1, values 0.5, 0.4, 0.8, $\gamma = 0.9$. How much better did each token turn out than expected?
#
# The nearest answer looks one step ahead. Before the first token 0.5 was expected. After it, the reward 0 is in hand and 0.4
# is expected one step later: 0 + 0.9 · 0.4 − 0.5 = −0.14. This is the *one-step error* $\delta_0$. From the last token to the
# first:
#
# | $t$ | $r_t$ | $V_t$ | $\delta_t = r_t + \gamma V_{t+1} - V_t$ | $A_t = \delta_t + 0.9 \cdot 0.5 \cdot A_{t+1}$ |
# |---|---|---|---|---|
# | 2 | 1 | 0.8 | 1 + 0.9 · 0 − 0.8 = 0.2 | 0.2 + 0.45 · 0 = 0.2 |
# | 1 | 0 | 0.4 | 0 + 0.9 · 0.8 − 0.4 = 0.32 | 0.32 + 0.45 · 0.2 = 0.41 |
# | 0 | 0 | 0.5 | 0 + 0.9 · 0.4 − 0.5 = −0.14 | −0.14 + 0.45 · 0.41 = 0.0445 |
#
# The one-step error believes the value 0.4. But if the head is wrong there, the errors of the later tokens show it: 0.32 and
# 0.2, both pleasant surprises. *Generalised advantage estimation* lets the later errors count, less and less the further away
# they are, and the last column does so with $\lambda = 0.5$:
#
# $$\delta_t = r_t + \gamma V_{t+1} - V_t, \qquad
# A_t = \sum_{l \ge 0} (\gamma\lambda)^l\, \delta_{t+l} = \delta_t + \gamma\lambda A_{t+1}.$$
#
# | symbol | here | in the code |
# |---|---|---|
# | $r_t$ | reward of token $t$ | `rewards[:, t]` |
# | $V_t$ | value of the state before token $t$ | `values[:, t]` |
# | $\gamma, \lambda$ | discount; how far later errors reach | `gamma`, `lam` |
# | $\delta_t$ | one-step error | yours to name |
# | $A_t$ | advantage of token $t$ | `advantages[:, t]` |
# | $R_t$ | return that the value head learns | `returns[:, t]` |
#
# Look at the two ends of $\lambda$. With $\lambda = 0$ only $\delta_t$ is left: trust the head. With $\lambda = 1$ write
# the sum out: every value between the first and the last is added once and taken off once, and $A_t = G_t - V_t$ remains:
# trust what came, and use the head only for what was expected at the start.

# %% [markdown] section="end"
# What is $V_{t+1}$ behind the last token? Nothing can be earned there, so it is 0, and so is $A_{t+1}$. In the table above
# this was the row of $t = 2$. In a batch it needs code, because behind a short response the tensors go on. The value head
# computes a number for padding as well, and nobody has ever trained it there.
#
# Say a response has one token with score 1 and value 0.8, and on the padding behind it the head says 20. Right: 1 − 0.8 =
# 0.2. With the padding's value read: 1 + 0.9 · 20 − 0.8 = 18.2. To *bootstrap* is to use a predicted value in place of what
# is still to come; this one bootstraps past the end, and rewards the policy for ending.
#
# Question: A response that is cut off at 20 tokens did not end. Should the value behind its last token be 0 as well?
#
# Answer: Here, yes. The score is given to the text as it stands, and nothing will be added to it: the limit is one of the
# rules. In a game that goes on after the recording stops, one would bootstrap from the last state.

# %% [markdown] section="returns"
# The value head needs a target, and the advantage has nearly computed it. $A_t$ says how much better it went than $V_t$, so
# what it should have predicted is
#
# $$R_t = A_t + V_t.$$
#
# In the example: 0.0445 + 0.5 = 0.5445, 0.41 + 0.4 = 0.81, 0.2 + 0.8 = 1. With $\lambda = 1$ this is $G_t$, the return that
# was seen; with $\lambda = 0$ it is $r_t + \gamma V_{t+1}$, one step of it and the head's own word for the rest.
#
# These are targets. If a gradient flowed through them, the head could lower its loss by moving the target. And they have to
# be formed from the advantages *as they are*, before whitening: whitened ones no longer know how large the rewards were.
# Therefore `compute_gae` does not whiten; whoever uses the advantages does.

# %% [markdown] exercise="compute_gae" minutes=25 difficulty=3
# Return `(advantages, returns)`, each `(B, T)`, without a gradient, 0 where the mask is False.
#
# What to watch for: go from the last place to the first, one column of the batch at a time. Behind the last True token of each
# row both the next value and the next advantage are 0, whatever stands on the padding. A full row ends at the edge of the
# tensor, and its last token counts, too.
#
# Hint: `for t in reversed(range(T))`, and two tensors of shape `(B,)` that you carry from column to column: the next value and
# the next advantage. Both begin as zeros.
#
# Hint: In each column compute the error and the advantage as in the table. Then set both of what you carry to 0 in rows whose
# `mask[:, t]` is False: `torch.where(mask[:, t], ..., 0)`. So padding passes on zeros.
#
# Hint: Write the advantages of column `t` into a tensor made by `torch.zeros_like(values)`. The returns are that tensor plus
# `values`, under the mask once more. `@torch.no_grad()` above the function takes care of gradients.

# %% answer="compute_gae"
@compute_gae.implement
@torch.no_grad()
def compute_gae(rewards, values, mask, gamma, lam):
    ### BEGIN SOLUTION
    result = torch.zeros_like(values)
    next_value = next_advantage = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        # On padding both stay 0, so the state after the last True token has value 0 and advantage 0.
        next_advantage = torch.where(mask[:, t], delta + gamma * lam * next_advantage, torch.zeros_like(delta))
        next_value = torch.where(mask[:, t], values[:, t], torch.zeros_like(delta))
        result[:, t] = next_advantage
    return result, torch.where(mask, result + values, torch.zeros_like(values))
    ### END SOLUTION

# %% tolerance=0.001
r, v, three = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.4, 0.8]]), torch.ones(1, 3, dtype=torch.bool)
for lam in (0.0, 0.5, 1.0):
    A, R = compute_gae(r, v, three, gamma=0.9, lam=lam)
    print(f"lambda {lam}: advantages {[round(a, 4) for a in A[0].tolist()]}, returns {[round(b, 4) for b in R[0].tolist()]}")

# %% [markdown]
# The middle line is the table. The first holds the one-step errors −0.14, 0.32, 0.2. In the last one the returns are the
# discounted rewards 0.81, 0.9, 1, and the advantages are those minus the values. If your first and last lines agree,
# $\lambda$ does not appear in your function.
#
# ## Two things to break
#
# **Past the end.** On the 768 sentences, put 20 on all padding. A right function does not notice. A function that reads the
# value behind the last token does just what yours does when that token's reward is larger by $\gamma \cdot 20$; so the
# mistake can be played with your own function. **Predict before you run:** which sentences will the policy believe to be good
# ones, and by how much?

# %% tolerance=0.15
junk = values.masked_fill(~mask, 20.0)
right, _ = compute_gae(rewards, junk, mask, gamma=1.0, lam=0.95)
print("does the junk matter?", not torch.equal(right, compute_gae(rewards, values, mask, gamma=1.0, lam=0.95)[0]))

length = mask.sum(1)
ended = length < mask.shape[1]  # padding stands behind these
past_the_end = rewards.clone()
past_the_end[ended, length[ended] - 1] += 20.0
wrong, _ = compute_gae(past_the_end, junk, mask, gamma=1.0, lam=0.95)
groups = {"up to 10 tokens": length <= 10, "11 to 19": (length > 10) & ended, "20, cut off": ~ended}
print("mean size of an advantage")
for name, rows in groups.items():
    sizes = [masked_mean(A[rows].abs(), mask[rows]) for A in (right, wrong)]
    print(f"{name:16} right {sizes[0]:5.2f}   wrong {sizes[1]:5.2f}")

# %% [markdown]
# Scores lie between −3 and 3, and the mistake hands out 14 and more, on average, to each token of a sentence that ended. The
# shorter the sentence, the closer its tokens stand to the 20; one that was cut off gets nothing. Train on it, and the policy
# ends its texts sooner and sooner, while the reward goes nowhere. In a real run the number is not 20 but whatever the head
# says about padding, so the symptom comes and goes.
#
# **Whitened returns.** Raise all scores by 3, as another reward model may do, and begin with a value head of zeros. The head
# ought to learn that the average score is about 3.

# %% tolerance=0.1
untrained, higher = torch.zeros_like(values), score_on_the_last(scores + 3, mask)
A, R = compute_gae(higher, untrained, mask, gamma=1.0, lam=1.0)
whitened = masked_whiten(A, mask) + untrained
print(f"mean return: {masked_mean(R, mask):.2f}, from whitened advantages: {masked_mean(whitened, mask).abs():.2f}")

# %% [markdown]
# Whitened advantages have mean 0 whatever the rewards are. The head learns that nothing is to be expected, and goes on being
# surprised by every score.

# %% [markdown] section="explained"
# The returns say what the head should have predicted, so you can ask how close it came. Four tokens have the returns 1, 2, 3,
# 4, and the head said 3, 3, 3, 5:
#
# | | of the four tokens | mean | variance |
# |---|---|---|---|
# | returns $R$ | 1, 2, 3, 4 | 2.5 | 1.25 |
# | errors $R - V$ | −2, −1, 0, −1 | −1 | 0.5 |
#
# The variance of 1, 2, 3, 4 you know from whitening: 5 / 4 = 1.25. The errors lie −1, 0, 1, 0 from their mean, and the squares
# of that have the mean 2 / 4 = 0.5. Of a variance of 1.25 there is 0.5 left, a share of 0.4. The other 0.6 is what the head
# foresaw, the *explained variance*:
#
# $$\mathrm{EV} = 1 - \frac{\operatorname{Var}_m(R - V)}{\operatorname{Var}_m(R)}, \qquad
# \operatorname{Var}_m(x) = \operatorname{mean}_m((x - \operatorname{mean}_m(x))^2).$$
#
# Dividing by $n - 1$ gives 2 / 3 and 5 / 3, and the same 0.4. Four other heads, for the same returns:
#
# | the head says | errors | their variance | EV |
# |---|---|---|---|
# | 11, 12, 13, 14 | −10, −10, −10, −10 | 0 | 1 |
# | 7, 7, 7, 7 | −6, −5, −4, −3 | 1.25 | 0 |
# | 2, 4, 6, 8 | −1, −2, −3, −4 | 1.25 | 0 |
# | 4, 3, 2, 1 | −3, −1, 1, 3 | 5 | −3 |
#
# The first one is too high by 10 everywhere and counts as perfect: with $\lambda = 1$ every advantage is 10 too small, and
# whitening takes that off. The second knows nothing. The third has the right order, but goes up twice as fast as it should, and
# you would do as well without it. The last one makes it worse: with a head of zeros the advantages would spread less.
#
# Implementations of PPO log this number in every update. It costs nothing, and it tells a head that learns from one that does
# not, which the loss of the head alone does not do: that one also falls when the returns vary less.

# %% [markdown] exercise="explained_variance" minutes=8 difficulty=1
# Return the explained variance over the True places of the batch, one number.
#
# What to watch for: the result may be negative, and should be where the head is worse than a constant. Where the returns do
# not vary (no token, a single one, or equal returns) the formula divides by 0. Others log NaN there; yours returns 0.
#
# Hint: What are the errors of 11, 12, 13, 14 in the table, and what is their variance? Is that the mean of their squares?
#
# Hint: `x[mask]` is a vector of the True places alone, and `.var()` its variance. You need that of the returns and that of the
# errors.
#
# Hint: Put the case without variance first: if `returns[mask]` is empty, or all of it equals its first element, return
# `returns.new_zeros(())`, a scalar of the right dtype. In all other cases return 1 minus the quotient of the two variances.

# %% answer="explained_variance"
@explained_variance.implement
def explained_variance(values, returns, mask):
    ### BEGIN SOLUTION
    kept, errors = returns[mask], (returns - values)[mask]
    # Compared, not computed: the variance of equal returns can come out as 1e-17, and anything over that is huge.
    if kept.numel() == 0 or (kept == kept[0]).all():
        return kept.new_zeros(())
    return 1 - errors.var() / kept.var()
    ### END SOLUTION

# %% tolerance=0.001
R, four = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.ones(1, 4, dtype=torch.bool)
for said in ([3, 3, 3, 5], [11, 12, 13, 14], [7, 7, 7, 7], [2, 4, 6, 8], [4, 3, 2, 1]):
    print(said, f"{explained_variance(torch.tensor([said]).float(), R, four):.2f}")

# %% [markdown]
# **Predict before you run:** the head was fitted on 512 sentences, and 256 are new to it. Which of these numbers are equal, and
# which are negative?

# %% tolerance=0.25
fitted, new = slice(0, 512), slice(512, 768)
noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
heads = {"as fitted": values, "3 higher": values + 3, "twice as large": 2 * values, "noisy": values + noise, "zeros": 0 * values}
_, R = compute_gae(rewards, values, mask, gamma=1.0, lam=1.0)
print(f"as fitted, on its own sentences: {explained_variance(values[fitted], R[fitted], mask[fitted]):.2f}")
for name, v in heads.items():
    print(f"{name + ', on new ones':32} {explained_variance(v[new], R[new], mask[new]):.2f}")

# %% [markdown]
# A head explains more of the sentences that it was fitted on, as any model does. On new ones it is about a sixth, and 3 more on
# every value changes nothing. At twice the size the head is worse than zeros: it is too sure of what little it knows.
#
# **Now break it.** Which returns do you compare with? In a PPO run they come out of `compute_gae` at the $\lambda$ of the
# training. The head and the sentences stay the same; does the number?

# %% tolerance=0.2
for lam in (1.0, 0.95, 0.0):
    _, R = compute_gae(rewards, values, mask, gamma=1.0, lam=lam)
    print(f"lambda {lam:4}: {explained_variance(values[new], R[new], mask[new]):.2f}")

# %% [markdown]
# Below 1 the returns contain what the head says of later tokens, so the head is compared with itself, and the smaller $\lambda$
# is, the better it looks. Compare such numbers between runs only where $\lambda$ is the same.
#
# ## The experiment: what does lambda trade?
#
# Take the 256 sentences that the head was not fitted on. **Predict before you run:** as $\lambda$ goes from 0 to 1, does the
# spread of the advantages grow or shrink? By how much?

# %% tolerance=0.15
lambdas = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
for lam in lambdas:
    A, _ = compute_gae(rewards[new], values[new], mask[new], gamma=1.0, lam=lam)
    print(f"lambda {lam:4}: standard deviation of the advantages {A[mask[new]].std():.2f}")

# %% [markdown]
# It doubles; the variance is four times as large. With $\lambda = 1$ each token carries the luck of all that come after it.
# (Between 0 and 0.5 little happens: when the head is too high at one token, one error is too large and the next too small,
# and adding them up takes that noise away.)
#
# So why not $\lambda = 0$? Because it is about the head, and not about the score. Two tokens show it. The prompt is "I
# thought this movie was", the next token is " great" or " terrible", and each is continued 256 times. What is the advantage
# of that *first* token? The gap between the two means should be the gap between the mean scores, because what was expected
# before, $V_0$, is the same.


# %%
def continued(word, n=256):
    """Rewards, values and mask of n sentences whose first token is `word`."""
    start = tokenizer("I thought this movie was").input_ids
    after, their_scores = write_sentences([start + tokenizer(word).input_ids] * n, 19, seed=2)
    first = torch.tensor([start + tokenizer(word).input_ids]).repeat(n, 1)
    ids, attention = join(first, torch.ones_like(first), after.tokens, after.mask)
    length = after.mask.shape[1] + 1
    chosen = attention[:, -length:].bool()
    return score_on_the_last(their_scores, chosen), before_each_token(ids, attention, length)[1], chosen


cases = {word: continued(word) for word in (" great", " terrible")}

# %% tolerance=0.15
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, trust, title in zip(axes, (1.0, 0.0), ("the fitted value head", "a head that says 0")):
    gaps = torch.zeros(len(lambdas))
    for (word, case), colour, sign in zip(cases.items(), ("#1f77b4", "#d1495b"), (1, -1)):
        r, v, chosen = case
        first = torch.stack([compute_gae(r, trust * v, chosen, 1.0, lam)[0][:, 0] for lam in lambdas])
        mean, spread = first.mean(1), first.std(1)
        ax.plot(lambdas, mean, "o-", color=colour, label=word)
        ax.fill_between(lambdas, mean - spread, mean + spread, color=colour, alpha=0.2)
        gaps += sign * mean
    ax.set(title=title, xlabel="lambda")
    print(f"{title:22} gap at lambda 0: {gaps[0]:.1f}, at 0.95: {gaps[4]:.1f}, at 1: {gaps[5]:.1f}")
axes[0].set_ylabel("advantage of the first token")
axes[0].legend()
plt.show()

# %% [markdown]
# The lines are means, the bands one standard deviation of a single sample. On the left, at $\lambda = 0$, there is no spread
# at all, and the gap is little more than half of what it should be: the head underrates both words. This is *bias*, and no
# number of samples removes it. At $\lambda = 1$ the gap is right and each sample is off by about 0.6: *variance*, which a
# larger batch averages away. In between you buy one with the other. The common default in PPO code is 0.95: a gap of 2.6 out
# of 3.0 here.
#
# On the right is the first update of a run. A head that says 0 everywhere leaves nothing of the score at $\lambda = 0$: the
# first token learns nothing, the last one everything. At $\lambda = 1$ the gap is the same as on the left, because there the
# values in between do not enter.
#
# **Try it:** replace " great" by " very" and " terrible" by " a", words that decide little. What is left of the bias, and
# what of the variance?
#
# ## Which token earned it?
#
# The sentence again, with its one score at the end. The upper panel uses the measured values, the lower one those of the head.

# %% result="Advantages of a sentence, token by token, for six lambdas: two red tokens with measured values, a red full stop otherwise"
colours = LinearSegmentedColormap.from_list("advantage", ["#d1495b", "white", "#1f77b4"])
every_token = torch.ones(1, len(response), dtype=torch.bool)
figure, axes = plt.subplots(2, 1, figsize=(9, 4), sharex=True, layout="constrained")
for ax, v, title in zip(axes, (measured, by_head), ("values measured by 64 continuations", "values of the fitted head")):
    rows = torch.cat([compute_gae(one_score, v, every_token, 1.0, lam)[0] for lam in lambdas])
    image = ax.imshow(rows, cmap=colours, vmin=-3, vmax=3, aspect="auto")
    ax.set(title=title, ylabel="lambda")
    ax.set_yticks(range(len(lambdas)), lambdas)
axes[1].set_xticks(range(len(response)), [tokenizer.decode(token) for token in response], rotation=45, ha="right")
figure.colorbar(image, ax=axes, label="advantage (units of the score)")
plt.show()

# %% [markdown]
# Above, $\lambda = 0$ names the two tokens: each carries the drop of the blue line. As $\lambda$ grows, the blame flows to
# the left, to the tokens that came *before* the drop, and at 1 "gentleful tale" is redder than "boring". It never flows to
# the right: no token is blamed for what happened before it, and those behind " boring" stay nearly white in all rows.
#
# Below, with a head that hardly noticed " boring", $\lambda = 0$ blames the full stop: that is where the score came, and with
# it the surprise. There a larger $\lambda$ is the better guess: diffuse, but it reaches the tokens that did it. A large
# $\lambda$ is the insurance against a poor value head.
#
# Two reservations. The sentence was chosen because it is this clear; most have no such moment. And the upper panel is a
# luxury of 1,152 extra sentences: what PPO has is the lower one.
#
# **Now break it.** Take `values[:, t]` for the value *after* token $t$, one place off. At $\lambda = 0$, which two tokens
# will be blamed most?

# %%
one_off = torch.cat([measured[:, 1:], measured[:, -1:]], 1)
for name, v in (("right", measured), ("one place off", one_off)):
    A, _ = compute_gae(one_score, v, every_token, gamma=1.0, lam=0.0)
    print(f"{name:14}", [(tokenizer.decode(response[t]), round(A[0, t].item(), 1)) for t in A[0].argsort()[:2]])

# %% [markdown]
# Their innocent neighbours, with the same confidence, and nothing crashes.
#
# Move the sliders: one row of each panel, at every $\lambda$, with its numbers. (Without a kernel, the picture above is the
# same thing for six places of the first slider.)


# %%
def show(lam=0.95, gamma=1.0):
    A = torch.cat([compute_gae(one_score, v, every_token, gamma, lam)[0] for v in (measured, by_head)])
    ax = plt.figure(figsize=(9, 2.4), layout="constrained").gca()
    ax.imshow(A, cmap=colours, vmin=-3, vmax=3, aspect="auto")
    for row in range(2):
        for t in range(len(response)):
            ax.text(t, row, f"{A[row, t]:.1f}", ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(response)), [tokenizer.decode(token) for token in response], rotation=45, ha="right")
    ax.set_yticks(range(2), ["measured", "head"])
    plt.show()


sliders = interact(show, lam=(0.0, 1.0, 0.05), gamma=(0.8, 1.0, 0.05))

# %% [markdown]
# Take $\gamma$ down to 0.9 with $\lambda = 1$: at the first token the score has shrunk to $0.9^{17}$, a sixth of itself, and
# the advantage there is mostly minus the value, which was measured with $\gamma = 1$ and now promises too much. A discount
# prefers what comes soon. A text is no better for being short, so in RLHF $\gamma$ is 1.
#
# ## What you take along
#
# - A mean over a batch of responses is a mean over tokens: padding neither in the sum nor in the count, each token with the
#   same weight.
# - A value is the return expected *before* a token; an advantage is how much better it went. Behind the last token both are 0.
# - $\lambda = 0$ trusts the value head (bias), $\lambda = 1$ trusts the score that came (variance), 0.95 leans on the second.
# - The explained variance says how much of the returns the head foresees: 1 perfect, 0 a constant, and there is no lower bound.
# - Advantages are whitened for the policy; returns are not, because the value head has to learn rewards in their own unit.
#
# Question: Add 100 to every score. With the value head fitted anew, which of these change: the advantages, the whitened
# advantages, the returns?
#
# Answer: The returns alone, by 100. The values rise by 100 as well, so with $\gamma = 1$ it cancels in every one-step error,
# that of the last token included, where the score is 100 larger and the value taken off is, too. A policy cannot tell a
# generous judge from a strict one; the value head can, and has to.

# %% [markdown]
# To read: Schulman et al. 2015, [High-Dimensional Continuous Control Using Generalized Advantage
# Estimation](https://arxiv.org/abs/1506.02438). The one-step error is the first of the estimates they average, equation 11;
# the sum that you wrote as a recursion is equation 16.
