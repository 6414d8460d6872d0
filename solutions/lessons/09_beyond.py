# %% [markdown]
# ## What you will have at the end
#
# Five ways to a better score, in one plane. To the right is what they cost: how far the policy has moved from the model it
# started as, in nats a response. Upwards is what they buy: the mean score of 128 openings that no run has trained on. The grey
# dot is the untrained policy.
#
# PICTURE
#
# PPO, RLOO and GRPO share one training function and differ in the one line that turns scores into advantages. You will write
# that line twice. DPO (gold) samples nothing while it trains, and you will write its loss. Best-of-n (black) does not train at
# all, and it is far ahead; the lesson says at what price. After that, your own reward wrapper goes into the
# trainers of a library, and you compare its advantages with yours.

# %%
import importlib.util
import math
import tempfile
import warnings
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt

import rlhf_core
from autograder import check
from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten
from rlhf_core.alternatives import dpo_loss, grpo_advantages, rloo_advantages
from rlhf_core.best_of_n import best_of_n, best_of_n_kl
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.evaluate import bootstrap_ci, sequence_kl
from rlhf_core.gold import GoldScorer
from rlhf_core.kl import shape_rewards
from rlhf_core.models import PolicyWithValue, freeze, freeze_bottom, load_causal_lm, load_classifier, load_tokenizer
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import gather_logprobs, sample_response
from rlhf_core.ppo import policy_loss
from rlhf_core.preferences import pairwise_accuracy
from rlhf_core.rewards import RewardWrapper


def borrowed():
    """Inside it, exercises of earlier lessons are yours where you have them, and the reference answers where not."""
    return rlhf_core.use("mine", otherwise="reference")


tokenizer = load_tokenizer("embedded:policy")
reference = freeze(load_causal_lm("embedded:policy"))
with borrowed():
    score = RewardWrapper(load_classifier("embedded:reward-imdb"), load_tokenizer("embedded:reward-imdb"), 64, 64)

# %% [markdown]
# ## The problem: what could be expected?
#
# An advantage is a score minus what could be expected. PPO asks the value head, which begins at 0, has to be fitted while the
# policy moves away under it, and, where it has a trunk of its own, is a second model as large as the first.
#
# There is another way to find out what can be expected from a prompt: answer it more than once. Below, six openings are
# continued four times each. The score is the reward model's logit for "positive", opening and response together.


# %%
def write(model, prompts, generator):
    """A response of 16 tokens to each prompt, with what belongs to it: the model input, the reference's view, the score."""
    prompt_ids, prompt_mask = left_pad(prompts, tokenizer.pad_token_id)
    with borrowed(), torch.no_grad():
        tokens, logprobs, mask = sample_response(model, prompt_ids, prompt_mask, 16, 1.0, tokenizer.eos_token_id, generator)
        texts = [tokenizer.decode(p) + response for p, response in zip(prompts, response_texts(tokenizer, tokens, mask))]
        batch = SimpleNamespace(tokens=tokens, logprobs=logprobs, mask=mask, texts=texts, scores=score(texts))
        batch.input_ids, batch.attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
        batch.ref_logprobs, _ = look_up(reference, batch)
    return batch


def look_up(model, batch, rows=slice(None)):
    """Log-probabilities of the responses under `model`, and its values where it has a value head."""
    mask, tokens = batch.attention_mask[rows], batch.tokens[rows]
    out = model(input_ids=batch.input_ids[rows], attention_mask=mask, position_ids=position_ids(mask))
    place = slice(-tokens.shape[1] - 1, -1)
    with borrowed():
        logprobs = gather_logprobs(out.logits[:, place], tokens)
    return logprobs, out.values[:, place] if isinstance(model, PolicyWithValue) else None


openings = ["I loved this film", "One of the best", "The story is about"]
openings += ["I watched this on", "What a waste of", "This is the worst"]
repeated = [tokenizer(opening).input_ids for opening in openings for _ in range(4)]
few = write(reference, repeated, torch.Generator().manual_seed(1))
scores = few.scores.view(6, 4)  # a row for each opening, a column for each of its samples
for opening, row in zip(openings, scores):
    print(f"{opening:20}", "  ".join(f"{one:5.2f}" for one in row))
print(few.texts[4])

# %% [markdown]
# Most of these differences were there before the policy wrote a word. For "What a waste of" a score of −0.3 is a success, for
# "One of the best" it would be a failure. Only the siblings, in the same row, can tell.

# %% [markdown] section="rloo"
# Take one prompt with four samples that score 1, 2, 3 and 6. What could the first one expect? The mean of the *other* three:
#
# | score | mean of the others | advantage |
# |---|---|---|
# | 1 | (2 + 3 + 6) / 3 = 3.67 | −2.67 |
# | 2 | (1 + 3 + 6) / 3 = 3.33 | −1.33 |
# | 3 | (1 + 2 + 6) / 3 = 3 | 0 |
# | 6 | (1 + 2 + 3) / 3 = 2 | 4 |
#
# With $k$ samples for a prompt, $r_i$ the score of sample $i$ (`scores[p, i]` of prompt $p$), that is
#
# $$A_i = r_i - \frac{1}{k - 1} \sum_{j \neq i} r_j.$$
#
# This is REINFORCE *leave-one-out*, RLOO. Nothing is fitted, nothing lags behind, and the advantages of a prompt add up to 0.
#
# Why leave yourself out? The mean of all four is 3, which gives −2, −1, 0, 3, each three quarters of the number above. In
# general the mean of all contains a share $1/k$ of your own score, so
#
# $$r_i - \frac{1}{k} \sum_j r_j = \frac{k - 1}{k} \, A_i.$$
#
# A baseline may depend on anything but the sample it is taken off. One that rises when the sample is good takes part of the
# praise away: every advantage is drawn towards 0, with two samples by half.

