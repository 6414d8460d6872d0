# %% [markdown]
# ## What you will have at the end
#
# A policy that you have tuned with your own PPO, and an honest answer to the question whether it got better. On the left and in
# the middle the run, update by update; on the right the same held-out prompts answered before and after, with 95 % confidence
# intervals.
#
# PICTURE
#
# Six lessons of functions go into one loop. Then comes the part that most reports leave out: how sure you can be of the
# difference, how often the new policy beats the old one on the same prompt, and what the reward has cost in nats.

# %%
import time

import torch
from matplotlib import pyplot as plt

import rlhf_core
from autograder import check
from rlhf_core.advantages import compute_gae, masked_mean, masked_whiten
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.evaluate import bootstrap_ci, evaluate_policy, sequence_kl, win_rate
from rlhf_core.kl import shape_rewards
from rlhf_core.loop import LoopConfig, Rollout, TrainingState, rlhf_loop
from rlhf_core.models import PolicyWithValue, freeze, freeze_bottom, load_causal_lm, load_classifier, load_tokenizer
from rlhf_core.padding import join, left_pad, position_ids, response_texts
from rlhf_core.policy import response_logprobs, sample_response
from rlhf_core.ppo import ppo_step
from rlhf_core.rewards import RewardWrapper
from rlhf_core.widgets import Dashboard, playground

tokenizer = load_tokenizer("embedded:policy")
reference = freeze(load_causal_lm("embedded:policy"))
with rlhf_core.use("mine", otherwise="reference"):
    reward = RewardWrapper(load_classifier("embedded:reward-imdb"), load_tokenizer("embedded:reward-imdb"), 128, 64)

# %% [markdown] section="loop"
# You have a sampler, a reward, a penalty, advantages and a step. What is missing is the order in which they are called, and who
# gets which numbers. Do one update on paper, with a batch of two responses of three tokens; the second one ended after two.
#
# | step | function | in | out |
# |---|---|---|---|
# | sample | `sample_response` | prompts | `tokens`, `logprobs`, `mask`, each (2, 3) |
# | score | `reward_fn` | the two whole texts | 1.2 and −0.4: (2,) |
# | look up | `response_logprobs(reference, ...)` | the same tokens | `ref_logprobs` (2, 3) |
# | look up | the policy's value head | the same tokens | `values` (2, 3) |
# | shape | `shape_rewards` | scores, both log-probabilities, `kl_coef` | `rewards` (2, 3): the penalty on five tokens, 1.2 and −0.4 on the last of each |
# | credit | `compute_gae`, `masked_whiten` | rewards, values | `advantages`, `returns` (2, 3) |
# | step | `ppo_step` | all of it, as a `Rollout` | the policy has changed |
# | steer | `AdaptiveKLController.update` | the mean sequence KL | `kl_coef` for the next update |
#
# Then again from the top, with *new* responses from the changed policy. Nothing of the old batch may survive: its
# log-probabilities belong to a policy that is gone.
#
# The reward reads text, not token ids: prompt and response together, because "not" in a prompt changes what "good" in the
# response means. The two models have different tokenizers, and text is the only language that they share.
#
# Question: The value head sits on the policy. When are the values of a batch computed: before the step or after it?
#
# Answer: Before. Advantages compare what came with what was expected when the tokens were chosen; after the step the
# expectation has already been moved towards what came.

# %% [markdown] section="reference"
# The reference is the policy as it was before training, and it stays so. That is worth a test, because one line undoes it:
# `reference = policy` is no copy. Then both change together, every log-ratio is 0, the penalty vanishes, and the KL curve
# reads a perfect 0.00 while the policy runs away.

# %%
policy = PolicyWithValue(load_causal_lm("embedded:policy"))
freeze_bottom(policy.lm, 2)
print("same object:", policy.lm is reference)
print("parameters of the reference that take a gradient:", sum(p.requires_grad for p in reference.parameters()))
trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
print(f"parameters of the policy that do: {trained:,} of {sum(p.numel() for p in policy.parameters()):,}")

