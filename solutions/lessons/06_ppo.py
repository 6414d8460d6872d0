# %% [markdown]
# ## What you will have at the end
#
# Two tokens, drawn by a function that you wrote. Each column is one of them, with its advantage: the one on the left was better
# than expected, the one on the right worse. The horizontal axis is the ratio of lesson 1, how much likelier the token has
# become since it was sampled. The upper row shows the loss, the lower row its gradient, which is all that training gets to
# see. In the red band the gradient is exactly zero: the token has moved enough. On the opposite side it is still there: that
# token went the wrong way and has to come back.
#
# PICTURE
#
# You will write the three losses of PPO, put them together into a training step, take that step on a language model, and find
# out what the clip holds and what it does not.

# %%
import math
from collections import defaultdict

import torch

import rlhf_core
from autograder import check
from rlhf_core import advantages as adv
from rlhf_core import kl, ppo
from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.kl import kl_exact
from rlhf_core.loop import Rollout
from rlhf_core.models import PolicyWithValue, freeze_bottom, load_causal_lm, load_tokenizer
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import gather_logprobs, response_logprobs, sample_response
from rlhf_core.ppo import PPOConfig, masked_entropy, policy_loss, ppo_step, value_loss

rlhf_core.use("mine", otherwise="reference")
tokenizer = load_tokenizer("embedded:policy")

# %% [markdown]
# The line with `use` lends you the reference answer of every exercise of lessons 1 to 5 that you have not done, where your
# edition of the course has them. Yours come first.
#
# ## The problem: one sample, many steps
#
# To sample 20 tokens takes 20 forward passes, one after the other. A gradient step on all of them takes one pass forward and
# one back. So once you have a sample, you want to take more than one step on it. What happens if you do?
#
# Here is the sample: 64 openings of reviews and 20 tokens for each, none of which ends the review, so that every place is a
# True token. The lower half of the model is frozen, which makes the steps faster.


# %%
def new_policy():
    lm = load_causal_lm("embedded:policy")
    freeze_bottom(lm, 2)
    return PolicyWithValue(lm)


texts = load_reviews("embedded", "train").subset(200, seed=0).texts
prompts = make_prompts(texts, tokenizer, min_tokens=5, max_tokens=5, seed=0)[:64]
prompt_ids, prompt_mask = left_pad(prompts, tokenizer.pad_token_id)
start = torch.Generator().manual_seed(0)
sample = sample_response(new_policy(), prompt_ids, prompt_mask, 20, 1.0, tokenizer.eos_token_id, start)
full, full_mask = join(prompt_ids, prompt_mask, sample.tokens, sample.mask)
print(f"{sample.mask.sum()} tokens, for example: {tokenizer.decode(prompts[0])}|{tokenizer.decode(sample.tokens[0])}")

# %% [markdown]
# Now the advantages, and these are a trap: each token gets +1 or −1 by the toss of a coin. There is nothing to learn. Whatever
# the policy writes, its tokens are worth 0 on average, and no token can ever be worth more than 1.
#
# You cannot sample anew after every step, so you ask the old sample what the changed policy would earn. A token that the new
# policy writes twice as often counts twice: the estimate is the mean of ratio × advantage. Train for eight steps to make that
# mean larger, and look.


# %%
length = sample.tokens.shape[1]
coins = torch.randint(0, 2, sample.tokens.shape, generator=torch.Generator().manual_seed(3)).float() * 2 - 1


def logits_of(model):
    """What `model` says about the tokens of the sample: (64, 20, 4096)."""
    with torch.no_grad():
        out = model(input_ids=full, attention_mask=full_mask, position_ids=position_ids(full_mask))
        return out.logits[:, -length - 1 : -1]


old_logits = logits_of(new_policy())


def measure(model):
    """The ratio of each token of the sample (64, 20), and the mean exact KL of the new policy to the old, in nats a token."""
    logits = logits_of(model)
    ratio = (gather_logprobs(logits, sample.tokens) - sample.logprobs).exp()
    return ratio, masked_mean(kl_exact(logits, old_logits), sample.mask).item()