# %% [markdown] exercise="rloo_advantages" minutes=10 difficulty=1
# `scores` is `(prompts, samples)`: a row for each prompt. Return the advantages in the same shape.
#
# What to watch for: rows are prompts, and only samples of the same row know what could be expected. A single sample has no
# others: raise `ValueError`, with the number you got in its message.
#
# Hint: The sum of the others is the sum of the row minus the score itself. How many others are there?
#
# Hint: `scores.sum(1, keepdim=True)` is `(prompts, 1)`, so that `scores.sum(1, keepdim=True) - scores` works for all at once.
#
# Hint: Four lines: `k` from `scores.shape[1]`; `if k < 2: raise ValueError(...)`; the sums of the others divided by `k - 1`;
# the scores minus those.

# %% answer="rloo_advantages"
@rloo_advantages.implement
def rloo_advantages(scores):
    ### BEGIN SOLUTION
    k = scores.shape[1]
    if k < 2:
        raise ValueError(f"leave-one-out needs at least two samples a prompt, got {k}")
    others = (scores.sum(1, keepdim=True) - scores) / (k - 1)
    return scores - others
    ### END SOLUTION

# %% tolerance=0.001
by_hand = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
print(rloo_advantages(by_hand))
print(rloo_advantages(by_hand[:, :2]), "with the first two alone")

# %% [markdown]
# ## Is it right on average?
#
# What an advantage is for is the gradient, the mean of $A_i \nabla \log \pi(y_i)$. A policy with three answers is small enough
# to check this without any sampling. The answers have probabilities 0.5, 0.3, 0.2 and scores 5, 6, 8; the mean score is 5.9.
# Its true gradient to the three logits is probability × (score − 5.9): −0.45, 0.03 and 0.42.
#
# With four samples there are 81 possible batches. The cell goes through all of them, weighs each by its probability, and
# prints the mean of the estimate and how much a single batch scatters around that. **Predict before you run:** which of the
# four baselines are right on average, and which one scatters most?


# %% tolerance=0.05
def all_batches(advantages_of, k):
    """Mean and spread of the gradient estimate over every possible batch of k samples."""
    probability, worth = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([5.0, 6.0, 8.0])
    drawn = torch.cartesian_prod(*[torch.arange(3)] * k)  # (3 ** k, k)
    weight = probability[drawn].prod(1, keepdim=True)
    gradients = F.one_hot(drawn, 3) - probability  # of log pi to the three logits
    estimates = (advantages_of(worth[drawn]).unsqueeze(-1) * gradients).mean(1)
    mean = (weight * estimates).sum(0)
    return [round(x, 3) for x in mean.tolist()], (weight * (estimates - mean).square()).sum().sqrt().item()


baselines = {
    "none": lambda r: r,
    "the others (yours)": rloo_advantages,
    "all, itself included": lambda r: r - r.mean(1, keepdim=True),
    "the best one": lambda r: r - r.max(1, keepdim=True).values,
}
for k in (4, 2):
    for name, advantages_of in baselines.items():
        print("{} samples, {:21} mean {}, spread {:.2f}".format(k, name, *all_batches(advantages_of, k)))

# %% [markdown]
# Without a baseline the estimate is right and useless: it scatters by 2.5, where the gradient itself has length 0.6. Yours is
# right, too, and with four samples scatters a fifth as much. With itself included all three numbers shrink by the same
# factor, 3/4 or 1/2: the direction is still right, and the learning rate is not the one that you set. The best sample as
# baseline bends the direction: the middle answer gets more than twice what is due to it.
#
# ## Whose siblings?
#
# `scores.mean()` over everything is one character shorter than the mean of a row. What does it do? Your own function plays
# that mistake when all 24 samples are handed to it as if they belonged to one prompt. **Predict:** which of the six openings
# will be punished whatever the policy writes?

# %%
own_row, whole_batch = rloo_advantages(scores), rloo_advantages(scores.reshape(1, -1)).view(6, 4)
wrong_sign = (own_row > 0) != (whole_batch > 0)
print(f"{wrong_sign.sum()} of 24 samples are pushed the wrong way by the mean of the batch")
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, advantages, title in zip(axes, (whole_batch, own_row), ("compared with the batch", "compared with its own row")):
    baseline = scores - advantages
    for place in range(6):
        colours = ["#1f77b4" if a > 0 else "#d1495b" for a in advantages[place]]
        ax.scatter([place] * 4, scores[place], s=30 * advantages[place].abs() + 8, color=colours)
        ax.hlines(baseline[place].mean(), place - 0.4, place + 0.4, color="#8a8f98", linewidth=1)
    ax.set(title=title, xticks=range(6))
    ax.set_xticklabels(openings, rotation=30, ha="right")
axes[0].set_ylabel("score")
plt.show()

# %% [markdown]
# Blue is encouraged, red discouraged, and the size of a dot is the size of its advantage. On the left the policy learns that
# it should have been given other prompts. On the right it learns, for each of them, which answer was the better one.
#
# The other way to mix them up is `dim=0` for `dim=1`: column 2 then compares the third samples of six different openings.
# The shape is right and nothing crashes.

# %% [markdown]
# How much is there to gain in real prompts? Here are 128 openings of reviews, five tokens each, continued four times by the
# reference. The same 512 responses serve as DPO's training data later on.