# %% [markdown]
# The embeddings and the two lower blocks are frozen. Adam moves every weight that it is given by about the learning rate,
# whether its gradient is signal or noise; what is frozen cannot drift, so the same reward costs less KL. It is also faster.

# %% [markdown] exercise="rlhf_loop" minutes=40 difficulty=3
# Write the loop. `TrainingState(policy, config)` brings the optimizer, the KL coefficient (`state.kl_coef`, and
# `state.controller` where `config.target_kl` is set), the generator (`state.generator`), and `state.next_prompts(prompts)`.
# Return a list with one dict an update, with at least `reward` (the mean score) and `kl` (the mean of your `sequence_kl`), and
# call `callback(state, stats)` after each update if there is one. Functions of this lesson that you write further down, and of
# earlier lessons that you have not done, are borrowed when you train below, if your edition of the course has the answers.
#
# What to watch for: the policy samples in evaluation mode; `values` are those at the places *before* the response's tokens, the
# shift of lesson 1; the coefficient that shapes the rewards is the one from before the controller hears of this batch; the
# history reports the scores as they came, not the shaped rewards; `kl` keeps its sign.
#
# Hint: The table above is the body of the loop, line by line. `while state.update < config.n_updates:` is its head,
# `state.anneal()` its first line, and `state.update += 1` stands near its end, before the callback.
#
# Hint: Texts: `tokenizer.batch_decode` of the prompts without their padding, plus `response_texts(tokenizer, tokens, mask)`.
# One input for both models: `input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)`.
#
# Hint: Under `torch.no_grad()`: `response_logprobs(reference, input_ids, attention_mask, T, config.temperature)`, and
# `policy(input_ids=..., attention_mask=..., position_ids=position_ids(attention_mask)).values[:, -T - 1 : -1]`. Then
# `Rollout(prompt_ids, prompt_mask, tokens, mask, logprobs, values, advantages, returns)` for `ppo_step`, with `state.optimizer`
# and `state.generator`.

# %% answer="rlhf_loop"
@rlhf_loop.implement
def rlhf_loop(policy, reference, reward_fn, prompts, config, callback=None):
    ### BEGIN SOLUTION
    state, tokenizer = TrainingState(policy, config), config.tokenizer
    reference.eval()
    while state.update < config.n_updates:
        state.anneal()
        kl_coef, started = state.kl_coef, time.perf_counter()

        # 1. The policy answers a batch of prompts. Dropout is off: the ratio of new to old has to begin at exactly 1.
        policy.eval()
        prompt_ids, prompt_mask = left_pad(state.next_prompts(prompts), tokenizer.pad_token_id, policy.device)
        tokens, logprobs, mask = sample_response(
            policy, prompt_ids, prompt_mask, config.max_new_tokens, config.temperature, tokenizer.eos_token_id, state.generator
        )
        sampled = time.perf_counter()

        # 2. The whole texts are scored, and every token is looked up under the reference and the value head.
        prompt_texts = tokenizer.batch_decode([row[keep] for row, keep in zip(prompt_ids, prompt_mask.bool(), strict=True)])
        texts = [p + r for p, r in zip(prompt_texts, response_texts(tokenizer, tokens, mask), strict=True)]
        scores = reward_fn(texts).to(policy.device)
        length = tokens.shape[1]
        input_ids, attention_mask = join(prompt_ids, prompt_mask, tokens, mask)
        with torch.no_grad():
            ref_logprobs = response_logprobs(reference, input_ids, attention_mask, length, config.temperature)
            out = policy(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids(attention_mask))
            values = out.values[:, -length - 1 : -1]

        # 3. Rewards, advantages, returns.
        rewards = shape_rewards(scores, logprobs, ref_logprobs, mask, kl_coef)
        advantages, returns = compute_gae(rewards, values, mask, config.gamma, config.lam)
        if config.whiten_advantages:
            advantages = masked_whiten(advantages, mask)
        scored = time.perf_counter()

        # 4. The PPO step, and the KL coefficient for the next update.
        rollout = Rollout(prompt_ids, prompt_mask, tokens, mask, logprobs, values, advantages, returns)
        stats = ppo_step(policy, state.optimizer, rollout, config, state.generator)
        kl = sequence_kl(logprobs, ref_logprobs, mask).mean().item()
        if state.controller is not None:
            state.controller.update(kl, len(tokens))

        # 5. The record of this update.
        state.update += 1
        variance_left = masked_mean((returns - values).square(), mask) - masked_mean(returns - values, mask).square()
        variance = masked_mean(returns.square(), mask) - masked_mean(returns, mask).square()
        stats |= {
            "update": state.update,
            "reward": scores.mean().item(),
            "kl": kl,
            "kl_coef": kl_coef,
            "length": mask.sum(1).float().mean().item(),
            "explained_variance": (1 - variance_left / variance.clamp(min=1e-8)).item(),
            "seconds_sampling": sampled - started,
            "seconds_scoring": scored - sampled,
            "seconds_step": time.perf_counter() - scored,
        }
        state.history.append(stats)
        if callback is not None:
            callback(state, stats)
    return state.history
    ### END SOLUTION