def eight_steps(loss_of):
    """Train a new policy on the sample by the loss that loss_of(logprobs) returns."""
    model = new_policy()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    print("steps   minus the loss   largest ratio   outside 0.8 to 1.2   KL")
    for steps in range(9):
        loss = loss_of(response_logprobs(model, full, full_mask, length))
        if steps in (0, 1, 2, 4, 8):
            ratio, distance = measure(model)
            outside = ((ratio - 1).abs() > 0.2).float().mean()
            print(f"{steps:5} {-loss.item():16.2f} {ratio.max():15.1f} {outside:20.2f} {distance:7.3f}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return ratio


# %% [markdown]
# **Predict before you run:** the coins of this sample have a mean of about −0.04, so that is the estimate before the first
# step. What will it be after eight, if the truth is 0 throughout?

# %% tolerance=0.05
ratio = eight_steps(lambda logprobs: -masked_mean((logprobs - sample.logprobs).exp() * coins, sample.mask))
top = (ratio * coins).flatten().topk(3).values
promise = (ratio * coins).sum()
print(f"three tokens, of ratios {top[0]:.0f}, {top[1]:.0f} and {top[2]:.0f}, make {top.sum() / promise:.0%} of it")

# %% [markdown]
# The old sample promises about 1.5 a token, where nothing above 1 exists and the truth is 0. Three tokens out of 1,280 make
# nearly half of that promise: they were rare, were drawn by chance, had a coin that fell well, and are now more than a hundred
# times as likely.
#
# The estimate has two flaws. With 1,280 tokens in place of infinitely many, the optimizer finds the lucky ones and pushes on
# them without end, and the further the policy goes, the fewer tokens make up the estimate. And the texts in front of those
# tokens remain the old policy's, whatever the new one would have written. You need a loss that believes the old sample only
# near the policy that wrote it.

# %% [markdown] section="ratio"
# Take three tokens by hand. The sampler wrote down `old_logprobs`, the policy of now gives `logprobs`:
#
# | token | old probability | new probability | `logprobs - old_logprobs` | ratio |
# |---|---|---|---|---|
# | 0 | 0.20 | 0.30 | −1.204 − (−1.609) = 0.405 | $e^{0.405}$ = 1.5 |
# | 1 | 0.50 | 0.50 | 0 | 1 |
# | 2 | 0.10 | 0.07 | −2.659 − (−2.303) = −0.357 | $e^{-0.357}$ = 0.7 |
#
# The difference of two logarithms is the *log-ratio*, the logarithm of the quotient. So
#
# $$\rho_t = \frac{\pi_\text{new}(a_t \mid s_t)}{\pi_\text{old}(a_t \mid s_t)} = e^{\mathtt{new}_t - \mathtt{old}_t},$$
#
# with `new` the `logprobs` and `old` the `old_logprobs`.
#
# New over old: above 1 the token has become likelier. The log-ratio itself is no substitute: where nothing has changed it is
# 0, and a token of ratio 0 would count for nothing.
#
# At the first minibatch no step has been taken, so new and old are the same policy and every ratio is 1. That does not mean
# that there is nothing to learn from it. The gradient of $\rho_t$ is $\rho_t \nabla \log \pi_\text{new}$, and at 1 that is the
# gradient of the log-probability itself. Times the advantage it is the *policy gradient*, the oldest recipe of reinforcement
# learning: make a token likelier in proportion to how much better it was than expected. The first step of PPO is that and no
# more. The number 1 is constant, its gradient is not.
#
# Question: A token had probability 0.002 when it was sampled. Between which bounds can its ratio move?
#
# Answer: From 0 to 500, because a probability ends at 1. Rare tokens that were drawn by chance are where the ratio runs away.
# The largest ratio above is over 400, so that token had a probability below 0.0025 when it was sampled.

# %% [markdown] section="clip"
# Allow the ratio the range from `1 - clip_range` to `1 + clip_range`, and stop believing it outside. With
# a `clip_range` of 0.2, ratio 1.5 is clipped to 1.2 and ratio 0.7 to 0.8. Each token then has two promises, ratio × advantage
# and clipped ratio × advantage, and PPO takes the **smaller** of the two. Four cases, with advantages of +1 and −1:
#
# | advantage | ratio | what has happened | plain | clipped | the smaller | gradient |
# |---|---|---|---|---|---|---|
# | +1 | 1.5 | a good token is likelier already | 1.5 | 1.2 | 1.2, clipped | zero: enough |
# | +1 | 0.7 | a good token has become rarer | 0.7 | 0.8 | 0.7, plain | full: come back |
# | −1 | 1.5 | a bad token has become likelier | −1.5 | −1.2 | −1.5, plain | full: come back |
# | −1 | 0.7 | a bad token is rarer already | −0.7 | −0.8 | −0.8, clipped | zero: enough |
#
# A clipped ratio is a constant, 1.2 or 0.8, and a constant has no gradient. So the clip is on one side only, and the sign of
# the advantage says on which: the side on which the token *gains*. A good token is stopped above, a bad token below. On the
# other side nothing is clipped, whatever the ratio is.
#
# Tokens do go to the wrong side. They share their weights with all the others, and a step that helps ten tokens may harm an
# eleventh. The rows "come back" are for those, and they are what the minimum is for: clip the ratio and leave the minimum out,
# and these tokens have no gradient either.

# %% [markdown] section="policy-loss"
# Now a whole batch: two responses, the first of three tokens and advantage 2 each, the second of two tokens and advantage −1.
# The third place of the second response is padding and holds anything. `clip_range` is 0.2.
#
# | response, token | ratio | advantage | plain | clipped | the smaller |
# |---|---|---|---|---|---|
# | 0, 0 | 1.5 | 2 | 3.0 | 2.4 | 2.4 |
# | 0, 1 | 0.7 | 2 | 1.4 | 1.6 | 1.4 |
# | 0, 2 | 1.0 | 2 | 2.0 | 2.0 | 2.0 |
# | 1, 0 | 1.5 | −1 | −1.5 | −1.2 | −1.5 |
# | 1, 1 | 0.7 | −1 | −0.7 | −0.8 | −0.8 |
# | 1, 2 | padding | | | | not counted |
#
# The sum of the last column is 3.5, over five True tokens that is 0.70. An optimizer makes its loss smaller, so the loss is
# −0.70:
#
# $$L = -\frac{1}{\sum_t m_t} \sum_t m_t \min\big(\rho_t A_t,\ \text{clip}(\rho_t, 1 - \epsilon, 1 + \epsilon)\, A_t\big),$$
#
# with $m_t$ the `mask`, $A_t$ the `advantages`, $\epsilon$ the `clip_range`, and $\rho_t$ from `logprobs` and `old_logprobs`.
#
# Four other averages of the same table look as plausible and are something else:
#
# | what was done | result | what it means |
# |---|---|---|
# | mean over all True tokens | 0.70 | each token weighs 1/5 |
# | a mean for each response, then the mean of those | 0.39 | a token weighs 1/6 in the long response and 1/4 in the short one |
# | divided by all six places | 0.58 | the more padding, the smaller the step |
# | mean of each column, then the smaller mean | 0.80 | the tokens choose together, and one may hide behind another |
# | the sum | 3.5 | a batch twice as large takes a step twice as large |
#
# The old log-probabilities and the advantages are records of the rollout. They are constants here: `detach` them, or a
# gradient reaches whatever they came from.

# %% [markdown] exercise="policy_loss" minutes=20 difficulty=2
# Return the loss, a scalar, and a dict of stats. `logprobs`, `old_logprobs` and `advantages` are `(B, T)`, `mask` is bool `(B,
# T)`. The stats are floats for your own curves, and no point depends on them: `clip_fraction` (the share of True tokens whose
# ratio is outside the clip), `approx_kl` (the mean of k3 of lesson 4 for KL(old || new): the old policy wrote the tokens, so
# its `old_logprobs` are the first argument), `ratio` (its mean).
#
# What to watch for: multiply by the advantage first and take the minimum afterwards, token by token; only `logprobs` gets a
# gradient; what stands on padding may be anything finite, and does not count; a batch without a True token gives 0.
#
# Hint: `masked_mean` of lesson 5 does the mean, the padding and the empty batch. `adv.masked_mean` is at hand.
#
# Hint: Set the log-ratio to 0 on the padding with `masked_fill(~mask, 0.0)` before you take `exp` of it. For the clip there is
# `ratio.clamp(low, high)`, for the smaller of two tensors `torch.minimum`.
#
# Hint: Three lines make the loss: the product with the ratio, the product with the clamped ratio, minus the masked mean of the
# smaller one. Put the stats under `torch.no_grad()` and turn each into a float by `.item()`; for `approx_kl`,
# `kl.kl_estimate(old_logprobs, logprobs, "k3")`.

# %% answer="policy_loss"
@policy_loss.implement
def policy_loss(logprobs, old_logprobs, advantages, mask, clip_range):
    ### BEGIN SOLUTION
    # 1. The ratio of the new policy to the one that sampled (equation 6). Only the new one gets a gradient.
    log_ratio = logprobs - old_logprobs.detach()
    log_ratio = log_ratio.masked_fill(~mask, 0.0)
    ratio = log_ratio.exp()
    # 2. The clipped surrogate (equation 7): the smaller of the two promises, so that moving out of the clip gains nothing.
    advantages = advantages.detach()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range) * advantages
    loss = -adv.masked_mean(torch.minimum(plain, clipped), mask)
    # 3. For the plots.
    with torch.no_grad():
        outside = ((ratio - 1).abs() > clip_range).to(ratio.dtype)
        stats = {
            "clip_fraction": adv.masked_mean(outside, mask).item(),
            "approx_kl": adv.masked_mean(kl.kl_estimate(old_logprobs, logprobs, "k3"), mask).item(),
            "ratio": adv.masked_mean(ratio, mask).item(),
        }
    return loss, stats
    ### END SOLUTION

