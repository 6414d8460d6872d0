# %% [markdown]
# ## What you will have at the end
#
# A test of three measuring instruments. How far has a policy moved from the model it started as? The exact answer, the KL
# divergence, needs both full distributions at every token. Training code keeps one number for each sampled token and
# estimates the rest, in one of three ways that papers and libraries call k1, k2 and k3. You will push a real policy away from
# its reference step by step, let it write thousands of tokens, and hold all three against the truth. Dots are what the
# samples say, lines what is so.
#
# PICTURE
#
# On the left: is the estimate right on average? On the right: how much does a single token scatter? No estimator is the best
# everywhere, and at the right edge one of them reports a scatter that is nowhere near its real one. You will write the
# estimators, the exact KL, the rewards that carry the penalty into PPO, and the controller that sets its price.

# %%
import copy

import torch
from matplotlib import pyplot as plt

from autograder import check
from rlhf_core import kl, use
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.kl import AdaptiveKLController, kl_estimate, kl_exact, shape_rewards
from rlhf_core.models import load_causal_lm, load_classifier, load_tokenizer
from rlhf_core.padding import join, left_pad, position_ids
from rlhf_core.policy import response_logprobs, response_mask, sample_response
from rlhf_core.rewards import RewardWrapper

tokenizer = load_tokenizer("embedded:policy")
reference = load_causal_lm("embedded:policy")

# %% [markdown]
# ## What the reward alone asks for
#
# Take the reward model of lesson 2 and give it what it likes best. Begin with "The film", try the 500 likeliest next tokens,
# keep the one with the highest score, and go on for five tokens. Beside it stand two sentences that a person could have
# written. For each the cell prints the score and what the *reference*, the language model before any tuning, thinks of it:
# the mean log-probability of a token.
#
# **Predict before you run:** will the search write praise?

# %%
start = tokenizer("The film").input_ids
with torch.no_grad(), use("mine", otherwise="reference"):  # functions of earlier lessons: yours, where you wrote them
    score = RewardWrapper(load_classifier("embedded:reward-imdb"), load_tokenizer("embedded:reward-imdb"), 256, 64)
    found = []
    for _ in range(5):
        likely = reference(input_ids=torch.tensor([start + found])).logits[0, -1].topk(500).indices.tolist()
        best = score([tokenizer.decode([*start, *found, token]) for token in likely]).argmax()
        found.append(likely[best])
    human = [" is a wonderful love story, with excellent acting.", " was made in Rome by a young director."]
    for ending in (found, *tokenizer(human).input_ids):
        ids = torch.tensor([start + ending])
        logprobs, text = response_logprobs(reference, ids, torch.ones_like(ids), len(ending))[0], tokenizer.decode(ids[0])
        print(f"score {score([text]).item():5.2f}   log-probability {logprobs.mean():6.2f} a token   {text}")

# %% [markdown]
# The best of the three, says the reward model, is the one that is not English. It was never shown such texts, so its score
# for them means nothing, and a search for high scores ends there. The reference is not fooled: about −9.7 a token. To roll a
# die with 4,096 sides for each token would have −8.3.
#
# So the reward needs a second term, one number that says how far the policy has gone. The log-probabilities contain it. A
# policy that always writes the first text gives its five tokens probability 1, log-probability 0; the reference gives them
# nearly −50. The difference, the *log-ratio*, is nearly 50 nats (the unit of natural logarithms). The *KL divergence* is its
# mean over what the policy writes.

# %% [markdown] section="estimators"
# One place, three tokens to choose from. The reference says "great" and "awful" equally often; the policy has been tuned:
#
# | | great | fine | awful | mean under $\pi$ |
# |---|---|---|---|---|
# | policy $\pi$ | 0.7 | 0.2 | 0.1 | |
# | reference $\pi_\text{ref}$ | 0.4 | 0.2 | 0.4 | |
# | ratio $r = \pi_\text{ref} / \pi$ | 0.571 | 1 | 4 | 1 |
# | k1 $= -\log r$ | 0.560 | 0 | −1.386 | **0.253** |
# | k2 $= (\log r)^2 / 2$ | 0.157 | 0 | 0.961 | 0.206 |
# | k3 $= (r - 1) - \log r$ | 0.131 | 0 | 1.614 | **0.253** |
#
# The mean of k1 under the policy, $0.7 \cdot 0.560 + 0.2 \cdot 0 - 0.1 \cdot 1.386 = 0.253$, is the KL divergence by
# definition:
#
# $$\text{KL}(\pi \,\|\, \pi_\text{ref})
# = \sum_v \pi(v) \, \log \frac{\pi(v)}{\pi_\text{ref}(v)} = \mathbb{E}_{v \sim \pi}[-\log r].$$
#
# During training you do not have the table. You have one token, drawn from $\pi$, and its two log-probabilities: `logprobs`
# and `ref_logprobs`, so $\log r$ is `ref_logprobs - logprobs`. Each row k1, k2, k3 turns that into an estimate, and the mean
# over many tokens is all that anybody looks at. Drawing from the policy has done the weighting: "great" turns up seven times
# in ten. Multiply by the probability again, and you weight twice. (Further down, cells do multiply by $\pi$. They sum over
# *all* tokens of the vocabulary, as the table does, and have drawn nothing.)
#
# - **k1** has the right mean, but one token in ten says −1.386, about a quantity that cannot be negative. That is no bug. The
#   −1.386 is needed: without its sign, $|$k1$|$ has the mean 0.530, twice the KL.
# - **k2** is never negative. Its mean is off, here by a fifth.
# - **k3** is k1 plus $r - 1$. The mean of $r$ is $\sum_v \pi(v) \, \pi_\text{ref}(v) / \pi(v) = 1$, so what was added has
#   mean 0 and changes nothing on average; but it is large where k1 is very negative, and the sum is never below 0.
#
# Look once more at k3's 0.253. Of it, 0.161 comes from "awful", the token that is drawn one time in ten. Keep that in mind.