# %% [markdown]
# Train. 30 updates of 128 responses to the first five tokens of real reviews take about a minute on a quiet laptop. The stop
# button, or the kernel's own, ends the run with what it has. (`await` is there for the button: your loop computes beside the
# notebook, which stays awake for clicks.) While it runs, the curves and three samples are drawn anew every five updates.
# Without a kernel, this is what it looks like at the end:
#
# ![A stop button; below it six curves over 30 updates: reward and sequence KL rise, the entropy stays near 4; then three samples full of praise](docs/dashboard.png)
#
# **Predict before you run:** the mean score begins near 0, half of the texts being positive. Where does it end? Does the KL
# rise from the first update on, or only once the reward has?

# %%
train_reviews, test_reviews = load_reviews("embedded", "train"), load_reviews("embedded", "test")
prompts = make_prompts(train_reviews.texts, tokenizer, min_tokens=5, max_tokens=5, seed=0)
config = LoopConfig(
    tokenizer=tokenizer, n_updates=30, batch_size=128, minibatch_size=64, ppo_epochs=1, max_new_tokens=20,
    learning_rate=5e-4, warmup_updates=2, value_clip_range=1.0, value_coef=0.01, entropy_coef=0.02,
    init_kl_coef=0.1, target_kl=6.0, kl_horizon=4000, lam=1.0, seed=0,
)  # fmt: skip

with rlhf_core.use("mine", otherwise="reference"):
    dashboard = Dashboard(tokenizer, "This movie", config.n_updates)
    history = await dashboard.watch(rlhf_loop, policy, reference, reward, prompts, config)

# %% tolerance=0.3
for update, row in enumerate(history, 1):
    if update == 1 or update % 10 == 0:
        print(f"update {update:2}: mean score {row['reward']:.2f}, sequence KL {row['kl']:.2f}")

# %% [markdown]
# The score rises from the first updates on, and the KL with it. There is no free reward: to write other texts, the policy has
# to leave the reference. What the curves do not say is whether *new* prompts profit, and how much of the last number is luck.

# %% [markdown] section="evaluation"
# Four rules make an evaluation honest:
#
# 1. **Held-out prompts.** None of them was in training. `make_prompts(..., exclude=prompts)` sees to it.
# 2. **The same decoding before and after**: temperature 1, nothing cut off. A colder temperature alone makes texts look better.
# 3. **Many prompts, and an interval.** One sample against one sample is an anecdote.
# 4. **The cost beside the gain**: the KL, and some texts to read, the worst ones too.

# %%
held_out = make_prompts(test_reviews.texts, tokenizer, 5, 5, seed=0, exclude=prompts)[:256]
with rlhf_core.use("mine", otherwise="reference"):
    scorers = {"score": reward, "p_positive": lambda texts: reward(texts).sigmoid()}
    before = evaluate_policy(reference, reference, scorers, held_out, tokenizer, 20, seed=0)
    after = evaluate_policy(policy, reference, scorers, held_out, tokenizer, 20, seed=0)