# %% [markdown]
# The table, with your function. `backward` fills in `logprobs.grad`; times 5 it is the gradient of each token alone.

# %% tolerance=0.001
mask = torch.tensor([[True, True, True], [True, True, False]])
old_logprobs = torch.full((2, 3), math.log(0.2))
ratios = torch.tensor([[1.5, 0.7, 1.0], [1.5, 0.7, 3.0]])
logprobs = (old_logprobs + ratios.log()).requires_grad_()
loss, stats = policy_loss(logprobs, old_logprobs, torch.tensor([[2.0, 2.0, 2.0], [-1.0, -1.0, 9.0]]), mask, 0.2)
loss.backward()
print(f"loss {loss.item():.2f}")
print((5 * logprobs.grad).round(decimals=2))

# %% [markdown]
# Negative is "make it likelier", as the optimizer goes against the gradient. Of the three zeros one is the padding, the other
# two are the tokens that have moved enough. Where the gradient is not zero it is $-\rho_t A_t$.
#
# **Now break it.** Hand in a ratio that is detached, which is easily done when log-probabilities are computed under `no_grad`
# or kept as numbers. Does the loss tell?

# %%
detached, _ = policy_loss(logprobs.detach(), old_logprobs, torch.tensor([[2.0, 2.0, 2.0], [-1.0, -1.0, 9.0]]), mask, 0.2)
print(f"loss {detached.item():.2f}, has a gradient: {detached.requires_grad}")

# %% [markdown]
# It is the same number, to the last digit, and it cannot teach anything. Alone, `backward` would complain. In PPO it does not:
# the value loss is added to this one and has a gradient, so training runs, the value head learns, and the policy goes wherever
# the value loss drags the weights that both share. No advantage is heard.
#
# Move the sliders, and before each move say on which side of 1 the gradient will vanish. (Without a running kernel, the picture
# at the beginning shows the two cases.)

# %%
from rlhf_core.widgets import explore_clip

explore_clip(policy_loss)

# %% [markdown]
# What does the minimum do for you? Let one token walk downhill by itself, once by your loss, once by a loss that clips without
# a minimum, once by one that takes the larger of the two promises. **Predict:** a bad token starts at ratio 1.5, a good one at
# 1. Where do they end?


# %% tolerance=0.02
def walk(loss_of, ratio, advantage):
    """The ratio of a single token after 40 small steps downhill."""
    log_ratio = torch.tensor([[math.log(ratio)]])
    for _ in range(40):
        log_ratio.requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of(log_ratio, torch.tensor([[advantage]])), log_ratio)
        log_ratio = (log_ratio - 0.02 * gradient).detach()
    return log_ratio.exp().item()


def two_promises(log_ratio, a):
    return log_ratio.exp() * a, log_ratio.exp().clamp(0.8, 1.2) * a


losses = {
    "your policy_loss": lambda x, a: policy_loss(x, torch.zeros(1, 1), a, torch.tensor([[True]]), 0.2)[0],
    "clipped only": lambda x, a: -two_promises(x, a)[1].sum(),
    "the larger one": lambda x, a: -torch.maximum(*two_promises(x, a)).sum(),
}
for name, loss_of in losses.items():
    print(f"{name:18} bad token from 1.5 to {walk(loss_of, 1.5, -1.0):.3f}, good token from 1 to {walk(loss_of, 1.0, 1.0):.3f}")