# %% [markdown] section="direction"
# A KL has two arguments, and they do not commute. Weight by the reference and turn the ratio over, and the same table gives
#
# $$\text{KL}(\pi_\text{ref} \,\|\, \pi) = 0.4 \cdot (-0.560) + 0.2 \cdot 0 + 0.4 \cdot 1.386 = 0.331.$$
#
# RLHF uses the first, $\text{KL}(\pi \,\|\, \pi_\text{ref})$, for two reasons. Its mean is over the policy's own tokens, and
# these are the ones you have. And it charges for what the policy *does write and the reference would not*, which is what went
# wrong in the search above. The other direction charges for what the policy no longer writes.
#
# The difference in numbers: the reference has two ways to go on and nearly nothing between them. One policy keeps one of the
# two ways, the other one spreads evenly.
#
# | | A | between | B | $\text{KL}(\pi \,\|\, \pi_\text{ref})$ | $\text{KL}(\pi_\text{ref} \,\|\, \pi)$ |
# |---|---|---|---|---|---|
# | reference | 0.495 | 0.01 | 0.495 | | |
# | keeps one way (mode-seeking) | 0.98 | 0.01 | 0.01 | **0.63** | 1.59 |
# | covers both (mode-covering) | 0.333 | 0.333 | 0.333 | 0.91 | **0.36** |
#
# Each direction prefers another policy. Yours prefers the first: to drop half of what the reference would say costs about
# $\log 2$, to write a third of the time what it would not say costs more.
#
# Question: A tuned policy answers every prompt with the same three pleasant phrases, all of them likely under the reference.
# Will the KL penalty prevent that?
#
# Answer: Only at a modest price. What was dropped is never drawn, so it is never charged; what is kept has become likelier,
# and the log of that factor is the cost. This is why lesson 7 measures diversity beside the KL.

# %% [markdown] section="near-zero"
# At the start of training, policy and reference are equal, and after one update they nearly are. So the estimators spend much
# of their time near $\log r = 0$. There, k3 subtracts numbers that are almost equal. Take $\log r = 0.001$: $e^{0.001} - 1 =
# 0.0010005$, and off comes 0.001. What is left, 0.0000005, stands in the seventh digit of $e^{0.001} = 1.0010005$. A float32
# has about seven digits.
#
# `torch.expm1(x)` computes $e^x - 1$ without going through $1.001$. Compare the two, in float32, with the truth:

# %%
print("  log r        truth   exp(x) - 1 - x   its error   expm1(x) - x   its error")
for size in (1e-1, 1e-2, 1e-3, -1e-3, -1e-4):
    x = torch.tensor(size)
    truth = (x.double().expm1() - x.double()).item()
    by_exp, by_expm1 = (x.exp() - 1 - x).item(), (x.expm1() - x).item()
    error, its_error = abs(by_exp / truth - 1), abs(by_expm1 / truth - 1)
    print(f"{size:7}  {truth:11.3e}  {by_exp:15.3e}  {error:10.2%}  {by_expm1:13.3e}  {its_error:10.3%}")

# %% [markdown]
# At 0.001 the plain formula is off by several percent. At −0.0001 it is off by more than the number itself, and negative,
# which k3 never is. `expm1` loses digits as well, in the last subtraction, but keeps three of them.
#
# Zero has a second trap, on the side of probabilities. A float32 below about $10^{-45}$ is 0, so a token with log-probability
# −200 has the probability 0, and the logarithm of that is not −200 any more:

# %%
logits = torch.tensor([0.0, -200.0])
print(logits.softmax(-1).log(), "softmax, then log")
print(logits.log_softmax(-1), "log_softmax")

# %% [markdown]
# In a sum such as the KL, $0 \cdot (-\infty)$ is `nan`, and one `nan` is enough to end a training run. The rule for both
# traps: stay in logarithms, and use the function that was made for the combination.

# %% [markdown] exercise="kl_estimate" minutes=15 difficulty=1
# Given `logprobs` and `ref_logprobs`, both `(B, T)`, and a name, return the estimate of each token, `(B, T)`. No mean: which
# tokens count is somebody else's business.
#
# What to watch for: which of the two is on top in $r$; k3 near zero; a name that is none of the three raises a `ValueError`.
# And the result carries a gradient to `logprobs`, so that it can also serve as a loss.
#
# Hint: Compute $\log r$ once and give it a name. All three formulas are made of it, and the docstring says what is on top.
#
# Hint: k1 is its negative, k2 half of its square. In k3, $r - 1$ is $e^{\log r} - 1$, and there is a function for that.
#
# Hint: Three `if` statements, each with its `return`, and a `raise ValueError(...)` behind them. `x.expm1()` and `x.square()`
# are methods of a tensor.