for row in (0, 1, 2):
    print(f"{before.prompts[row]}\n  before: {before.responses[row]}\n  after:  {after.responses[row]}")

# %% [markdown] section="intervals"
# How sure is a mean? Suppose five scores: 0, 0, 1, 2, 7. Their mean is 2. Had you drawn five other texts, it would be another
# one. You cannot draw them, but you can draw from what you have: five scores *with replacement*, such as 0, 2, 2, 7, 1, whose
# mean is 2.4. Do that 2,000 times, sort the means, and cut 2.5 % off at either end. What is left is the *percentile bootstrap*
# interval, here from 0.2 to 4.6.
#
# It needs no bell curve: the interval reaches further on the side of the 7, where the data do.
#
# With $n$ scores its width falls like $1 / \sqrt{n}$. It is *not* the spread of the scores: of 256 texts the standard deviation
# is 16 times as large as the standard error of their mean.

# %% [markdown] exercise="bootstrap_ci" minutes=15 difficulty=2
# Return `(low, high)`: the percentile interval of the mean of `x` `(N,)` at `level`, from `n_resamples` resamples.
#
# What to watch for: each resample has as many values as `x`, drawn with replacement; all randomness comes from `generator`; the
# two ends cut off equal shares, `(1 - level) / 2` each.
#
# Hint: `torch.randint` draws all indices at once: how many rows and columns do you need?
#
# Hint: `x[indices].mean(1)` are the means of all resamples.
#
# Hint: `torch.quantile` takes two probabilities at once, `(1 - level) / 2` and `(1 + level) / 2`.

# %% answer="bootstrap_ci"
@bootstrap_ci.implement
def bootstrap_ci(x, level=0.95, n_resamples=2000, generator=None):
    ### BEGIN SOLUTION
    device = generator.device if generator is not None else x.device
    draws = torch.randint(len(x), (n_resamples, len(x)), generator=generator, device=device).to(x.device)
    means = x[draws].mean(1)
    tail = (1 - level) / 2
    return means.quantile(tail).item(), means.quantile(1 - tail).item()
    ### END SOLUTION