# %% [markdown]
# By your loss the bad token comes back, goes on down, and stops a little below 0.8, one step after it has crossed the bound.
# The good one stops a little above 1.2. Clipped without a minimum, the bad token stays at 1.5 for ever, and no curve would
# tell you. With the larger promise both clips are on the wrong side: the bad token stays, and nothing stops the good one.
#
# Now back to the coins: the same eight steps with your loss. And once more with a mistake that hardly shows: the old
# log-probabilities are computed anew from the policy of now, for each step, in place of those that the sampler wrote down.
#
# **Predict before you run:** what is the highest value that minus your loss can reach, if half of the advantages are +1 and
# half are −1? And in the second run, what will the ratio *inside the loss* be?

# %% tolerance=0.05
print("your policy_loss")
eight_steps(lambda logprobs: policy_loss(logprobs, sample.logprobs, coins, sample.mask, 0.2)[0])
print("\nold log-probabilities computed anew")
_ = eight_steps(lambda logprobs: policy_loss(logprobs, logprobs.detach(), coins, sample.mask, 0.2)[0])

# %% [markdown]
# A good token can promise 1.2 at most, a bad one −0.8: half and half that is 0.2, less the 0.04 of these coins 0.16. After
# eight steps your loss has nearly got there and has little left to offer. The KL is about a quarter of what it was without the
# clip, and the largest ratio is about 3 in place of hundreds.
#
# But look at the other column: nearly nine tokens in ten are *outside* the clip, more than without it. **The clip is not a
# wall.** It takes the reward for going further away, so they stop soon behind the border, where without it a few run off for
# ever. It does not hold a token that the gradients of others push along, and it does not hold the first step, which starts at
# ratio 1, where nothing is clipped.
#
# The second run shows the mistake: inside the loss the ratio is always 1, so nothing is ever clipped. The loss stays at the
# mean of the coins at every step, a flat and peaceful curve, and the policy is three times as far away as with your loss. The
# old log-probabilities have to come from the rollout.

# %% [markdown] section="value-loss"
# The value head predicts, before each token, the return that will follow (lesson 5). It learns by squared error. Many PPO
# codes clip here, too: a value that has moved further than `clip_range` from where it was gains nothing by moving on. Three
# tokens by hand, with an old value of 1.0, a return of 2.0 and a `clip_range` of 0.2:
#
# | value now | its squared error | clipped value | its squared error | the larger | gradient |
# |---|---|---|---|---|---|
# | 1.5 | $0.5^2 = 0.25$ | 1.2 | $0.8^2 = 0.64$ | 0.64, clipped | zero: it moved towards the return, and enough |
# | 0.5 | $1.5^2 = 2.25$ | 0.8 | $1.2^2 = 1.44$ | 2.25, plain | full: it moved away and has to come back |
# | 1.1 | $0.9^2 = 0.81$ | 1.1 | $0.9^2 = 0.81$ | 0.81, both | full: it is inside |
#
# The clipped value is the old one plus a clipped *step*: $1.0 + \text{clip}(1.5 - 1.0, -0.2, 0.2) = 1.2$. The loss is half the
# mean of the larger errors, $0.5 \cdot (0.64 + 2.25 + 0.81) / 3 = 0.617$:
#
# $$L = \frac{1}{2 \sum_t m_t} \sum_t m_t \max\big((V_t - R_t)^2,\ (V^\text{clip}_t - R_t)^2\big), \qquad
# V^\text{clip}_t = V^\text{old}_t + \text{clip}(V_t - V^\text{old}_t, -\epsilon, \epsilon),$$
#
# with $V$ the `values`, $V^\text{old}$ the `old_values`, $R$ the `returns`.
#
# The larger here, the smaller there: it is the same caution. A surrogate is to become large, so the cautious reader believes
# the smaller promise. An error is to become small, so the cautious reader believes the larger error.

# %% [markdown] exercise="value_loss" minutes=10 difficulty=1
# Return the loss, a scalar, and a dict of floats for your curves: `value_clip_fraction` (the share of True tokens whose value
# moved further than `clip_range`) and `value_error` (the root of the mean squared plain error). All tensors are `(B, T)`.
#
# What to watch for: the clip lies around the old value, neither around 0 nor around the return; the larger of the two is taken
# after squaring, token by token; only `values` gets a gradient; the factor 0.5.
#
# Hint: Write it as you wrote `policy_loss`: two versions of the same thing, an elementwise choice, a masked mean.
#
# Hint: Set all three tensors to 0 on the padding first, so that no difference of large numbers can overflow. Detach two of
# them.
#
# Hint: `old_values + (values - old_values).clamp(-clip_range, clip_range)` is the clipped value; square both differences from
# the returns and hand them to `torch.maximum`.

# %% answer="value_loss"
@value_loss.implement
def value_loss(values, old_values, returns, mask, clip_range):
    ### BEGIN SOLUTION
    # Padding may hold anything finite; zero it before differences of it can overflow.
    values, old_values, returns = (x.masked_fill(~mask, 0.0) for x in (values, old_values.detach(), returns.detach()))
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    plain_error, clipped_error = (values - returns).square(), (clipped - returns).square()
    loss = 0.5 * adv.masked_mean(torch.maximum(plain_error, clipped_error), mask)
    with torch.no_grad():
        outside = ((values - old_values).abs() > clip_range).to(values.dtype)
        stats = {
            "value_clip_fraction": adv.masked_mean(outside, mask).item(),
            "value_error": adv.masked_mean(plain_error, mask).sqrt().item(),
        }
    return loss, stats
    ### END SOLUTION