# %% tolerance=0.15
prompts = make_prompts(load_reviews("embedded", "train").texts, tokenizer, min_tokens=5, max_tokens=5, seed=0)
pool = write(reference, [prompt for prompt in prompts[:128] for _ in range(4)], torch.Generator().manual_seed(2))
pool_scores = pool.scores.view(128, 4)
print(f"variance of the scores: {pool_scores.var():.2f}, within a prompt: {pool_scores.var(1).mean():.2f}")
print(f"variance of the advantages: {rloo_advantages(pool_scores).var():.2f}")

# %% [markdown]
# About a third of the variance belongs to the prompt. A baseline that knew each prompt exactly would remove that third. The
# mean of only three others is itself a noisy guess, which puts a third of the *rest* back (a factor 4/3), so that the
# advantages scatter only somewhat less than the scores. For openings as short as these, three siblings are a modest baseline.
#
# Question: You can afford 512 samples. Are 256 prompts with two samples better than 64 with eight?
#
# Answer: With two samples each is compared with a single other one, and the variance is twice that within a prompt; with eight
# it is 8/7 of it. But eight samples of one prompt are no substitute for other prompts, because they have the opening in
# common. Variance argues for large groups, variety for many prompts. TRL's defaults are 2 for RLOO and 8 for GRPO.

# %% [markdown] section="grpo"
# A prompt with scores 1, 2, 3, 6 and another with 10, 20, 30, 60 teach the same thing, and RLOO pulls ten times as hard for the
# second. GRPO takes the deviation of the group as its unit. By hand: the mean is 3, the distances are −2, −1, 0, 3, their
# squares 4, 1, 0, 9, the variance is 14 / 4 = 3.5 and the deviation 1.871. The advantages are −1.07, −0.53, 0, 1.60, for both
# prompts.
#
# $$A_i = \frac{r_i - \operatorname{mean}(r)}{\operatorname{std}(r) + \varepsilon}$$
#
# with mean and std over one row of `scores` and $\varepsilon$ the `eps`. The mean is that of all, the sample itself included:
# next to a division by the deviation a factor 3/4 makes no difference. With `scale=False` nothing is divided; the mean is
# still taken off.
#
# `eps` stands beside the root, and it is what makes a prompt with four equal scores come out as 0 and not as 0 / 0. A prompt
# with a single sample comes out as 0 as well.

# %% [markdown] exercise="grpo_advantages" minutes=15 difficulty=2
# Return the advantages `(prompts, samples)`, in units of the deviation of the row unless `scale` is False.
#
# What to watch for: mean *and* deviation are those of the row; divide by the deviation, not by the variance; `eps` is added
# to the deviation. `scores.std(1)` divides by $k - 1$, which for one sample is 0 / 0, and NaN plus `eps` is NaN. Whether you
# divide by $k$ or by $k - 1$ elsewhere is not checked.
#
# Hint: First the distances from the mean of the row; `keepdim=True` keeps the shapes together. If `scale` is False, that is
# the answer.
#
# Hint: The deviation comes from the distances: square them, take the mean of the row, take the root. For one sample that is 0.
#
# Hint: Three steps: `scores - scores.mean(1, keepdim=True)`; return it unless `scale`; else divide it by
# `(its square).mean(1, keepdim=True).sqrt() + eps`.

# %% answer="grpo_advantages"
@grpo_advantages.implement
def grpo_advantages(scores, scale=True, eps=1e-4):
    ### BEGIN SOLUTION
    centred = scores - scores.mean(1, keepdim=True)
    if not scale:
        return centred
    return centred / (centred.square().mean(1, keepdim=True).sqrt() + eps)
    ### END SOLUTION

# %% tolerance=0.001
print(grpo_advantages(torch.cat([by_hand, 10 * by_hand, by_hand + 100])))
print(grpo_advantages(by_hand, scale=False))
print(grpo_advantages(torch.tensor([[7.0]])), grpo_advantages(torch.full((1, 4), 2.0)))

# %% [markdown]
# The three rows of the first result agree: neither the unit of the scores nor their zero is left. (If yours are all 0.87
# of these, you divided by $k - 1$; it is a matter of taste.) A variance in place of the deviation would
# have made the second row ten times smaller than the first.
#
# ## What the division does to small differences
#
# Three samples score 0, the fourth a little more. **Predict before you run:** how large is the fourth one's advantage when it
# is ahead by 5, by 0.01, by 0.0001?

# %% tolerance=0.001
print("ahead by     scale=True   scale=False")
for ahead in (5.0, 0.1, 0.01, 0.001, 0.0001, 0.000001):
    row = torch.tensor([[0.0, 0.0, 0.0, ahead]])
    print(f"{ahead:<10g} {grpo_advantages(row).max():12.3f} {grpo_advantages(row, scale=False).max():13.6f}")

# %% [markdown]
# A lead of 0.01 counts 1.69, a lead of 5 counts 1.73. Only when the deviation comes near `eps`, at 0.0001, does the division
# let go. So `eps` guards against rounding noise and against nothing else. (Under the root, `eps` would let go at a deviation
# of 0.01, a hundred times earlier: the same constant in another place is another constant.)
#
# Is this good or bad? On the 128 real prompts, look at how much each of them pulls.

# %% tolerance=0.15
spread = pool_scores.std(1, unbiased=False)
pull = {"scale=False": grpo_advantages(pool_scores, scale=False), "scale=True": grpo_advantages(pool_scores)}
calm = spread.argsort()[:32]
print(f"the quarter of the prompts with the smallest spread: below {spread[calm].max():.2f}")
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, advantages), colour in zip(pull.items(), ("#1f77b4", "#d1495b")):
    size = advantages.abs().mean(1)
    ax.scatter(spread, size, s=10, color=colour, label=name)
    print(f"{name:12} gives them {size[calm].sum() / size.sum():.2f} of all advantage")