# %% tolerance=0.15
generator = torch.Generator().manual_seed(0)
low, high = bootstrap_ci(torch.tensor([0.0, 0.0, 1.0, 2.0, 7.0]), generator=generator)
print(f"by hand: {float(low):.1f} to {float(high):.1f}")
for name, evaluation in (("before", before), ("after", after)):
    low, high = bootstrap_ci(evaluation.scores["p_positive"], generator=generator)
    print(f"P(positive) {name:6}: {evaluation.scores['p_positive'].mean():.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# The intervals are far apart. **Now break it:** take the first 8 prompts alone. By which factor do you expect the intervals to
# widen?

# %% tolerance=0.3
for name, evaluation in (("before", before), ("after", after)):
    few = evaluation.scores["p_positive"][:8]
    low, high = bootstrap_ci(few, generator=generator)
    print(f"8 prompts, {name:6}: {few.mean():.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# 256 is 32 times 8, so about by $\sqrt{32} = 5.7$, give or take what 8 texts can tell about their own spread. Many published
# comparisons rest on fewer.

# %% [markdown] section="wins"
# Two means may hide who won. Scores before: 1, 1, 1; after: 0, 0, 9. The mean tripled, and two texts of three got worse. So
# compare prompt by prompt: a win counts 1, a loss 0, and a tie one half, because nothing was gained or lost. Here the win rate
# is 1/3.
#
# A tie must be a half. If it were 0, a policy that changed nothing would lose to itself every time; if it were 1, it would win.

# %% [markdown] exercise="win_rate" minutes=5 difficulty=1
# `after` and `before` are `(N,)`, one score a prompt, in the same order. Return the share of wins of `after`, ties being half.
#
# What to watch for: the result is a number of the dtype of the scores, or a plain Python float.
#
# Hint: Two comparisons, `after > before` and `after == before`.
#
# Hint: Comparisons give bools. Turn them into numbers before you add one half of them.
#
# Hint: The mean over prompts of (win + half a tie).

# %% answer="win_rate"
@win_rate.implement
def win_rate(after, before):
    ### BEGIN SOLUTION
    wins, ties = (after > before).to(after.dtype), (after == before).to(after.dtype)
    return (wins + 0.5 * ties).mean()
    ### END SOLUTION

# %% tolerance=0.1
print(f"three texts by hand: {float(win_rate(torch.tensor([0.0, 0, 9]), torch.tensor([1.0, 1, 1]))):.2f}")
print(f"after against before: {float(win_rate(after.scores['score'], before.scores['score'])):.2f}")
print(f"before against itself: {float(win_rate(before.scores['score'], before.scores['score'])):.2f}")

# %% [markdown] section="sequence-kl"
# The last number is the price. The KL of a response is the *sum* of its tokens' log-ratios, because the probability of a
# response is the product of its tokens'. By hand, three tokens: the policy gives log-probabilities −1.0, −0.5, −2.0, the
# reference −1.2, −1.5, −1.8. The log-ratios are 0.2, 1.0 and −0.2, their sum is 1.0 nat: the policy is $e^1 = 2.7$ times as
# likely to write this response as the reference is.
#
# $$\mathtt{sequence\_kl} = \sum_t \log \pi(a_t \mid s_t) - \log \pi_\text{ref}(a_t \mid s_t)$$
#
# A single one may be negative, and the third token's is. Keep the sign: the mean over many responses is what estimates the KL,
# and it needs the negative ones. And report the sum, not the mean over tokens: 6 nats a response sound like 0.3 a token, and
# the confusion of the two has cost people weeks.

# %% [markdown] exercise="sequence_kl" minutes=5 difficulty=1
# Return one number a response `(B,)`: the sum of `logprobs - ref_logprobs` over the True tokens, sign kept.
#
# What to watch for: what stands on padding does not count, however large it is; an empty response has 0.
#
# Hint: A difference, a mask, a sum over one dimension.
#
# Hint: `torch.where(mask, difference, 0.0)` is safe whatever the padding holds.
#
# Hint: Which dimension is time? The result has one number for each row.

# %% answer="sequence_kl"
@sequence_kl.implement
def sequence_kl(logprobs, ref_logprobs, mask):
    ### BEGIN SOLUTION
    return (logprobs - ref_logprobs).masked_fill(~mask, 0.0).sum(-1)
    ### END SOLUTION

# %% tolerance=0.3
by_hand = sequence_kl(torch.tensor([[-1.0, -0.5, -2.0]]), torch.tensor([[-1.2, -1.5, -1.8]]), torch.ones(1, 3, dtype=torch.bool))
print(f"by hand: {by_hand.item():.1f}")
low, high = bootstrap_ci(after.sequence_kl, generator=generator)
print(f"after training: {after.sequence_kl.mean():.1f} nats a response ({low:.1f} to {high:.1f})")

# %% result="Left: mean score and KL rise over 30 updates. Middle: entropy and clip fraction. Right: P(positive) before and after, with intervals"
updates = range(1, len(history) + 1)
figure, axes = plt.subplots(1, 3, figsize=(9, 2.9), layout="constrained")
axes[0].plot(updates, [row["reward"] for row in history], color="#1f77b4", label="mean score")
axes[0].plot(updates, [row["kl"] for row in history], color="#d1495b", label="sequence KL, nats")
axes[1].plot(updates, [row.get("entropy", float("nan")) for row in history], color="#1f77b4", label="entropy, nats a token")
axes[1].plot(updates, [10 * row.get("clip_fraction", float("nan")) for row in history], color="#b8860b", label="10 x clip fraction")
for ax in axes[:2]:
    ax.set(xlabel="update", ylim=(0, None))
    ax.legend(frameon=False, fontsize=8)
for place, (name, evaluation) in enumerate((("before", before), ("after", after))):
    p = evaluation.scores["p_positive"]
    low, high = bootstrap_ci(p, generator=torch.Generator().manual_seed(0))
    axes[2].bar(place, p.mean(), color="#8a8f98" if name == "before" else "#1f77b4", width=0.6)
    axes[2].plot([place, place], [low, high], color="#222222")
axes[2].set(xticks=[0, 1], xticklabels=["before", "after"], ylim=(0, 1), ylabel="P(positive), held-out prompts")
plt.show()

# %% [markdown]
# Look at the middle panel. The entropy stays near 4 nats: the policy says other things, in as many ways as before. And the
# clip fraction is 0 in every update. With one epoch of two minibatches no ratio gets as far as 0.8 or 1.2, and the clip that
# you wrote in lesson 6 has nothing to do: what holds this policy is a small learning rate, and the price of the KL. **Try
# it:** with `ppo_epochs=4` nearly one token in ten is outside the clip in the first update, and score and KL both rise faster.
#
# Read before you believe. Type a prompt, and look for what the number does not show: the same word in every text, praise that
# no longer fits the prompt, shorter sentences. Without a kernel, here is one that the policy did not want to hear:
#
# ![A prompt, "The worst", a temperature and a seed; below, three continuations before training, mostly angry, and three after it, full of praise](docs/playground.png)

# %%
with rlhf_core.use("mine", otherwise="reference"):
    shown = playground({"before": reference, "after": policy}, tokenizer)
shown

# %% [markdown]
# ## What you take along
#
# - The loop is a table of eight calls. Samples are used once, the reference is only read, values are taken before the step.
# - Held-out prompts, the same plain decoding, many prompts, an interval, and the KL beside every reward.
# - The bootstrap asks what the mean would have been with other texts; the win rate compares prompt by prompt.
# - The KL of a response is a sum over its tokens, with its sign.
#
# Question: Your run reports a mean KL of −0.4 over 256 responses. What has happened?
#
# Answer: The samples do not come from the policy whose log-probabilities you report. Under plain sampling the mean of k1 is
# the KL, which cannot be negative; a mean of −0.4 over 256 responses is far outside its noise. Look for top-k, a temperature
# that is in one place and not in the other, or a shift.
#
# %% [markdown] question="convince_a_sceptic" minutes=10
# Somebody who has seen many curves go up does not believe that your policy has become better at writing positive reviews. Go
# through what *your* run of this lesson has shown, with its numbers. Name one figure or table that should convince them and
# say what makes it evidence; one that looks convincing and is not, with the reason; and one objection that nothing in this
# lesson answers, with what you would measure to answer it. Five to eight sentences.
#
# Rubric: *A model answer.* (The numbers are those of the learner's own run.) The comparison on held-out prompts convinces:
# P(positive) from 0.50 (0.48 to 0.53) to 0.78 (0.76 to 0.80), both by the same plain sampling at temperature 1, with intervals
# that do not touch, on 256 prompts that were not trained on; the win rate of 0.95 says the same prompt by prompt. The curve of the mean score
# does not: it is measured on training prompts, by the very reward that is optimised, from the samples that were trained on;
# nor do three continuations that were picked by hand. Not answered: whether the texts are better or only better liked by this
# one reward model. That takes a judge that was not trained against (another scorer, or people who do not know which text is
# which), and the texts beside the KL: the same few phrases would raise the score as well.
#
# Rubric: *2 points:* all three parts, each with a reason and at least one number of their own run; the objection is about the
# judge, the diversity of the texts, or other seeds. *1 point:* two of the parts with reasons, or all three without a number.
# *0 points:* takes the rising training curve for evidence.

# %% [markdown]
# To read: Ziegler et al. 2019 ([arXiv 1909.08593](https://arxiv.org/abs/1909.08593)), section 2, for the loop and its
# controller; Efron and Tibshirani, *An Introduction to the Bootstrap*, for the percentile interval.