# %% answer="kl_estimate"
@kl_estimate.implement
def kl_estimate(logprobs, ref_logprobs, estimator):
    ### BEGIN SOLUTION
    log_ratio = ref_logprobs - logprobs  # of reference over policy, at the policy's own samples
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    if estimator == "k3":
        return log_ratio.expm1() - log_ratio
    raise ValueError(f'estimator is "k1", "k2" or "k3", not {estimator!r}')
    ### END SOLUTION

# %% [markdown]
# Put the table through it. The second half calls your function with the arguments exchanged, the commonest mistake here: $r$
# is then policy over reference. What will the three means be?

# %% tolerance=0.01
pi, pi_ref = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.4, 0.2, 0.4]])
for title, first, second in (("right", pi.log(), pi_ref.log()), ("exchanged", pi_ref.log(), pi.log())):
    means = [(pi * kl_estimate(first, second, name)).sum().item() for name in ("k1", "k2", "k3")]
    print(f"{title:10} k1 {means[0]:6.3f}   k2 {means[1]:6.3f}   k3 {means[2]:6.3f}")

# %% [markdown]
# Exchanged, k1 turns negative, and that is easy to see in a log. k2 is a square and does not notice at all. k3 is the
# dangerous one: 0.197 is positive, plausible, and the KL of nothing. Its mean is that of $\pi / \pi_\text{ref} - 1$ less the
# KL.

# %% [markdown] section="exact"
# When the whole distribution is at hand, nothing has to be estimated. `logits` and `ref_logits`, both `(B, T, V)`, give every
# $\pi(v)$ and $\pi_\text{ref}(v)$, and the KL of a place is the sum over the $V$ tokens:
#
# $$\text{KL} = \sum_v \pi(v) \, (\log \pi(v) - \log \pi_\text{ref}(v)).$$
#
# The probabilities in front are the weights of the mean; they add up to 1, so there is nothing left to divide by. Nor are
# logits logarithms of probabilities: they are so up to a constant, another one for each policy and place, and `log_softmax`
# takes it off.
#
# The price is memory. One batch of 64 responses of 24 tokens holds 1,536 numbers as sampled log-probabilities. As full
# distributions of this small model it holds 1,536 · 4,096, 25 MB, and as those of GPT-2 with 50,257 tokens 309 MB, twice. So
# training code estimates, and the exact KL serves to check.
#
# Do not repair an underflow by adding a small number to the probabilities. With $10^{-10}$ added no logarithm is below −23,
# and a token that the reference gives log-probability −200 becomes one of −23.

# %% [markdown] exercise="kl_exact" minutes=10 difficulty=1
# Return the exact KL(policy || reference) of each place, `(B, T)`, in nats.
#
# What to watch for: whose probabilities are the weights; the axis of the vocabulary; logits of 10,000; the gradient to
# `logits` goes through the weights, too.
#
# Hint: Both distributions as logarithms first, by `log_softmax` over the last axis.
#
# Hint: The weights are the policy's probabilities: the exponential of its log-probabilities, which cannot overflow.
#
# Hint: Weights times the difference of the two logarithms, summed over the last axis. Two lines, and no `mean`.

# %% answer="kl_exact"
@kl_exact.implement
def kl_exact(logits, ref_logits):
    ### BEGIN SOLUTION
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (logprobs.exp() * (logprobs - ref_logprobs)).sum(-1)
    ### END SOLUTION

# %% [markdown]
# The tables again, by your function. A distribution's logarithm will do as logits; so will that logarithm plus a constant.


# %% tolerance=0.01
def both_directions(p, q):
    logits, ref_logits = torch.tensor([[p]]).log() + 5, torch.tensor([[q]]).log()
    return f"{kl_exact(logits, ref_logits).item():.3f} and {kl_exact(ref_logits, logits).item():.3f}"


print("tuned         ", both_directions([0.7, 0.2, 0.1], [0.4, 0.2, 0.4]))
print("keeps one way ", both_directions([0.98, 0.01, 0.01], [0.495, 0.01, 0.495]))
print("covers both   ", both_directions([1 / 3, 1 / 3, 1 / 3], [0.495, 0.01, 0.495]))

# %% [markdown]
# ## When an estimate is negative
#
# Now with the real model. Copies of the reference play the tuned policy, each with its last layer norm changed (the layer that
# scales the hidden state just before it becomes logits): `wander`
# multiplies its weights and biases by 1 plus noise of a given size, `sharpen` multiplies all of them by one factor. As that
# multiplies the logits, `sharpen(1.5)` writes what the reference would write at temperature 1 / 1.5.
#
# `rollout` lets a policy write 128 responses of 20 tokens and returns what both models thought at each place. The table has
# your exact KL, and beside it the mean of your k1 over the same 2,560 tokens, with its standard error (the deviation of one k1,
# divided by the root of 2,560: how far off the mean is by chance).
#
# **Predict before you run:** a KL is never negative. Can the mean of k1 over 2,560 tokens be?

# %%
prompts = make_prompts(load_reviews("embedded", "test").texts[:200], tokenizer, 5, 5, seed=0)[:128]
prompt_ids, prompt_mask = left_pad(prompts, tokenizer.pad_token_id)


@torch.no_grad()
def changed(factors):
    """A copy of the reference, the weights of its last layer norm (and its bias) multiplied by the factors."""
    policy = copy.deepcopy(reference)
    policy.transformer.ln_f.weight *= factors
    policy.transformer.ln_f.bias *= factors
    return policy