ax.set(xlabel="deviation of the four scores of a prompt", ylabel="mean size of\nits advantages")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# With the division every prompt pulls equally hard, those whose four answers hardly differ as well. Is it known which of such
# answers is the better one? Ask two other judges about the best and the worst of each four: a classifier of the same make
# that was trained on other texts, and the gold scorer, which counts words. **Predict:** how often do they agree with the reward
# model, in the quarter with the smallest spread and in the one with the largest? Guessing would give 0.5.


# %% tolerance=0.15
def ends_of(batch):
    """The rows of the best and of the worst of each four."""
    grouped = batch.scores.view(-1, 4)
    first = 4 * torch.arange(len(grouped))
    return first + grouped.argmax(1), first + grouped.argmin(1)


with borrowed():
    other = RewardWrapper(load_classifier("embedded:reward-sst2"), load_tokenizer("embedded:reward-sst2"), 64, 64)
    for name, judge in (("another classifier", other), ("gold scorer", GoldScorer())):
        verdicts = [torch.as_tensor(judge([pool.texts[row] for row in rows])) for rows in ends_of(pool)]
        agree = (verdicts[0] > verdicts[1]).float()[spread.argsort()]
        print(f"{name:18} smallest spread: {agree[:32].mean():.2f}, largest: {agree[-32:].mean():.2f}")

# %% [markdown]
# For the largest spreads the three are nearly of one mind. For the smallest, the gold scorer still agrees in most cases, the
# other classifier in little more than half. So these differences are not pure noise, but they are worth less, and GRPO
# gives them the same weight. Where a policy settles on one kind of answer, its prompts move to the left of the figure: RLOO's
# gradient shrinks there and GRPO's does not.
#
# It cuts both ways. A hard prompt, all of whose answers are bad and one a little less so, is heard as well as any other. And
# rewards of 0 and 1, with which GRPO is mostly used, have no small differences to blow up.
#
# There is a second effect. Go through the 81 batches again:

# %% tolerance=0.05
for name, advantages_of in (("scale=False", lambda r: grpo_advantages(r, scale=False)), ("scale=True", grpo_advantages)):
    print("{:12} mean {}, spread {:.2f}".format(name, *all_batches(advantages_of, 4)))

# %% [markdown]
# The truth was −0.45, 0.03, 0.42. Unscaled you see three quarters of it, as before. Scaled, the middle answer gets nearly four
# times its due: when the answer worth 8 was not drawn, the one worth 6 is the best of a batch with a small deviation, and that
# is where the division shouts. On average GRPO does not climb the mean score; to be ahead often counts for more there than to
# be ahead by much.
#
# Question: A puzzle is answered eight times, reward 1 for a right answer. What does the only right one get, what does each of
# four right ones get, and what happens when all eight are right?
#
# Answer: With one right answer of eight the mean is 1/8 and the deviation 0.33, so it gets 0.875 / 0.33 = 2.65, and each wrong
# one −0.38. With four, ±1. With eight, 0 for all, and the prompt might as well not have been in the batch: neither RLOO nor
# GRPO learns from a prompt that is always solved or never.

# %% [markdown] section="dpo"
# The third way needs neither a value head nor samples from the policy. It begins with the question what a perfect PPO would
# end with. The goal of lessons 4 to 7 was a high score and a small KL,
#
# $$\max_\pi \; \mathbb{E}_{y \sim \pi}\,[r(y)] - \beta \, \mathrm{KL}(\pi \,\|\, \pi_\text{ref}),$$
#
# with $\beta$ the `kl_coef`. Do it by hand for a prompt that has three answers. The reference gives them 0.5, 0.3 and 0.2,
# their rewards are 0, 1 and 2, and $\beta = 1$. The best policy multiplies each probability by $e^{r/\beta}$ and divides by the
# sum:
#
# | reference | reward | reference × $e^{r}$ | best policy | $\beta \log(\text{best} / \text{reference})$ |
# |---|---|---|---|---|
# | 0.5 | 0 | 0.500 | 0.179 | −1.027 |
# | 0.3 | 1 | 0.815 | 0.292 | −0.027 |
# | 0.2 | 2 | 1.478 | 0.529 | 0.973 |
#
# Look at the last column: −1.027, −0.027, 0.973. It is the reward again, less 1.027, the logarithm of the sum 2.793. So from
# the best policy one can read what it was rewarded for. Now turn that around: *any* policy is the best one for some reward,
# namely for
#
# $$\hat r(y) = \beta \log \frac{\pi(y)}{\pi_\text{ref}(y)} + \text{a constant of the prompt},$$
#
# its *implicit reward*. In lesson 3 a reward model learned from pairs by $-\log \sigma(r_\text{chosen} - r_\text{rejected})$.
# Put the implicit reward in there, and the constant falls out, because both answers belong to the same prompt:
#
# $$L = -\log \sigma\Big(\beta \big[(\log \pi(y_c) - \log \pi_\text{ref}(y_c)) - (\log \pi(y_r) - \log \pi_\text{ref}(y_r))\big]\Big).$$
#
# To fit this reward model is to train the policy. The four log-probabilities are `policy_chosen`, `ref_chosen`,
# `policy_rejected` and `ref_rejected`, those of whole responses: *sums* over their tokens. (Means in their place would divide
# each $\beta$ by the length of the response.) The bracket is the margin.
#
# One pair by hand, $\beta = 0.1$: chosen −20 under the policy and −22 under the reference, rejected −25 and −24. The chosen
# one has become likelier by 2, the rejected one less likely by 1; the margin is 2 − (−1) = 3. The loss is −log σ(0.3) = 0.554.
# Its gradient to `policy_chosen` is −0.1 · σ(−0.3) = −0.0426, and the opposite to `policy_rejected`. The factor σ(−0.3) = 0.43
# is the probability that this reward model still gives to the wrong order: pairs that are settled stop pulling.