# %% tolerance=0.001
values = torch.tensor([[1.5, 0.5, 1.1]], requires_grad=True)
loss, stats = value_loss(values, torch.ones(1, 3), torch.full((1, 3), 2.0), torch.ones(1, 3, dtype=torch.bool), 0.2)
loss.backward()
print(f"loss {loss.item():.3f}, gradient {[round(g, 2) for g in values.grad[0].tolist()]}")

# %% [markdown]
# With the smaller error in place of the larger, the loss would be 0.417, and the second token, the one that is furthest off,
# would have the gradient zero: 0.8 is a better value than 0.5, so the loss would count as if it stood there already.
#
# The clip for values is a distance *in units of reward*. If your scores go from −1 to 1, then 0.2 is a fair step. If they go
# to 100, it takes hundreds of rollouts to get there in such steps. A large study on simulated robots ([Andrychowicz et al.
# 2020](https://arxiv.org/abs/2006.05990)) recommends no value clipping at all. It is in this course because the first RLHF
# code had it and many have kept it; a large `value_clip_range` switches it off.
#
# Question: The old value is 1.0, the new one 1.5, and the return is 1.1. Does the clip (0.2) stop the gradient?
#
# Answer: No. The plain error is $0.4^2 = 0.16$, the clipped one $0.1^2 = 0.01$, and the larger is the plain one, with its full
# gradient. The value moved in the right direction but shot past the return, and coming back is always allowed.

# %% [markdown] section="entropy"
# The entropy of a distribution says how undecided it is. Take the surprise at each token, $-\log \pi(v)$, and average it by
# the token's own probability:
#
# $$H = -\sum_v \pi(v) \log \pi(v).$$
#
# Three cases by hand. Four tokens of probability 1/4 each: $-4 \cdot \tfrac14 \log \tfrac14 = \log 4 = 1.386$ nats.
# Probabilities 1/2, 1/4, 1/4: $0.5 \cdot 0.693 + 2 \cdot 0.25 \cdot 1.386 = 1.040$. One token with probability 1: 0. It is
# never negative, and $e^H$ reads as a number of choices: 4, then 2.8, then 1.
#
# The logarithm of a probability is where it breaks. A policy that is sure of itself has logits thousands apart, the small
# probabilities round to 0, and $0 \cdot \log 0$ is `nan` on a computer:

# %%
sure = torch.tensor([[[10_000.0, 0.0, 0.0, 0.0]]])
probabilities = sure.softmax(-1)
print(probabilities.log())
print(-(probabilities * probabilities.log()).sum(-1))

# %% [markdown]
# One `nan` in the loss, and after the next step every weight that is trained is `nan`. `log_softmax` never takes the logarithm
# of a small number: it gives −10,000 here, and 0 × −10,000 is 0.

# %% [markdown] exercise="masked_entropy" minutes=10 difficulty=1
# `logits` is `(B, T, V)`, `mask` is bool `(B, T)`. Return the mean entropy over the True tokens, a scalar in nats, with a
# gradient to the logits.
#
# What to watch for: a *sum* over the vocabulary, a *mean* over tokens; large logits; padding. Logits set to 0 on the padding
# are a uniform distribution, the one with the largest entropy of all, so zeroing them is not masking.
#
# Hint: Two of your tools are enough: `log_softmax(-1)` and `masked_mean`.
#
# Hint: The probabilities are the `exp` of the log-probabilities. You need both, and one `log_softmax` gives both.
#
# Hint: The entropy of each place is `(B, T)` after the sum over the last dimension; the masked mean of that is the result.

# %% answer="masked_entropy"
@masked_entropy.implement
def masked_entropy(logits, mask):
    ### BEGIN SOLUTION
    logprobs = logits.masked_fill(~mask.unsqueeze(-1), 0.0).log_softmax(-1)
    return adv.masked_mean(-(logprobs.exp() * logprobs).sum(-1), mask)
    ### END SOLUTION

# %% tolerance=0.02
one = torch.tensor([[True]])
print(f"uniform over 4: {masked_entropy(torch.zeros(1, 1, 4), one):.3f}")
print(f"1/2, 1/4, 1/4:  {masked_entropy(torch.tensor([[[0.5, 0.25, 0.25]]]).log(), one):.3f}")
print(f"sure:           {masked_entropy(sure, one).abs():.3f}")
print(f"the policy:     {masked_entropy(old_logits, sample.mask):.2f}, of at most {math.log(4096):.2f}")
print(f"mean surprise:  {-masked_mean(sample.logprobs, sample.mask):.2f}")

# %% [markdown]
# The embedded policy is as undecided as between $e^{3.9} \approx 50$ equally likely tokens. The last line comes from the
# sampled tokens alone: their mean of −log-probability is an estimate of the same entropy, a check that costs nothing.
#
# In the loss the entropy has a minus sign: more of it is *rewarded*, so that the policy does not become sure of itself before
# it has tried anything else. In RLHF the KL penalty already does most of this, and `entropy_coef` is 0 or small. As a curve
# the entropy earns its place: where it falls to almost nothing, the policy writes the same thing over and over.