def wander(size):
    return changed(1 + size * torch.randn(256, generator=torch.Generator().manual_seed(0)))


def sharpen(factor):
    return changed(factor)


@torch.no_grad()
def rollout(policy, temperature=1.0):
    """Log-probabilities of all tokens under both models (B, T, V), the tokens that the policy drew, and their mask (B, T)."""
    generator = torch.Generator().manual_seed(1)
    with use("mine", otherwise="reference"):
        sample = sample_response(policy, prompt_ids, prompt_mask, 20, temperature, tokenizer.eos_token_id, generator)
    ids, mask = join(prompt_ids, prompt_mask, sample.tokens, sample.mask)
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": position_ids(mask)}
    width = sample.tokens.shape[1]
    full, ref_full = (model(**inputs).logits[:, -width - 1 : -1].log_softmax(-1) for model in (policy, reference))
    return full, ref_full, sample.tokens, sample.mask


def at(full, tokens):
    """The log-probability of each token that was drawn, from those of all."""
    return full.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


# %%
def compare(title, full, ref_full, tokens, mask):
    exact = kl_exact(full, ref_full)[mask].mean()
    k1 = kl_estimate(at(full, tokens), at(ref_full, tokens), "k1")[mask]
    error, below, size = k1.std() / len(k1) ** 0.5, (k1 < 0).float().mean(), k1.abs().mean()
    print(f"{title:23} {exact:8.5f}   {k1.mean():8.5f} ± {error:.5f}   {below:4.0%}   {size:8.4f}")


wandered = rollout(wander(1.0))
print("                        exact KL    mean of k1           below 0  mean of |k1|")
compare("wandered by 0.01", *rollout(wander(0.01)))
compare("wandered by 1", *wandered)
compare("sharpened by 1.5", *rollout(sharpen(1.5)))
mismatched = rollout(sharpen(1.5), temperature=1.5)
compare("the same, drawn at 1.5", *mismatched)
full, ref_full, _, mask = mismatched
print(f"KL(reference || policy) at the places of the last row: {kl_exact(ref_full, full)[mask].mean():.2f}")

# %% [markdown]
# In the first row the mean of k1 is negative. Nothing is wrong: half of all k1 are below 0 there, and their mean is less than
# one standard error away from 0. The next two rows agree with the exact KL within a standard error or two.
#
# In the last row it is −0.43, nearly twenty standard errors below 0, and that is a fault. The tokens were drawn at temperature
# 1.5 and scored at 1. This policy's logits are the reference's times 1.5, and sampling divided them by 1.5 again. So these are
# the *reference's* tokens, and the mean of k1 over them is $-\text{KL}(\pi_\text{ref} \,\|\, \pi)$. The line below the table
# confirms it: a mean over the wrong tokens is the mean of something else.
#
# Now read the last column, in which somebody was tired of negative numbers and took the absolute value. The fault is gone
# from sight: 0.87 looks like any KL. And the sound rows are wrong. $|$k1$|$ measures how much the log-ratio scatters, and
# near zero that is about the *square root* of the KL: 0.009 in the first row, for a KL of 0.00007.
#
# Question: A log shows a KL of −0.002. Which second number do you ask for?
#
# Answer: Its standard error. At ± 0.003 there is nothing to repair. At ± 0.0001 the tokens were not drawn from the
# distribution whose log-probabilities were recorded: look for a temperature, a top-k, a minimum length.

# %% [markdown] section="shaping"
# Where does the KL enter the training? Ziegler et al. put it into the reward: of a prompt $x$ and a response $y$,
#
# $$R(x, y) = \mathtt{score} - \mathtt{kl\_coef} \cdot \log \frac{\pi(y \mid x)}{\pi_\text{ref}(y \mid x)}.$$
#
# The logarithm of a product is a sum, so the log-ratio of a response is the sum of its tokens' k1, and the penalty can be
# charged where it arises: each token pays for its own log-ratio. The score judges the finished text and is paid once, at the
# last token:
#
# $$r_t = -\,\mathtt{kl\_coef} \cdot (\mathtt{logprobs}_t - \mathtt{ref\_logprobs}_t)
# + [t \text{ is the last token}] \cdot \mathtt{score}.$$
#
# By hand, with `kl_coef` 0.1, scores 2 and −1, and a second response that ended after two tokens:
#
# | | token 0 | token 1 | token 2 | sum |
# |---|---|---|---|---|
# | `logprobs` | −1.0 | −2.0 | −0.5 | |
# | `ref_logprobs` | −1.5 | −1.8 | −2.5 | |
# | k1 | 0.5 | −0.2 | 2.0 | 2.3 |
# | rewards | −0.05 | **+0.02** | −0.2 + 2 = 1.80 | 1.77 = 2 − 0.1 · 2.3 |
# | | | | | |
# | `logprobs` | −0.7 | −1.2 | *−9.0* | |
# | `ref_logprobs` | −1.0 | −0.2 | *−3.0* | |
# | k1 | 0.3 | −1.0 | | −0.7 |
# | rewards | −0.03 | 0.1 − 1 = −0.90 | 0 | −0.93 = −1 − 0.1 · (−0.7) |
#
# The last token gets both, its penalty *and* the score. A token that the policy made less likely is paid for it (+0.02),
# which is right: the sums in the last column come out only with the sign kept. Behind the end stands junk that nobody chose;
# it earns nothing and costs nothing.