# %% [markdown] exercise="dpo_loss" minutes=15 difficulty=2
# Return the loss, a scalar, and a dict of stats. All four log-probabilities are sums over a response, `(B,)`.
#
# What to watch for: each response is compared with *its own* reference; `beta` multiplies the whole margin, inside the sigmoid;
# the sigmoid is taken pair by pair and the mean comes last. The reference gets no gradient. The loss is finite at a margin of
# −10,000, where a sigmoid has long rounded to 0.
#
# Hint: First the two differences, policy minus reference, for the chosen and for the rejected responses. `.detach()` what
# belongs to the reference.
#
# Hint: `F.logsigmoid(x)` does not overflow; `torch.sigmoid(x).log()` is minus infinity from about −100 on.
#
# Hint: `margin = beta * (chosen - rejected)`; the loss is `-F.logsigmoid(margin).mean()`; for the stats, `accuracy` is the mean
# of `margin > 0` as a float and `reward_margin` the mean of the margin, both with `.item()`.

# %% answer="dpo_loss"
@dpo_loss.implement
def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    ### BEGIN SOLUTION
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    margin = beta * (chosen - rejected)
    stats = {"accuracy": (margin > 0).float().mean().item(), "reward_margin": margin.mean().item()}
    return -F.logsigmoid(margin).mean(), stats
    ### END SOLUTION

# %% tolerance=0.001
policy_chosen, policy_rejected = torch.tensor([-20.0], requires_grad=True), torch.tensor([-25.0], requires_grad=True)
loss, _ = dpo_loss(policy_chosen, policy_rejected, torch.tensor([-22.0]), torch.tensor([-24.0]), beta=0.1)
loss.backward()
print(f"loss {loss.item():.4f}, gradients {policy_chosen.grad.item():.4f} and {policy_rejected.grad.item():.4f}")

# %% [markdown]
# ## Does it find the best policy?
#
# Back to the three answers, with nothing but pairs: of each two answers the better one wins as often as its reward says,
# $\sigma(1) = 0.73$ for a difference of 1 and $\sigma(2) = 0.88$ for 2. Neither the rewards nor the formula of the best policy
# enter the training below. **Predict before you run:** does minimising your loss lead to 0.179, 0.292, 0.529?


# %% tolerance=0.02
ref = torch.tensor([0.5, 0.3, 0.2]).log()
rewards = torch.tensor([0.0, 1.0, 2.0])
wins = (1000 * torch.sigmoid(rewards.unsqueeze(1) - rewards)).round().long()  # of row over column, in 1000 comparisons
won, lost = torch.tensor([(a, b) for a in range(3) for b in range(3) if a != b for _ in range(wins[a, b])]).T


def best_by_pairs(ref, beta):
    """The policy over three answers that minimises your loss on all pairs."""
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        policy = logits.log_softmax(0)
        loss, _ = dpo_loss(policy[won], policy[lost], ref[won], ref[lost], beta)
        loss.backward()
        return loss

    optimizer.step(closure)
    return [round(p, 3) for p in logits.softmax(0).tolist()]


for beta in (0.3, 1.0, 10.0):
    formula = [round(p, 3) for p in (ref + rewards / beta).softmax(0).tolist()]
    print(f"beta {beta:4}: trained on pairs {best_by_pairs(ref, beta)}, by the formula {formula}")

# %% [markdown]
# It does, for each $\beta$: the price of the KL, and inside the sigmoid. A large one keeps the policy at 0.5, 0.3, 0.2; a small
# one puts nearly everything on the best answer. As a factor *outside* the logarithm it would only be a learning rate.
#
# **Now break it.** Leave the reference out, that is, hand in zeros for it. The loss is finite and falls. What does it find?

# %% tolerance=0.02
print("without a reference:", best_by_pairs(torch.zeros(3), 1.0))

# %% [markdown]
# About 0.09, 0.24, 0.67, which is $e^r$ divided by its sum: the best policy for a reference that finds all answers equally
# likely. For language that reference is one to which "the the the the" is as good as a sentence.

# %% [markdown]
# ## The same on a language model
#
# Of the four responses that the reference gave to each of the 128 openings, take the best and the worst by the reward model:
# 128 pairs. A policy is trained on them for four epochs, in minibatches of 32, which makes 16 steps. Another 64 openings are
# kept for the question in the section's title: is the policy a reward model? Its implicit reward ranks the best and the worst
# of four new responses; how often does it agree with the real one?


# %%
def new_policy():
    lm = load_causal_lm("embedded:policy")
    freeze_bottom(lm, 2)
    return PolicyWithValue(lm)


def implicit(policy, batch, rows):
    """log pi(y) - log pi_ref(y) of whole responses; times beta, the implicit reward."""
    with borrowed():
        return sequence_kl(look_up(policy, batch, rows)[0], batch.ref_logprobs[rows], batch.mask[rows])


held_out = make_prompts(load_reviews("embedded", "test").texts, tokenizer, 5, 5, seed=0, exclude=prompts)
unseen = write(reference, [prompt for prompt in held_out[-64:] for _ in range(4)], torch.Generator().manual_seed(3))