# %% [markdown] section="step"
# Put together, the loss of one minibatch is
#
# $$L = L_\text{policy} + c_V L_\text{value} - c_H H,$$
#
# with $c_V$ the `value_coef` and $c_H$ the `entropy_coef`. Both losses are to become small, the entropy large. One minibatch
# is one turn of these five steps:
#
# 1. **Forward.** One pass over prompt and response. The logits of the response begin one place before it (lesson 1), and so do
#    the values: the value of the state *before* a token stands at the same index as the logits that produced it. Logits are
#    divided by the temperature of the sampler.
# 2. **Losses.** Log-probabilities of the sampled tokens from the logits, then your three functions. No further KL term: the KL
#    to the reference is in the rewards already (lesson 4), and the clip keeps the policy near the rollout.
# 3. **Backward.** `zero_grad` before it, because `backward` *adds* to what is there.
# 4. **Clip the gradient norm**, between `backward` and `step`: before, there is nothing to clip; after, it is too late.
# 5. **Step** of the optimizer.
#
# Step 4 is another clip than that of the ratio. A gradient of (3, 4) has norm 5; with a `max_grad_norm` of 1 it becomes (0.6,
# 0.8): shorter, in the same direction. A gradient of (0.3, 0.4) stays as it is. The norm is taken over all parameters
# together; PyTorch has `torch.nn.utils.clip_grad_norm_`. So the course has three clips:
#
# | clip | what it bounds | unit |
# |---|---|---|
# | `clip_range` | what a token can gain by its ratio | distance of the ratio from 1 |
# | `value_clip_range` | what a value can gain by moving | reward |
# | `max_grad_norm` | the length of one gradient | that of the gradient |
#
# Dropout is off (`policy.eval()`). It would draw a slightly different policy for each pass, and the ratio would not be 1 even
# before anything has been learned.

# %% [markdown] section="epochs"
# One *epoch* goes through the whole rollout once, in minibatches. With 7 responses and a `minibatch_size` of 3, a random order
# such as 4 0 6 2 5 1 3 is cut into (4 0 6), (2 5 1), (3): three steps. The last minibatch is smaller and counts like the
# others; `minibatch_size` is the number of rows *in* a minibatch, not the number of minibatches. The next epoch draws a new
# order, from the `generator` that was handed in, so that a run can be repeated. Two epochs are six steps.
#
# What changes between these six steps, and what does not?
#
# | fixed when the rollout is made | computed anew in each minibatch |
# |---|---|
# | tokens, mask | logits and values of the policy as it is now |
# | `rollout.logprobs` | log-probabilities, ratio |
# | `rollout.values` | the value's distance from the old one |
# | `rollout.advantages`, `rollout.returns` | the losses, the entropy |
#
# Everything on the left stays old through *all* epochs. In the second epoch the ratio is still that to the policy which
# sampled, and the clip still lies around that policy: this is how the clip can tell that the whole step has gone far enough.
# You have seen above what happens when the old log-probabilities move along. The advantages come as they are to be used.
# Whitening them once more for each minibatch would make a minibatch of poor responses look like one of good and poor.
#
# Question: There are now two frozen policies: the *reference* of lesson 4 and the *old* policy here. What is the difference?
#
# Answer: The reference is the model before all RLHF; it never changes, and the KL penalty in the rewards ties the policy to it
# for the whole training. The old policy is the one that wrote the current rollout; it is replaced at every rollout, and needs
# no copy of the model, because its log-probabilities are all that is left of it.

# %% [markdown] exercise="ppo_step" minutes=30 difficulty=3
# Take `config.ppo_epochs` passes over the `rollout` and return the stats, a dict of floats averaged over all minibatches (for
# your curves; no point depends on them). `policy` gives `.logits` `(B, L, V)` and `.values` `(B, L)`; the fields of the
# rollout and of the config are in the docstring.
#
# What to watch for: all that belongs to a row has to be permuted alike; the order of the five steps. A loss that is not finite
# should raise `FloatingPointError` before it reaches the weights: no check asks for it, but it will save you an afternoon.
#
# Hint: Two loops: over epochs, and over `torch.randperm(n, generator=generator).split(config.minibatch_size)`. Each turn gives
# `rows`, and `rollout.tokens[rows]` and its kind take the rows out of every tensor of the rollout.
#
# Hint: `join(prompt_ids, prompt_mask, tokens, mask)` makes the input and its attention mask, `position_ids` the positions.
# Both logits and values take the slice `[:, -length - 1 : -1]`. Logits divided by the temperature go to `gather_logprobs` and
# to `masked_entropy`.
#
# Hint: After the losses: `math.isfinite(loss.item())`, `optimizer.zero_grad()`, `loss.backward()`,
# `torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)`, `optimizer.step()`. Add the stats of both losses
# up in a `defaultdict(float)` and divide by the number of minibatches at the end.

# %% answer="ppo_step"
@ppo_step.implement
def ppo_step(policy, optimizer, rollout, config, generator=None):
    ### BEGIN SOLUTION
    policy.eval()  # dropout would make the ratio differ from 1 before anything was learned
    n, length = rollout.tokens.shape
    device = generator.device if generator is not None else "cpu"
    totals, count = defaultdict(float), 0
    for _ in range(config.ppo_epochs):
        for rows in torch.randperm(n, generator=generator, device=device).split(config.minibatch_size):
            # 1. One forward pass over prompt and response; the logits and values of the response begin one place before it.
            mask, tokens = rollout.mask[rows], rollout.tokens[rows]
            input_ids, attention_mask = join(rollout.prompt_ids[rows], rollout.prompt_mask[rows], tokens, mask)
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
            logits = out.logits[:, -length - 1 : -1] / config.temperature
            values = out.values[:, -length - 1 : -1]
            # 2. The three losses, against the log-probabilities and values of the rollout.
            logprobs = gather_logprobs(logits, tokens)
            pg_loss, pg_stats = ppo.policy_loss(
                logprobs, rollout.logprobs[rows], rollout.advantages[rows], mask, config.clip_range
            )
            vf_loss, vf_stats = ppo.value_loss(
                values, rollout.values[rows], rollout.returns[rows], mask, config.value_clip_range
            )
            with torch.set_grad_enabled(config.entropy_coef != 0):
                entropy = ppo.masked_entropy(logits, mask)
            loss = pg_loss + config.value_coef * vf_loss - config.entropy_coef * entropy
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the loss is {loss.item()} (policy {pg_loss.item()}, value {vf_loss.item()})")
            # 3. One optimizer step.
            optimizer.zero_grad()
            loss.backward()
            grad_norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
            optimizer.step()
            stats = {"policy_loss": pg_loss.item(), "value_loss": vf_loss.item(), "entropy": entropy.item()}
            stats |= {"grad_norm": grad_norm.item()} | pg_stats | vf_stats
            for name, value in stats.items():
                totals[name] += value
            count += 1
    return {name: value / count for name, value in totals.items()}
    ### END SOLUTION