# %% [markdown] exercise="shape_rewards" minutes=20 difficulty=2
# `scores` is `(B,)`; `logprobs`, `ref_logprobs` and the bool `mask` are `(B, T)`. Return the reward of each token, `(B, T)`.
#
# What to watch for: the last True token of a row is rarely in the last column; a row may be empty, and its score is dropped;
# 0 wherever the mask is False. And a reward is a number that the policy receives, so the result carries no gradient.
#
# Hint: Begin with the penalty of every token, without a thought for the mask. Your `kl_estimate` computes k1.
#
# Hint: A token is the last True one of its row if the mask is True there, and the number of True tokens from there to the
# right, itself included, is 1. `mask.flip(-1).cumsum(-1).flip(-1)` counts from the right.
#
# Hint: `scores.unsqueeze(-1)` is `(B, 1)` and can be multiplied by that bool `(B, T)`. `masked_fill(~mask, 0.0)` cleans up,
# and `@torch.no_grad()` above the function keeps gradients out.

# %% answer="shape_rewards"
@shape_rewards.implement
@torch.no_grad()
def shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef):
    ### BEGIN SOLUTION
    penalty = kl_coef * kl.kl_estimate(logprobs, ref_logprobs, "k1")
    true_tokens_from_here = mask.flip(-1).cumsum(-1).flip(-1)
    is_last = mask & (true_tokens_from_here == 1)
    return (is_last * scores.unsqueeze(-1) - penalty).masked_fill(~mask, 0.0)
    ### END SOLUTION

# %% tolerance=0.01
logprobs = torch.tensor([[-1.0, -2.0, -0.5], [-0.7, -1.2, -9.0]])
ref_logprobs = torch.tensor([[-1.5, -1.8, -2.5], [-1.0, -0.2, -3.0]])
mask = torch.tensor([[True, True, True], [True, True, False]])
scores = torch.tensor([2.0, -1.0])
print(shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef=0.1))

# %% [markdown]
# **Now break it.** The commonest mistake is to put the score into the last column. Your function does that when it is told
# that every token is real. Take the policy that wandered by 1, let its responses end at their first full stop, which gives
# rows of unequal length, and draw scores at random. What a response earns in all should go up with its score. **Predict** the
# correlation of the two, among the rows that end early.

# %%
full, ref_full, tokens, _ = wandered
logprobs, ref_logprobs = at(full, tokens), at(ref_full, tokens)
with use("mine", otherwise="reference"):
    mask = response_mask(tokens, tokenizer(".").input_ids[0])
scores = torch.randn(len(mask), generator=torch.Generator().manual_seed(0))
right = shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef=0.05)
wrong = shape_rewards(scores, logprobs, ref_logprobs, torch.ones_like(mask), kl_coef=0.05) * mask
early = ~mask[:, -1]
print(f"{early.float().mean():.0%} end before the last column. There, score and total reward correlate by")
for title, rewards in (("last True token", right), ("last column", wrong)):
    print(f"{title:16} {torch.corrcoef(torch.stack([scores, rewards.sum(-1)])[:, early])[0, 1]:5.2f}")

# %% [markdown]
# Nearly half of the responses never get their score: the correlation is 0, but for the chance of some sixty rows. Their reward
# is the penalty alone, whatever they said, and no error message tells you. The other half gets its scores, so training does
# not look dead; what it cannot teach is how to end.
#
# Why is the penalty a reward at all? It could be added to the loss, and your `kl_estimate` has a gradient. Try it on the
# table of three tokens, where the mean over all draws can be computed without drawing, beside the gradients of the two exact
# KLs.
#
# **Predict before you run:** k1 and k3 have the same mean. Have they the same mean gradient?

# %% tolerance=0.02
logits, ref_logits = pi.log().unsqueeze(0).requires_grad_(), pi_ref.log().unsqueeze(0)
logprobs, ref_logprobs = logits.log_softmax(-1)[0], ref_logits.log_softmax(-1)[0]


def gradient(loss):
    return [round(x, 3) + 0.0 for x in torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0].flatten().tolist()]


print("KL(policy || reference)", gradient(kl_exact(logits, ref_logits)))
print("KL(reference || policy)", gradient(kl_exact(ref_logits, logits)))
for name in ("k1", "k2", "k3"):
    print(f"{name} as a loss           ", gradient(pi * kl_estimate(logprobs, ref_logprobs, name)))
print("k1 as a reward         ", gradient(pi * kl_estimate(logprobs, ref_logprobs, "k1").detach() * logprobs))

# %% [markdown]
# As a loss, k1 does nothing on average. The mean of k1 depends on the policy in two ways: by the number that each token gives,
# and by how often each token is drawn. Once a token has been drawn, a gradient knows only its number. How often it is drawn,
# where the whole of the KL's gradient is, it cannot see.
#
# A *reward* acts on just that. Reinforcement learning takes the reward as a plain number and makes the token likelier or less
# likely in proportion to it: the gradient of reward times log-probability, the *policy gradient* (lesson 6). The last row does
# that with k1, and there is the gradient of the KL. k2, whose mean is biased, has the right gradient as a loss; k3,
# whose mean is right, has that of the other KL. (GRPO, which you will meet in lesson 9, was published with k3 in its loss.)
# An estimator that is good to read is not for that reason good to differentiate.