def measure(policy):
    """KL and score on 128 held-out prompts, with the 95 % interval of the score."""
    batch = write(policy, held_out[:128], torch.Generator().manual_seed(4))
    with borrowed():
        low, high = bootstrap_ci(batch.scores, generator=torch.Generator().manual_seed(0))
        kl = sequence_kl(batch.logprobs, batch.ref_logprobs, batch.mask).mean().item()
    return kl, batch.scores.mean().item(), low, high


def step(policy, optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()


# %% [markdown]
# In training, the reference's log-probabilities are already in `pool`, written down when it was sampled: the frozen copy of the
# model never runs again. `dpo_loss` wants sums, and `look_up` gives tokens, so the sum is taken under the mask.
#
# **Predict before you run:** the loss pushes chosen responses up and rejected ones down. After four epochs, has a *chosen*
# response that the policy has not been trained on become likelier?


# %% tolerance=0.3
def train_dpo(beta, epochs=4):
    """Train a new policy on the pairs of the pool; returns what was measured half-way and at the end."""
    policy, generator, points = new_policy(), torch.Generator().manual_seed(0), []
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3, betas=(0.9, 0.95))
    best, worst = ends_of(pool)
    ref_sums = (pool.ref_logprobs * pool.mask).sum(1)
    print(f"beta {beta}\n   epoch   loss   agreement: pairs   unseen pairs   log-ratio, unseen: best   worst")
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(best), generator=generator).split(32):
            both = torch.cat([best[rows], worst[rows]])
            logprobs, _ = look_up(policy, pool, both)
            chosen, rejected = (logprobs * pool.mask[both]).sum(1).chunk(2)
            ref_chosen, ref_rejected = ref_sums[both].chunk(2)
            loss, _ = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta)
            step(policy, optimizer, loss)
            total += loss.item() * len(rows) / len(best)
        if epoch % 2 == 0:
            with torch.no_grad(), borrowed():
                seen = [implicit(policy, pool, rows) for rows in ends_of(pool)]
                new = [implicit(policy, unseen, rows) for rows in ends_of(unseen)]
                agreement = [pairwise_accuracy(*each).item() for each in (seen, new)]
            print(f"{epoch:8} {total:6.2f} {agreement[0]:18.2f} {agreement[1]:14.2f} {new[0].mean():25.1f} {new[1].mean():7.1f}")
            points.append(measure(policy))
    return points


dpo_points = train_dpo(beta=0.1)

# %% [markdown]
# After two epochs all 128 pairs are ranked right. On the 64 unseen pairs the policy agrees with the reward model in about
# three of four, though it has never been shown a score: it is a reward model, of the quality that 128 pairs allow. Two more
# epochs take most of the remaining loss away and add nothing to that agreement. What they add is distance.
#
# And the chosen responses? The best of the unseen ones have become *less* likely, by several nats, and so have the worst, by
# more. Over all texts of the reference that has to be so, because their mean log-ratio is minus a KL; that it holds for the
# best as well says that the distance has outrun the preference. The loss asks for a difference, and lowering both, one faster,
# is a way to have it. What both lose goes to texts that are in no pair, and the loss does not look at those. A PPO run would
# have sampled them and had them scored.
#
# **Now break it:** the same with $\beta$ = 0.01 and with $\beta$ = 10. **Predict:** which of the two losses gets to 0, and
# which policy goes further away?

# %% tolerance=0.3
by_beta = {0.01: train_dpo(0.01), 0.1: dpo_points, 10.0: train_dpo(10.0)}
for beta, points in by_beta.items():
    print(f"beta {beta:5}: KL {points[-1][0]:5.2f}, score {points[-1][1]:5.2f}")

# %% [markdown]
# With 10, half a nat of log-ratio is a margin of 5, and σ(−5) is below 0.01: the pair is settled and stops pulling. The loss is
# 0 and the policy has stayed near. With 0.01 a pair would be settled at hundreds of nats. The loss began at log 2 =
# 0.69 and is still above 0.5 when all pairs have long been ranked right, and all of them go on pulling; the KL is the largest
# of the three, for a score that is hardly above that of 0.1.
#
# With pairs that are always ranked the same way no finite margin is enough, so here $\beta$ says when a pair lets go, and
# the number of epochs says the rest. In the example with three answers the worse one won now and then, and that is what gave
# the margin its right size.
#
# ## One training function, three advantages
#
# Now the plane. `train` is the loop of lesson 7 with most of its knobs taken off: 8 updates, each with 16 new prompts of 4
# samples, the KL penalty in the rewards, two minibatches of 32. That makes 512 samples and 16 steps, as many as DPO has had,
# at the same learning rate. What turns rewards into advantages is handed in.


# %%
def train(make_advantages, seed=0):
    """Train a new policy by make_advantages(rewards, values, mask); returns what was measured half-way and at the end."""
    policy, generator, points = new_policy(), torch.Generator().manual_seed(seed), []
    parameters = [{"params": policy.lm.parameters()}, {"params": policy.value_head.parameters(), "lr": 1e-2}]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, betas=(0.9, 0.95))
    for update in range(8):
        batch = write(policy, [p for p in prompts[update * 16 : update * 16 + 16] for _ in range(4)], generator)
        with borrowed(), torch.no_grad():
            values = look_up(policy, batch)[1]
            rewards = shape_rewards(batch.scores, batch.logprobs, batch.ref_logprobs, batch.mask, kl_coef=0.1)
        advantages, returns = make_advantages(rewards, values, batch.mask)
        for rows in torch.randperm(64, generator=generator).split(32):
            logprobs, values = look_up(policy, batch, rows)
            with borrowed():
                loss, _ = policy_loss(logprobs, batch.logprobs[rows], advantages[rows], batch.mask[rows], clip_range=0.2)
                if returns is not None:
                    loss = loss + 0.01 * masked_mean((values - returns[rows]).square(), batch.mask[rows])
            step(policy, optimizer, loss)
        if update in (3, 7):
            points.append(measure(policy))
    return points