# %% [markdown]
# ## The experiment: a policy that likes "the"
#
# A reward that can be checked by eye: 1 for each token " the", 0 for every other. With `gamma` 0 a token is answerable for its
# own reward alone, and with values of 0 its advantage is that reward; whitened, as lesson 5 does it.

# %% tolerance=0.001
the = tokenizer(" the").input_ids[0]
rewarded = sample.tokens == the
values = torch.zeros_like(sample.logprobs)  # what the value head of a new policy says
advantages, returns = compute_gae(rewarded.float(), values, sample.mask, gamma=0.0, lam=1.0)
advantages = masked_whiten(advantages, sample.mask)
rollout = Rollout(prompt_ids, prompt_mask, sample.tokens, sample.mask, sample.logprobs, values, advantages, returns)
print(f"{rewarded.sum()} of {sample.mask.sum()} tokens are rewarded")
print(f"advantages: {advantages[rewarded][0]:.2f} for these, {advantages[~rewarded][0]:.2f} for the others")

# %% [markdown]
# First count the steps. The hook below writes down how many rows each forward pass of your `ppo_step` reads, for 7 rows in
# minibatches of 3 and two epochs. The stats are means over these minibatches, each taken before its own step:

# %% tolerance=0.1
model, sizes = new_policy(), []
model.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True)
seven = Rollout(*(tensor[:7] for tensor in vars(rollout).values()))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
config = PPOConfig(ppo_epochs=2, minibatch_size=3)
stats = ppo_step(model, optimizer, seven, config, torch.Generator().manual_seed(0))
print(sizes)
print({name: round(value, 3) for name, value in stats.items()})

# %% [markdown]
# Now four epochs on the whole rollout, in minibatches of 16: 16 steps. Everything old lies in the rollout, so four calls with
# one epoch each do the same as one call with four, and you can look in between.
#
# **Predict before you run:** the median rewarded token, is it 1.2 times as likely afterwards, 2 times, or 10 times? And the
# others, whose advantage is only slightly below 0?


# %% tolerance=0.1
def train(model, optimizer, generator, epochs):
    """Your ppo_step, an epoch a call; returns a row (rewarded, others, outside, KL) for each."""
    rows = []
    for _ in range(epochs):
        ppo_step(model, optimizer, rollout, PPOConfig(ppo_epochs=1, minibatch_size=16), generator)
        ratio, distance = measure(model)
        outside = ((ratio - 1).abs() > 0.2).float().mean().item()
        rows.append((ratio[rewarded].median().item(), ratio[~rewarded].median().item(), outside, distance))
    return rows


model = new_policy()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
generator = torch.Generator().manual_seed(0)
calm = train(model, optimizer, generator, 4)
print("epoch   median ratio: rewarded   others   outside the clip   KL")
for epoch, row in enumerate(calm, 1):
    print("{:5} {:24.2f} {:8.2f} {:18.2f} {:8.4f}".format(epoch, *row))

# %% [markdown]
# The rewarded tokens have become about twice as likely, well beyond 1.2, and each epoch adds less than the one before. The
# others pay for it with about a tenth of theirs. Does the policy really write "the" more often? Only a new sample can tell:


# %% tolerance=0.15
def share_of_the(model):
    """How often a new sample of `model` has " the", and one of its responses."""
    ids, mask = prompt_ids.repeat(4, 1), prompt_mask.repeat(4, 1)
    new = sample_response(model, ids, mask, 20, 1.0, tokenizer.eos_token_id, torch.Generator().manual_seed(1))
    share = masked_mean((new.tokens == the).float(), new.mask).item()
    return f"{share:.3f} | ...{response_texts(tokenizer, new.tokens[2:3], new.mask[2:3])[0]}"


print("before:", share_of_the(new_policy()))
print("after: ", share_of_the(model))

# %% [markdown]
# It does, by more than half, from one sample of 64 texts; and the sentences are no worse for it yet.
#
# **Now break it**, in two ways. The first: go on to 12 epochs on the same rollout, 48 steps. The second: a new policy, four
# epochs, and a learning rate 30 times as large. Which of the two does the clip save you from?

# %% tolerance=0.15
calm += train(model, optimizer, generator, 8)
wild_model = new_policy()
wild = train(wild_model, torch.optim.Adam(wild_model.parameters(), lr=3e-3), torch.Generator().manual_seed(0), 4)
print("12 epochs:    ", share_of_the(model))
print("30 x the rate:", share_of_the(wild_model))

# %%
from matplotlib import pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
labels = ("median ratio, rewarded tokens", "share outside the clip", "KL, nats a token")
for ax, column, label in zip(axes, (0, 2, 3), labels):
    ax.plot(range(1, len(calm) + 1), [row[column] for row in calm], ".-", color="#1f77b4", label="rate 1e-4, 12 epochs")
    ax.plot(range(1, 5), [row[column] for row in wild], ".-", color="#d1495b", label="rate 3e-3, 4 epochs")
    ax.set(ylabel=label, xlabel="epoch", xticks=(1, 4, 8, 12))