# %% [markdown] section="controller"
# How large should `kl_coef` be? Nobody knows beforehand: it depends on the scale of the scores, on the model, on the length
# of the responses. What can be said beforehand is how far the policy may go, say 6 nats for a whole response. So state that,
# and let the coefficient follow. After each batch of `n_steps` responses, with `kl` the mean of their log-ratios (each the
# *sum* of k1 over a response, not the mean over tokens):
#
# $$\mathtt{error} = \text{clip}(\mathtt{kl} / \mathtt{target} - 1, \; -0.2, \; 0.2), \qquad
# \mathtt{value} \leftarrow \mathtt{value} \cdot (1 + \mathtt{error} \cdot \mathtt{n\_steps} / \mathtt{horizon}).$$
#
# By hand, with target 6, horizon 2,000 and batches of 256, from a coefficient of 0.05:
#
# | measured | error before and after the clip | factor | coefficient |
# |---|---|---|---|
# | 15 | 1.5, clipped to 0.2 | 1 + 0.2 · 0.128 = 1.0256 | 0.0513 |
# | 5.7 | −0.05 | 1 − 0.05 · 0.128 = 0.9936 | 0.0510 |
# | −0.3 | −1.05, clipped to −0.2 | 0.9744 | 0.0496 |
#
# Too far, and the price rises; near enough, and it falls. An estimate below 0 is a KL far below its target, so it is not made
# positive. The coefficient changes by a factor and not by a difference, because a good one may be 0.01 or 10; and the error
# is a share of the target, so that the same rule serves a target of 0.1 and one of 50. The horizon is the number of responses
# after which an error has acted in full: a batch of 512 moves the coefficient as much as two of 256, nearly.

# %% [markdown] exercise="AdaptiveKLController" minutes=10 difficulty=1
# A class with an attribute `value`, a float, that begins as `init_kl_coef`; and `update(kl, n_steps)`, which changes it.
#
# What to watch for: the clip is around the error, before anything is multiplied; each update starts from `value` as it is
# now; `n_steps` counts this batch alone.
#
# Hint: `__init__` keeps three things on `self`. Give the coefficient the name `value`: the training loop will read that.
#
# Hint: Plain Python numbers: `min(max(x, -0.2), 0.2)` clips.
#
# Hint: `update` has two lines, the two formulas above. Nothing needs to be returned.

# %% answer="AdaptiveKLController"
@AdaptiveKLController.implement
class AdaptiveKLController:
    ### BEGIN SOLUTION
    def __init__(self, init_kl_coef, target, horizon):
        self.value = float(init_kl_coef)
        self.target, self.horizon = target, horizon

    def update(self, kl, n_steps):
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.value *= 1 + error * n_steps / self.horizon
    ### END SOLUTION

# %% tolerance=0.01
controller = AdaptiveKLController(0.05, target=6.0, horizon=2000)
for measured in (15.0, 5.7, -0.3):
    controller.update(measured, n_steps=256)
    print(f"measured {measured:4}   coefficient {controller.value:.4f}")

# %% [markdown]
# Let it steer something. A policy needs many updates to respond, so take a toy that does: its KL would settle at 1 /
# coefficient, and goes a tenth of the way there in each update. What the controller gets to see has 20 percent noise on it,
# and batch 150 is an accident that measures ten times the target. The coefficient starts at 0.05, far too low, and 1/6 would
# be right.
#
# **Predict before you run:** which path does the KL take to its 6 nats? It starts at 0.


# %%
def steer(controller, updates=250):
    """The toy under a controller: its KL and the coefficient after each update."""
    generator = torch.Generator().manual_seed(0)
    kl_now, kls, coefficients = 0.0, [], []
    for number in range(updates):
        kl_now += 0.1 * (1 / controller.value - kl_now)
        measured = kl_now * (1 + 0.2 * torch.randn((), generator=generator).item())
        controller.update(60.0 if number == 150 else measured, n_steps=256)
        kls.append(kl_now)
        coefficients.append(controller.value)
    return kls, coefficients


def show(runs):
    _, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for (title, (kls, coefficients)), color in zip(runs.items(), ("#1f77b4", "#d1495b")):
        axes[0].plot(kls, color=color, label=title)
        axes[1].plot(coefficients, color=color, label=title)
    axes[0].axhline(6, color="#8a8f98", linewidth=0.8)
    axes[1].axhline(1 / 6, color="#8a8f98", linewidth=0.8)
    axes[0].set(xlabel="update", ylabel="KL (nats)", title="the KL, and its target")
    axes[1].set(xlabel="update", ylabel="kl_coef", title="the coefficient, and the right one")
    axes[0].legend(frameon=False)
    plt.show()


mine = steer(AdaptiveKLController(0.05, target=6.0, horizon=2000))
show({"your controller": mine})

# %% [markdown]
# As long as the KL is below its target the coefficient even falls. Then it rises, but by 2.6 percent a batch at most, and it
# takes some fifty batches to make 0.17 of 0.05; meanwhile the KL runs to 15. From batch 70 on it stays within a nat of its
# target, and the accident at batch 150 cannot be seen.
#
# **Now break it**: leave the clip out. Is it better or worse?