def by_ppo(rewards, values, mask):
    with borrowed():
        advantages, returns = compute_gae(rewards, values, mask, gamma=1.0, lam=0.95)
        return masked_whiten(advantages, mask), returns


def by_rloo(rewards, values, mask):  # one number for each response, the same for all its tokens; no value head
    return rloo_advantages(rewards.sum(1).view(-1, 4)).view(-1, 1).expand_as(rewards), None


def by_grpo(rewards, values, mask):
    return grpo_advantages(rewards.sum(1).view(-1, 4)).view(-1, 1).expand_as(rewards), None


# %% [markdown]
# PPO has an advantage for each token, by the value head and $\lambda$. RLOO and GRPO have one number for a whole response: they
# sum its rewards, KL penalty included, compare the sum with those of its siblings, and every token gets the result. (The GRPO
# paper keeps the KL out of the advantage and adds it to the loss. Here it is in the rewards for all three, so that one line
# makes the whole difference.) PPO runs twice, with two seeds.
#
# **Predict before you run:** which of the three will come out best? And will you be able to tell?

# %%
curves = {"PPO": train(by_ppo), "PPO, another seed": train(by_ppo, seed=1)}
curves |= {"RLOO": train(by_rloo), "GRPO": train(by_grpo), "DPO": dpo_points}

# %% [markdown]
# Best-of-n answers eight times and keeps the best; groups of two and four are cut from the same responses. Its KL needs no
# model: it is the formula of lesson 8.

# %% tolerance=0.3
many = write(reference, [prompt for prompt in held_out[:128] for _ in range(8)], torch.Generator().manual_seed(5))
grouped, best_points = many.scores.view(128, 8), []
for n in (1, 2, 4, 8):
    with borrowed():
        kept = grouped.gather(1, best_of_n(grouped, n)).mean(1)
        low, high = bootstrap_ci(kept, generator=torch.Generator().manual_seed(0))
        best_points.append((best_of_n_kl(n), kept.mean().item(), low, high))
start, *curves["best of 2, 4, 8"] = best_points
for name, points in {"untrained": [start], **curves}.items():
    print(f"{name:18}", "   ".join("KL {:.2f}, score {:.2f} ({:.2f} to {:.2f})".format(*point) for point in points))

# %% result="Score against KL: PPO, RLOO, GRPO and DPO rise to the right near one another, best-of-n is higher at a fraction of the KL"
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
styles = (("#1f77b4", "-"), ("#1f77b4", ":"), ("#d1495b", "-"), ("#8a8f98", "-"), ("#b8860b", "-"), ("black", "-"))
for (name, points), (colour, line) in zip(curves.items(), styles):
    kl, mean, low, high = torch.tensor([start, *points]).T
    ax.errorbar(kl, mean, torch.stack([mean - low, high - mean]), fmt="o", linestyle=line, color=colour, elinewidth=0.8, label=name)
ax.plot(*start[:2], "o", color="#8a8f98", markersize=10, zorder=5)
ax.set(xlabel="KL from the reference (nats a response)", ylabel="mean score, held-out prompts")
ax.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# The bars are 95 % intervals of the score. What the picture shows:
#
# - The four that train lie near one curve; where their bars can be compared they overlap. They differ in how far along it 16
#   steps took them, and the two blue lines, which differ in nothing but the seed, end further apart than PPO and GRPO do. **Runs
#   as short as these rank nothing.** A ranking takes many seeds, a tuned learning rate for each method, and long runs.
# - DPO gets as far as the others without a sample of its own, and its second half buys less than its first: the samples are
#   those of the reference, and the further the policy is from it, the less they say about what it writes now.
# - PPO's value head begins at 0 and has seen 512 responses when the run ends. There is no worse moment to judge a baseline
#   that is learned.
# - Best-of-n is far above all of them: a score of 1 at a KL of about 1. It pays otherwise, with eight responses for every
#   answer, for good, and it climbs with the logarithm of n. For a KL of 6 it would need a thousand. A trained policy pays
#   once.
#
# Compare heights at the same KL, or not at all. The run that went furthest has the highest score, and by lesson 8 the
# best prospects of having begun to fool the reward model.
#
# **Try it:** give `by_grpo` the argument `scale=False` for its `grpo_advantages`. Which of the curves should it then resemble?

# %% [markdown] section="library"
# You have written the reward, the advantages and the loss. In practice one calls a library, and it is worth knowing that it
# contains the same functions. TRL has had no PPO trainer since version 1.13; RLOO and GRPO are there, and your reward wrapper
# fits in. The names are others:
#
# | here | in TRL's `RLOOConfig` | in `GRPOConfig` |
# |---|---|---|
# | samples of a prompt | `num_generations`, 2 | `num_generations`, 8 |
# | `kl_coef` | `beta`, 0.05: k1 in the reward | `beta`, 0: no reference at all; above 0, k3 in the loss |
# | `scale` | does not divide | `scale_rewards`, "group"; "none" is your `scale=False` |
# | `clip_range` | `epsilon`, 0.2 | `epsilon`, 0.2 |
# | `learning_rate` | 1e-6 | 1e-6 |
#
# The numbers are the defaults of version 1.16. Others are meant for a large model on a GPU: `bf16` and
# `gradient_checkpointing` are True, and `max_completion_length` is 512. On a CPU you switch the first two off and set the
# third. With a `beta` above 0 the reference is loaded anew from where the policy came from, so the policy is saved to disk
# first.
#
# The reward is a function that gets lists and returns a list of floats, one for each completion. Three steps with 4 prompts of
# 4 samples each are enough to look inside. All openings have five tokens, so that nothing is padded.