axes[2].set_yscale("log")
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Twelve epochs look alarming in the middle panel, where four tokens in five are outside, and yet the KL hardly grows any more.
# Once a token is outside on its gaining side it has no gradient, and after 48 steps the KL is only one and a half times that
# after 16.
#
# The large rate destroys the model in the first epoch. The clip is asked *after* a step has been taken. It can refuse the next
# one; it cannot shorten the one that goes from ratio 1 to far outside, and it has no gradient that would bring a good token
# back down from there. A clip fraction near 1 with a flat loss looks like a finished training and may be a wreck: the KL tells
# the two apart.
#
# The reward, by the way, is perfect: almost every token is "the". Lesson 8 is about that.
#
# ## Your loss, as a picture
#
# Ask your `policy_loss` about a single token, at every ratio from 0.5 to 1.7, for an advantage of +1 and of −1. There are four
# places outside the clip, one on each side for each advantage. **Predict:** in which two is the gradient zero?


# %% result="Loss and gradient of one token against its ratio. Good token: gradient zero above 1.2 only. Bad token: zero below 0.8 only"
def loss_and_gradient(ratio, advantage):
    old = torch.tensor([[math.log(0.2)]])
    new = (old + math.log(ratio)).requires_grad_()
    loss, _ = policy_loss(new, old, torch.tensor([[advantage]]), torch.tensor([[True]]), clip_range=0.2)
    loss.backward()
    return loss.item(), new.grad.item()


grid = [0.5 + 0.005 * i for i in range(241)]
figure, axes = plt.subplots(2, 2, figsize=(9, 4), sharex=True, sharey="row", layout="constrained")
for column, advantage, title in ((0, 1.0, "advantage +1: a good token"), (1, -1.0, "advantage -1: a bad token")):
    curves = list(zip(*(loss_and_gradient(ratio, advantage) for ratio in grid)))
    zero = [gradient == 0 for gradient in curves[1]]
    for ax, curve, color in zip(axes[:, column], curves, ("#1f77b4", "#b8860b")):
        ax.plot(grid, curve, color=color)
        ax.fill_between(grid, 0, 1, where=zero, transform=ax.get_xaxis_transform(), color="#d1495b", alpha=0.15, linewidth=0)
        for bound in (0.8, 1.2):
            ax.axvline(bound, color="#8a8f98", linewidth=0.8, linestyle="--")
    axes[0, column].set(title=title)
    axes[1, column].set(xlabel="ratio (the clip: 0.8 to 1.2)")
axes[0, 0].set_ylabel("loss")
axes[1, 0].set_ylabel("gradient to\nthe log-probability")
plt.show()

# %% [markdown]
# A good token: the gradient is negative (make it likelier) up to 1.2 and zero beyond; below 0.8 it is there. A bad token:
# positive (make it rarer) down to 0.8 and zero below; above 1.2 it is not only there but growing, because the further a bad
# token has run off, the more it costs.
#
# The red bands are where your function returned a gradient of exactly zero. If you had left out the minimum, they would be on
# both sides in both columns.
#
# ## What you take along
#
# - A rollout is a record. Tokens, old log-probabilities, old values, advantages and returns stay as they are through all
#   epochs.
# - The clip stops a token on the side on which it gains, above for a good one, below for a bad one; the minimum leaves the way
#   back open. It removes a reason to go on and is not a wall.
# - The value loss takes the larger of two errors for the reason for which the policy loss takes the smaller of two promises.
# - Watch the KL beside the clip fraction. The clip acts from the second step on; the learning rate decides the first.
#
# Question: You set `ppo_epochs=1` and `minibatch_size` to the size of the rollout. What does the clip do?
#
# Answer: Nothing. There is one step, it starts at a ratio of 1 everywhere, and then the rollout is thrown away. PPO has become
# a plain policy gradient with a value head. With four minibatches and one epoch, as in the course's own runs, the clip sees
# ratios other than 1 from the second minibatch on.

# %% [markdown] question="why_one_side" minutes=8
# A colleague finds it untidy that the clip stops a token on one side only, and that the side depends on the sign of the
# advantage. "I stop the gradient of every token whose ratio is outside 0.8 to 1.2, on either side. Then nothing moves far."
#
# Take a token with a negative advantage whose ratio is 1.5. Say how it can have come there although its own gradient never
# asked for it; what your loss does with it in the next steps, and what your colleague's does; and whether the colleague's rule
# keeps what it promises, that nothing moves far. Five to eight sentences.
#
# Rubric: *A model answer.* All tokens share the weights. A step that makes other tokens likelier, or an entropy bonus, or the
# gradient of the value loss, can make this one likelier, too; and the first step after the sampling is not clipped at all. In
# the loss with the minimum the token is at −1.5 A, the plain promise: it has a gradient, larger than at ratio 1, that makes it
# rarer until it is below 0.8. By the colleague's rule it has none. It stays where it is, or drifts on with the others, for as
# long as this rollout is used, and the policy writes more of what was worse than expected. The promise is not kept, either: to
# take a token's gradient away holds nothing in its place, since the others go on moving the weights. What is lost is the only
# force that would bring it back. The one-sided clip takes away the reason to go on where a token has gained, and leaves every
# way back open.
#
# Rubric: *2 points:* the shared weights (or another loss) as the cause, **and** full gradient back against none, **and** that
# a stopped gradient is no wall: the token can still be moved by the others. *1 point:* two of the three. *0 points:* repeats
# that the clip is one-sided, or has the sides the wrong way round.

# %% [markdown]
# To read: Schulman et al. 2017, [Proximal Policy Optimization Algorithms](https://arxiv.org/abs/1707.06347): equation 6 is the
# surrogate that ran away at the beginning, equation 7 your `policy_loss`, equation 9 the sum of the three terms in your
# `ppo_step` (there it is maximised, so the signs are the other way round; the value clip is not in it). Huang et al. 2024,
# [The N+ Implementation Details of RLHF with PPO](https://arxiv.org/abs/2403.17031), on the value clip and on what else the
# first RLHF code did.