# %%
class WithoutClip:
    def __init__(self, init_kl_coef, target, horizon):
        self.value, self.target, self.horizon = init_kl_coef, target, horizon

    def update(self, kl, n_steps):
        self.value *= 1 + (kl / self.target - 1) * n_steps / self.horizon


unclipped = steer(WithoutClip(0.05, target=6.0, horizon=2000))
show({"your controller": mine, "without the clip": unclipped})
for title, (kls, coefficients) in (("your controller", mine), ("without the clip", unclipped)):
    print(f"{title}: the KL goes up to {max(kls):.1f}, the coefficient to {max(coefficients[:150]):.2f};", end=" ")
    print(f"at batch 150 it goes from {coefficients[149]:.2f} to {coefficients[150]:.2f}, and the KL to {min(kls[150:]):.1f}")

# %% [markdown]
# Both. Without the clip the controller answers a large error with a large step: the KL peaks lower, at 13, and is down
# sooner. But the KL lags behind the coefficient, so the coefficient has gone up to 0.29 by the time it shows, and the KL
# falls through its target. And a single bad batch doubles the coefficient. The clip buys calm and pays in speed. If fifty
# updates are all you have, the remedy is a better first coefficient, not a missing clip.
#
# ## The experiment: who wins?
#
# Now the comparison from the top. The policy wanders further and further, and at each stop you measure the three estimators
# twice. From samples, as training code would: 2,560 tokens, their mean and their standard deviation. And without sampling:
# with both distributions at hand the true mean of an estimator is a sum over the vocabulary, $\sum_v \pi(v) \, k(v)$, and its
# variance is another. Your `kl_estimate` does not mind being given all 4,096 tokens in place of one.
#
# **Predict before you run:** k3 has the mean of k1, is never negative, and costs nothing more. Is there a distance at which
# you would rather have k1?


# %% tolerance=0.1
NAMES = {"k1": "#1f77b4", "k2": "#b8860b", "k3": "#d1495b"}


def measure(full, ref_full, tokens, mask):
    """The exact KL, and as shares of it: mean and spread of one token of each estimator, true and as the samples have them."""
    exact = kl_exact(full, ref_full)[mask].mean().item()
    logprobs, ref_logprobs = full[mask], ref_full[mask]
    row = {"exact": exact, "tokens": len(logprobs)}
    for name in NAMES:
        every = kl_estimate(logprobs, ref_logprobs, name)
        mean, square = ((logprobs.exp() * x).sum(-1).mean().item() for x in (every, every.square()))
        some = kl_estimate(at(full, tokens), at(ref_full, tokens), name)[mask] / exact
        row[name] = (mean / exact, (square - mean**2) ** 0.5 / exact, some.mean().item(), some.std().item())
    return row


table = [measure(*rollout(wander(size))) for size in (0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0)]
print("exact KL      true mean / exact KL       true spread / exact KL")
print("               k1     k2     k3             k1      k2      k3")
for row in table:
    means, spreads = ("  ".join(f"{row[name][part]:{width}}" for name in NAMES) for part, width in ((0, "5.2f"), (1, "6.1f")))
    print(f"{row['exact']:8.5f}     {means}        {spreads}")

# %% result="Mean and spread of k1, k2, k3 over the exact KL: near zero k1 scatters most, far off k2 is biased and k3 explodes"
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
exact = [row["exact"] for row in table]
for shift, (name, color) in zip((0.94, 1, 1.06), NAMES.items()):
    mean, spread, sampled_mean, sampled_spread = zip(*(row[name] for row in table))
    error = [each / row["tokens"] ** 0.5 for each, row in zip(sampled_spread, table)]
    axes[0].plot(exact, mean, color=color, linewidth=1)
    axes[0].errorbar([x * shift for x in exact], sampled_mean, error, fmt="o", markersize=4, linewidth=1, color=color)
    axes[1].plot(exact, spread, color=color, linewidth=1, label=name)
    axes[1].plot(exact, sampled_spread, "o", markersize=4, color=color)
axes[0].set(xscale="log", ylim=(-2.5, 3.5), title="right on average?", ylabel="mean / exact KL")
axes[1].set(xscale="log", yscale="log", title="how much does one token scatter?", ylabel="spread / exact KL")
for ax in axes:
    ax.set_xlabel("exact KL of a token (nats)")
axes[1].legend(frameon=False, loc="upper center")
plt.show()

# %% [markdown]
# Read it from the left.
#
# **Near zero** k2 and k3 are the same thing, and k1 says next to nothing. At a KL of 0.00007 one k1 scatters by 168 times
# what it measures. To know that KL within 10 percent, k3 needs $(1.9 / 0.1)^2$, about 360 tokens. k1 needs $(168 / 0.1)^2$,
# nearly three million.
#
# **From about 0.1 nats on** k2 is visibly too high: by a fifth at 0.25, by half at 0.74.
#
# **Between 0.25 and 0.75 nats** the order turns. Relative to the KL, k1 gets steadier the further you go, and k3 does not. At
# 1.6 its true spread is 25 times the KL, at 2.8 it is 280 times.
#
# **And the samples do not say so.** The red dots stay low while the red line goes up and away. The bar at the last red dot on
# the left is about ±0.1; by the true spread it is $280 / \sqrt{2560}$, more than ±5. What makes that spread are tokens that
# the reference likes and the policy has all but given up: $r$ is huge there, and they are drawn so rarely that 2,560 draws
# hold none. It is the "awful" of the first table, grown. An estimate that has missed them looks calm. Even the red line hangs
# on a handful of the 2,560 places: with other seeds it passes through 10 at 1.7 in place of 25 at 1.6, and reaches 310 to
# 330.
#
# PPO runs near that turn: 6 nats in a response of 20 tokens are 0.3 nats a token.
#
# **One thing more to predict.** Is it the KL alone that decides? Compare a policy that has become flatter (factor 0.5) with
# one that has become sharper (factor 2), as trained policies do. For which one is k3 in trouble? For each, the cell also
# draws the tokens anew 40 times at the same places and counts how often the mean of k3 comes out too low.