# %%
def in_trl(method, **options):
    """Three steps of a TRL trainer with your wrapper as its reward; returns texts, rewards and advantages of each batch."""
    import trl
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback

    def reward(prompts, completions, completion_ids, **columns):
        with borrowed():
            return score([prompt + completion for prompt, completion in zip(prompts, completions)]).tolist()

    class Keep(TrainerCallback):
        def on_step_end(self, *_, **__):
            logs = trainer._logs  # the last batch; private, so another version may keep it elsewhere
            texts = [prompt + completion for prompt, completion in zip(logs["prompt"], logs["completion"])]
            batches.append((texts, torch.tensor(logs["rewards"]["reward"]), torch.tensor(logs["advantages"])))

    batches = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        reference.save_pretrained(folder)
        config = getattr(trl, f"{method}Config")(
            output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", save_strategy="no",
            disable_tqdm=True, max_steps=3, per_device_train_batch_size=16, num_generations=4, max_completion_length=16,
            learning_rate=1e-3, seed=0, **options,
        )  # fmt: skip
        trainer = getattr(trl, f"{method}Trainer")(
            model=load_causal_lm(folder), reward_funcs=reward, args=config, processing_class=tokenizer, callbacks=[Keep()],
            train_dataset=Dataset.from_dict({"prompt": [tokenizer.decode(prompt) for prompt in prompts[:12]]}),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return batches


# %% [markdown]
# **Predict before you run:** the rewards that TRL reports have to be those of your wrapper, called directly. Will the
# advantages be yours, too, in the first batch and in the later ones?

# %% tolerance=0.1
if importlib.util.find_spec("trl") is None:
    print("TRL is not installed here, so this part is left out; all else works without it. To have it:")
    print("%pip install trl==1.16.0, in a cell of its own. Then restart the kernel, as it replaces libraries that are in use,")
    print("and begin at the top: your answers are kept.")
else:
    print("                     rewards: largest   advantages: largest   theirs / yours,")
    print("            batch          difference            difference            median")
    runs = (("RLOO", rloo_advantages, {}), ("RLOO", rloo_advantages, {"beta": 0.0}), ("GRPO", grpo_advantages, {}))
    for method, advantages_of, options in runs:
        for number, (texts, rewards, theirs) in enumerate(in_trl(method, **options), 1):
            with borrowed():
                apart = (score(texts) - rewards).abs().max()
            yours = advantages_of(rewards.view(-1, 4)).flatten()
            name = f"{method}{', beta 0' if options else ''}"
            print(f"{name:12}{number:5}{apart:20.6f}{(theirs - yours).abs().max():22.4f}{(theirs / yours).median():18.3f}")

# %% [markdown]
# The rewards are those of your wrapper, to the last digit.
#
# RLOO's advantages are yours in the first batch and not in the later ones. The second run says why: with `beta` = 0 they are
# yours throughout. TRL takes the KL penalty off the reward before it compares, as you did when you summed the output of
# `shape_rewards`; in the first batch the policy is still its reference and there is nothing to take off.
#
# GRPO's are all 0.866 of those of the reference answer, which is $\sqrt{3/4}$: TRL's deviation divides by $k - 1$, where the
# reference answer divides by $k$. (If yours divides by $k - 1$, you see 1.000.) In a training run Adam swallows such a factor.
# What it does not swallow is a `beta` of 0: by default GRPO in TRL has no KL penalty at all.
#
# ## What you take along
#
# - A baseline need not be learned: the other samples of the same prompt will do. Leave the sample itself out, and keep to its
#   row.
# - Dividing by the deviation of the group makes all prompts pull alike, the noisy ones as well.
# - A policy and its reference *are* a reward model, β log(π / π_ref), up to a constant of the prompt. DPO fits that one to pairs
#   and samples nothing; it knows only the texts in its pairs.
# - Compare methods at the same KL, with more than one seed, and with best-of-n in the picture.
#
# Question: You have a reward model, and generating is cheap. A colleague has ten thousand pairs and no reward model. Another
# one has puzzles whose answers can be checked. Which of the methods for whom?
#
# Answer: With a reward model and cheap samples, best-of-n first, because it sets the mark and shows what the reward model
# likes; then RLOO or PPO. With pairs alone, DPO: there is nothing to score a new sample with, unless you train a reward model
# as in lesson 3. With answers that can be checked, RLOO or GRPO with a reward of 0 or 1: no reward model, nothing to hack but
# the checker.

# %% [markdown]
# To read: Ahmadian et al. 2024, [Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in
# LLMs](https://arxiv.org/abs/2402.14740), equation 8 for the leave-one-out baseline. Shao et al. 2024,
# [DeepSeekMath](https://arxiv.org/abs/2402.03300), section 4.1, where GRPO was introduced; Liu et al. 2025, [Understanding
# R1-Zero-Like Training](https://arxiv.org/abs/2503.20783), on what the division does. Rafailov et al. 2023, [Direct Preference
# Optimization: Your Language Model is Secretly a Reward Model](https://arxiv.org/abs/2305.18290): equation 4 is the best
# policy, 5 the implicit reward, 7 your `dpo_loss`.