# %%
print("Shares of the exact KL: true mean, true spread, spread that the samples show")
for title, factor in (("flatter", 0.5), ("sharper", 2.0)):
    full, ref_full, tokens, mask = rollout(sharpen(factor))
    row = measure(full, ref_full, tokens, mask)
    cells = "    ".join(f"{name} {row[name][0]:.2f} {row[name][1]:5.2f} {row[name][3]:5.2f}" for name in NAMES)
    print(f"{title}, exact KL {row['exact']:.3f}    {cells}")
    again = torch.multinomial(full[mask].exp(), 40, replacement=True, generator=torch.Generator().manual_seed(0))
    k3 = kl_estimate(full[mask].gather(1, again), ref_full[mask].gather(1, again), "k3").mean(0) / row["exact"]
    print(f"    k3, drawn 40 times: from {k3.min():.2f} to {k3.max():.2f}, too low {(k3 < 1).sum()} times")

# %% [markdown]
# The flatter policy is more than twice as far away, and k3 scatters least of the three. The sharper one is nearer, and k3's
# true spread there is 46 times the KL, of which the samples show 6; in most of the repetitions it is too low, and now and
# then much too high. A flat policy tries everything that the reference might say. A sharp one has given most of it up, and k3
# hangs on what was given up. k2 is too high for the one and too low for the other.
#
# ## What you take along
#
# - The KL from the policy to the reference is the mean log-ratio of the policy's own tokens. It charges for what the policy
#   writes and the reference would not.
# - k1 is always right on average and adds up to the log-ratio of a response: it goes into the reward. k3 is the one to read
#   while the policy is near. Far away, and above all for a sharp policy, its calm is not to be trusted.
# - A negative estimate is a reason to look at its standard error, never a reason for an absolute value.
# - Each token pays for its own log-ratio, the last True one gets the score as well, and a controller sets the price.
#
# Question: Two runs log "KL 0.3" and "KL 6". What do you have to ask before you compare them?
#
# Answer: Whether it is the mean over tokens or the sum over a response: at 20 tokens these are the same run. Then which
# estimator, and which of the two policies comes first. A controller with a target of 6 that is fed the per-token mean finds
# every policy far too near and takes the penalty away.

# %% [markdown] question="which_moved_further" minutes=8
# Two policies were tuned from one reference. Each wrote 2,560 tokens at temperature 1, scored at temperature 1, and its report
# gives two estimates of the KL, in nats a token, with their standard errors:
#
# | | mean of k1 | mean of k3 |
# |---|---|---|
# | run A | 0.31 ± 0.02 | 0.30 ± 0.01 |
# | run B | 0.34 ± 0.02 | 0.12 ± 0.01 |
#
# "We trust k3, which has the smaller error," says the team of run B, "so ours has stayed nearer to the reference." Has it? Say
# which run has moved further as far as you can tell, what the mean of k3 less that of k1 estimates and what it should be, what
# its −0.22 in run B says about that policy, and one thing that you would compute to settle it. Five to eight sentences.
#
# Rubric: *A model answer.* Nothing here shows that B has stayed nearer: by k1 the two runs are equally far away, within about
# one standard error. k3 less k1 is $r - 1$, and the mean of $r$ under the policy is 1, so that this difference should be 0 up
# to chance. In run A it is −0.01. In run B it is −0.22: the tokens that were drawn have a mean ratio of 0.78, so that about a
# fifth of what the reference would write, by its own probability, was not met once. These are tokens that the policy has all
# but given up and the reference still likes, as in a policy that has become sharp. They carry most of k3's mean and nearly all
# of its spread, and where no sample holds them, the standard error cannot know of them either. So the small error is no
# argument, and B's k3 is too low. To settle it: the exact KL at the same places, from both full distributions; or the mean of
# $r$ over very many more tokens.
#
# Rubric: *2 points:* does not believe B's k3, with the reason that k3 − k1 has mean 0 (or that the mean of $r$ is 1), **and**
# says that rare tokens with a large $r$ are missing from the sample, **and** names a check that would settle it (exact KL, the
# mean of $r$, far more draws). *1 point:* does not believe B's k3, with one of these. *0 points:* takes k3 because its error
# is smaller or because it is never negative, or calls the runs different by k1 alone.

# %% [markdown]
# To read: Schulman 2020, [Approximating KL Divergence](http://joschu.net/blog/kl-approx.html), where k1, k2 and k3 got
# their names, with two worked examples between Gaussians. Ziegler et al. 2019, [Fine-Tuning Language Models from Human
# Preferences](https://arxiv.org/abs/1909.08593): equation 2 is what `shape_rewards` implements, section 2.2 has the
# controller.
