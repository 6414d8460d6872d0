# %% [markdown]
# ## What you will have at the end
#
# A reward model with one weakness, two ways to exploit it, and a second scorer that watches. On the left the *proxy*, the
# score that is optimised; on the right the *gold* score, which nobody optimises. Both stand against the square root of the KL,
# how far the texts have moved away from the reference. The short line takes the best of n samples, with no training at all;
# the long one is your PPO, and the numbers on it are updates. Look where it goes on the left while it falls on the right.
#
# PICTURE
#
# You will write best-of-n and its price in KL. Then you read 45 lines of code that ran, printed rewards and learned nothing,
# find its nine faults, and mend them.

# %%
import codecs
import math

import torch
from matplotlib import pyplot as plt

import rlhf_core
from autograder import check
from autograder.hunt import inspect_recipe
from rlhf_core.best_of_n import best_of_n, best_of_n_kl
from rlhf_core.data import load_reviews, make_prompts
from rlhf_core.evaluate import evaluate_policy, win_rate
from rlhf_core.gold import GoldScorer
from rlhf_core.loop import LoopConfig, rlhf_loop
from rlhf_core.models import PolicyWithValue, freeze, load_causal_lm, load_classifier, load_tokenizer
from rlhf_core.padding import left_pad, response_texts
from rlhf_core.policy import response_logprobs, response_mask, sample_response
from rlhf_core.rewards import RewardWrapper, length_bonus

tokenizer = load_tokenizer("embedded:policy")
reference = freeze(load_causal_lm("embedded:policy"))
with rlhf_core.use("mine", otherwise="reference"):
    sentiment = RewardWrapper(load_classifier("embedded:reward-imdb"), load_tokenizer("embedded:reward-imdb"), 128, 64)

# %% [markdown]
# ## The problem: a score is not what you want
#
# What you want is praise that a reader would believe. What you have is a score. Suppose that the people who labelled the
# preferences were carried away by enthusiasm: of two texts they preferred the one with more exclamation marks. A reward model
# trained on their clicks has learned that, too. So that you know exactly what is wrong with it, the weakness is put in by hand
# here: the sentiment of lesson 2, and one point for each "!". That is the proxy.
#
# The gold score comes from another kind of model, a logistic regression over words and pairs of words, trained on whole
# reviews. It does not read punctuation at all. Its log-odds are used, because a probability stops moving near 1.


# %%
def proxy(texts):
    with rlhf_core.use("mine", otherwise="reference"):
        return sentiment(texts) + torch.tensor([float(text.count("!")) for text in texts])


def gold(texts, scorer=GoldScorer()):
    return torch.logit(torch.as_tensor(scorer(texts)).clamp(1e-6, 1 - 1e-6)).float()


# %% tolerance=0.05
examples = [
    "A terrible film. I was bored from the first minute to the last.",
    "A wonderful film. I was moved from the first minute to the last.",
    "A wonderful film! I was moved from the first minute to the last!",
    "A terrible film!!!!!! I was bored!!!!!!!!!!!!!!!!",
]
for text, p, g in zip(examples, proxy(examples), gold(examples)):
    print(f"proxy {p:5.1f}   gold {g:5.1f}   {text}")

# %% [markdown]
# The last text calls the film terrible, and the proxy likes it best by far. Gold tells it from praise. A policy that is trained
# on the proxy never reads this table; it finds the last row by trial, because it tries two thousand texts in a minute.
#
# Two questions follow. How soon does it find out? And can you tell from the proxy's own curve? The simplest optimiser there is
# comes first.

# %% [markdown] section="best-of-n"
# Sample n responses to a prompt, keep the one with the best score. That is *best-of-n*. It needs no gradient, no value head and
# no learning rate, and it is the yardstick for everything that trains.
#
# By hand, two prompts with five samples each, n = 2. Neighbours form a group, and the fifth sample fills none, so it is
# dropped:
#
# | | sample 0 | 1 | 2 | 3 | 4 | winners |
# |---|---|---|---|---|---|---|
# | first prompt | **0.3** | −1.0 | 2.0 | **2.5** | 9.0 | 0, 3 |
# | second prompt | 1.0 | **1.5** | **0.7** | 0.7 | 0.2 | 1, 2 |
#
# The result holds *places*, because the winner's text and its gold score have to be looked up as well. They are places in the
# sample axis: the second group's winner is 3, and not 1. The second prompt's second group is a tie, and a tie takes the first.
# The 9.0 wins nothing.
#
# Why several groups, when one could take the best of all five? Each group is one experiment with n samples. From 64 samples a
# prompt you get 32 experiments with n = 2, and their mean is far less noisy than one.

# %% [markdown] exercise="best_of_n" minutes=10 difficulty=1
# `scores` is `(prompts, samples)`. Return the places of the winners, int64 `(prompts, samples // n)`.
#
# What to watch for: samples of different prompts never compete; the rest is cut off at the *end*; the place counts from the
# first sample of its own prompt. With fewer than n samples there is no group, and the result has no column.
#
# Hint: How many full groups are there? Cut the scores off after so many times n columns.
#
# Hint: With the groups as an axis of their own, `(prompts, groups, n)`, an `argmax` over the last axis finds the winner
# *within* each group, the first of a tie included.
#
# Hint: Group g begins at sample g · n: add `n * torch.arange(groups)` to what `argmax` gave.

# %% answer="best_of_n"
@best_of_n.implement
def best_of_n(scores, n):
    ### BEGIN SOLUTION
    groups = scores.shape[1] // n
    best = scores[:, : groups * n].reshape(len(scores), groups, n).argmax(-1)
    return best + n * torch.arange(groups, device=scores.device)
    ### END SOLUTION

# %% tolerance=0.001
by_hand = torch.tensor([[0.3, -1.0, 2.0, 2.5, 9.0], [1.0, 1.5, 0.7, 0.7, 0.2]])
print(best_of_n(by_hand, 2))
print("their scores:", by_hand.gather(1, best_of_n(by_hand, 2)).tolist())

# %% [markdown]
# Now on real samples: 48 held-out prompts, 64 responses to each, by the untrained policy. They are sampled and scored once, and
# every n uses the same ones.

# %%
train_reviews, test_reviews = load_reviews("embedded", "train"), load_reviews("embedded", "test")
train_prompts = make_prompts(train_reviews.texts, tokenizer, 5, 5, seed=0)
held_out = make_prompts(test_reviews.texts, tokenizer, 5, 5, seed=0, exclude=train_prompts)
chosen = [prompt for prompt in held_out[:48] for _ in range(64)]
generator, texts = torch.Generator().manual_seed(0), []
with rlhf_core.use("mine", otherwise="reference"):
    for start in range(0, len(chosen), 256):
        batch = chosen[start : start + 256]
        sample = sample_response(reference, *left_pad(batch, 0), 20, 1.0, tokenizer.eos_token_id, generator)
        responses = response_texts(tokenizer, sample.tokens, sample.mask)
        texts += [p + r for p, r in zip(tokenizer.batch_decode(batch), responses)]
proxy_scores, gold_scores = proxy(texts).view(48, 64), gold(texts).view(48, 64)

# %% [markdown]
# **Predict before you run:** by how much does the proxy rise from n = 1 to n = 64? Does gold rise with it? Is there an n behind
# which gold no longer profits?

# %% tolerance=0.3
sizes = (1, 2, 4, 8, 16, 32, 64)
marks = torch.tensor([float(text.count("!")) for text in texts]).view(48, 64)
best_proxy, best_gold = [], []
for n in sizes:
    winners = best_of_n(proxy_scores, n)
    best_proxy.append(proxy_scores.gather(1, winners).mean().item())
    best_gold.append(gold_scores.gather(1, winners).mean().item())
    praise = (proxy_scores - marks).gather(1, winners).mean()
    print(f"n = {n:2}: proxy {best_proxy[-1]:5.2f} (sentiment {praise:5.2f})   gold {best_gold[-1]:5.2f}")

# %% [markdown]
# Every doubling of n buys the proxy about the same, 0.4 or so. Gold profits too, but less and less: 0.65 from the first
# doubling, about 0.4 from each of the next two, about 0.2 from the last. The column in parentheses shows why. It is the
# winner's score without its exclamation marks, and the larger n is, the further it falls behind the proxy: more and more of
# what is selected for is punctuation. So far nothing has fallen. The curves have begun to part.
#
# **Now break it.** A frequent mistake is to leave out the start of the group, so that the winner of group 3 is looked for among
# the first samples. Nothing crashes, since all those places exist. What will the scores of the "winners" be?

# %% tolerance=0.3
for n in (2, 8, 32):
    misplaced = best_of_n(proxy_scores, n) % n  # the place within the group
    print(f"n = {n:2}: proxy {proxy_scores.gather(1, misplaced).mean():5.2f}")

# %% [markdown]
# Only the first group finds its own winner; all others get a sample that has won nothing. With 32 groups next to nothing is
# left of the gain, with 2 groups half of it. A curve like this grows with n, too, and looks plausible.

# %% [markdown] section="best-of-n-kl"
# What does it cost? The winners are samples of the reference, and yet not distributed like samples of the reference: good ones
# turn up more often. So there is a KL between the best of n and a single sample, and it can be worked out exactly.
#
# By hand for n = 2. Sort all possible responses from the worst to the best, and let $u$ between 0 and 1 be the place of one in
# that order: 0.9 is better than 90 %. A single sample has every $u$ with the same density, 1. The best of two lies below $u$
# only if both do, so with probability $u^2$; its density is $2u$. The KL is the mean of the logarithm of the density, for
# samples of the best of two:
#
# $$\int_0^1 2u \log(2u)\, du = \log 2 - \tfrac12 = 0.193.$$
#
# For any n the density is $n u^{n-1}$, and the same integral gives
#
# $$\mathrm{KL}_n = \log n - \frac{n - 1}{n}.$$
#
# For n = 64 it is 4.159 − 0.984 = 3.17 nats. Two things are remarkable. The reward has dropped out: only the *order* of the
# responses enters, and each response has its place whatever the scores are. And neither the model nor the length of the
# responses appears. Best-of-n is the one method whose KL you know before you run it.
#
# The formula supposes that no two responses have the same score. With ties it is an upper bound: where the scores cannot tell
# two responses apart, nothing is selected between them, and nothing is paid for it.

# %% [markdown] exercise="best_of_n_kl" minutes=5 difficulty=1
# Return the KL for a whole number n from 1 on, a float, in nats.
#
# What to watch for: natural logarithm; what is subtracted is never more than 1; nothing is chosen at n = 1, so nothing is paid.
#
# Hint: One line with `math.log`.
#
# Hint: Python divides before it subtracts: where do the parentheses go?
#
# Hint: Check yourself with 0, 0.193 and 3.17 for n = 1, 2 and 64.

# %% answer="best_of_n_kl"
@best_of_n_kl.implement
def best_of_n_kl(n):
    ### BEGIN SOLUTION
    return math.log(n) - (n - 1) / n
    ### END SOLUTION

# %% tolerance=0.01
print("n = 1, 2, 64:", [round(best_of_n_kl(n), 3) for n in (1, 2, 64)])
print(f"with n - 1 taken off in place of (n - 1) / n, n = 64: {math.log(64) - 63:.1f}")

# %% [markdown]
# The third number is what a missing division claims: a KL of −59 nats. A KL below 0 is always a bug, and this one shows itself
# from n = 2 on, with −0.31. With log n alone you would pay 0.69 nats for the best of two, the price of never writing anything
# from the worse half. Best-of-2 does write it, when both samples are bad.
#
# Do you believe the formula? Count instead. Take M responses that the reference gives with probability 1/M each, all with
# different scores. The one at place r (from 1, the worst) wins with probability $(r/M)^n - ((r-1)/M)^n$.
# **Predict before you run:** with M = 2 and n = 64 the better one wins nearly always. What is the KL then?


# %% tolerance=0.01
def counted_kl(M, n):
    place = torch.arange(M + 1, dtype=torch.float64) / M
    wins = place.pow(n).diff()
    return torch.special.xlogy(wins, wins * M).sum().item()


for M in (2, 10, 100, 100_000):
    print(f"M = {M:6}: n = 2 {counted_kl(M, 2):.3f}   n = 64 {counted_kl(M, 64):.3f}")

# %% [markdown]
# With two responses the KL cannot exceed log 2 = 0.69: one of them always wins, and that is all that can happen. The formula is
# the limit of a policy that can write very many texts, and 20 tokens out of 4,096 are very many.
#
# Question: Best-of-64 costs 3.17 nats. How many samples would a KL of 20 nats take?
#
# Answer: log n is about 21, so n is about $e^{21}$, more than a billion for every answer. Best-of-n is frugal in KL and
# extravagant in samples. PPO moves 20 nats away in a minute, which is why it can do so much more damage.

# %% [markdown] section="overoptimisation"
# *Overoptimisation* is the name for what happens when the proxy is pushed too far: it goes on rising, and what it stood for
# falls. Gao et al. measured it with reward models of many sizes, and found that the gold score is a simple function of
#
# $$d = \sqrt{\mathrm{KL}}.$$
#
# For best-of-n their fit is
#
# $$R_\text{gold}(d) = d\,(\alpha - \beta d).$$
#
# $\alpha$ (`alpha`) is how fast gold rises at first, $\beta$ (`beta`) how fast the proxy's weakness eats it up. By hand with
# $\alpha = 2$ and $\beta = 0.5$: at $d = 1$ it is 1.5, at $d = 2$ it is 2.0, at $d = 3$ it is 1.5 again. The top stands at
# $\alpha / (2\beta)$. $R$ counts from the untrained policy, so $R(0) = 0$. Why the root? Small changes of a distribution cost
# KL quadratically, so $d$ behaves like a distance, and the gain begins linearly in it.
#
# Fit it to your own points.

# %% tolerance=0.25
d = torch.tensor([best_of_n_kl(n) for n in sizes]).sqrt()
gain = torch.tensor(best_gold) - best_gold[0]
alpha, minus_beta = torch.linalg.lstsq(torch.stack([d, d * d], 1), gain[:, None]).solution[:, 0].tolist()
print(f"alpha {alpha:.2f}, beta {-minus_beta:.2f}")

# %% [markdown]
# The fitted top is at $\alpha / (2\beta)$, about 3.6, a KL of 13 nats. Your data end at $d = 1.8$, and no best-of-n gets
# to 13 nats: it would take more than a million samples. A fit that is asked about twice its own range is a guess. What the
# data do say is that $\beta$ is above 0.
#
# Now PPO on the same proxy: the loop of lesson 7, 20 updates of 96 responses, a large learning rate and a small `kl_coef` of
# 0.05. Every few updates the policy answers 128 held-out prompts, and both scorers read the answers. Gold is watched; nothing
# is trained on it.
#
# **Predict before you run:** which of the two does PPO learn first, praise or exclamation marks? Where does gold end: above its
# start, or below?

# %% tolerance=0.3
config = LoopConfig(
    tokenizer=tokenizer, n_updates=20, batch_size=96, minibatch_size=48, ppo_epochs=1, max_new_tokens=20, learning_rate=1e-3,
    warmup_updates=2, value_clip_range=1.0, value_coef=0.01, init_kl_coef=0.05, lam=1.0, seed=0,
)  # fmt: skip
policy = PolicyWithValue(load_causal_lm("embedded:policy"))
points = []


def look(state, stats):
    if state.update in (2, 4, 6, 8, 10, 13, 16, 20):
        seen = evaluate_policy(policy, reference, {"proxy": proxy, "gold": gold}, held_out[:128], tokenizer, 20, seed=1)
        means = {name: scores.mean().item() for name, scores in seen.scores.items()}
        text, kl = seen.prompts[3] + seen.responses[3], seen.sequence_kl.mean().item()
        points.append({"update": state.update, "kl": kl, "text": text} | means)


with rlhf_core.use("mine", otherwise="reference"):
    history = rlhf_loop(policy, reference, proxy, train_prompts, config, look)
for p in points:
    print(f"update {p['update']:2}: KL {p['kl']:5.1f}  proxy {p['proxy']:5.1f}  gold {p['gold']:4.1f}  {p['text'][:70]}")

# %% [markdown]
# Praise first. Until update 6 the two scores rise together, and "wonderfully hilarious" is what you wanted. Then a few
# texts with many exclamation marks turn up, their advantages dwarf all others, and within four updates nothing else
# counts. The proxy goes from about 2 at update 6 to above 60. Gold climbs to about 5, and at the end it is back near 0.6:
# nearly all of the gain is lost. Gold falls because the marks leave no room for words, and it does not read the marks.
#
# Look at the KL, too. It reaches its largest value around update 13, and then it *falls*, while the texts get worse. How
# can that be?

# %% result="Left: the proxy rises with the root of the KL, for best-of-n and for PPO. Right: gold rises at first and then falls under PPO"
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
trained = torch.tensor([max(p["kl"], 0.0) for p in points]).sqrt()
for ax, name, best in zip(axes, ("proxy", "gold"), (best_proxy, best_gold)):
    ax.plot([0, *trained], [best[0], *(p[name] for p in points)], "o-", color="#1f77b4", label="PPO")
    ax.plot(d, best, "o-", color="#b8860b", label="best of 1 to 64")
    for x, p in zip(trained, points):
        ax.annotate(p["update"], (x, p[name]), xytext=(4, 4), textcoords="offset points", fontsize=8, color="#1f77b4")
    ax.axhline(best[0], color="#8a8f98", linestyle=":", linewidth=1)
    ax.set(xlabel="square root of the KL (nats)", ylabel=f"{name} score")
axes[0].set_yscale("symlog", linthresh=1)
axes[0].set(ylim=(-0.3, 200), yticks=[0, 1, 10, 100], yticklabels=["0", "1", "10", "100"])
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# The left axis is logarithmic above 1, or best-of-n would lie flat on the floor. The numbers are updates, the dotted line
# is the untrained policy. Three things to read:
#
# **Best-of-n is the cheaper of the two.** At a KL of 3 nats the best of 64 has a gold score of 2; PPO is well past 6 nats
# when it gets there. PPO pays for drift that earns nothing. But best-of-n ends there, and PPO goes on, to a gold score of
# 5 and then over the cliff.
#
# **The proxy shows nothing of the cliff.** From update 10 on its curve only rises. Whoever looks at the left panel alone
# ships update 20.
#
# **The curve of PPO turns back.** Gao et al. plot gold as a function of $d$; here there are two values of gold at the same
# $d$, because the KL came back. Ask the reference why:

# %% tolerance=0.1
only_marks = [i for i in range(4096) if set(tokenizer.decode(i).strip()) == {"!"}]
for text in ("This film is great", "This film is great!!!!!!!!"):
    with torch.no_grad():
        next_token = reference(input_ids=torch.tensor([tokenizer(text).input_ids])).logits[0, -1].softmax(-1)
    print(f"probability that exclamation marks come next: {next_token[only_marks].sum():.2f}   {text}")

# %% [markdown]
# After "great" one token in ten is made of exclamation marks; after eight of them it is three in four. To leave the
# reference for the first few marks is expensive, and from there on the reference itself would go on like that. So the KL
# of a response is no alarm: a penalty of `kl_coef` = 0.05 times 30 nats is 1.5, and the marks bring 60.
#
# **Now break it:** train again with `init_kl_coef=1.0`. Does gold end higher than here? Then ask what you would have
# chosen without gold.
#
# One more question about the judge. Gold fell here because it does not read what the proxy is wrong about. What if it made
# the same mistake? Here are one sensible sentence and one that is none:

# %% tolerance=0.1
strings = ["This film is a wonderful and touching story.", "This film" + " wonderful" * 16]
with rlhf_core.use("mine", otherwise="reference"):
    other = RewardWrapper(load_classifier("embedded:reward-sst2"), load_tokenizer("embedded:reward-sst2"), 128, 64)
    for text, a, b, g in zip(strings, sentiment(strings), other(strings), gold(strings)):
        print(f"reward-imdb {a:4.1f}   reward-sst2 {b:4.1f}   gold {g:4.1f}   {text[:48]}")

# %% [markdown]
# All three judges like the second nearly as well as the first. None of them knows that sixteen times the same word is not
# a review: the gold scorer adds up words, and the other two were never shown such a text. Train against `reward-sst2` in
# place of the proxy, and gold rises all the way, with texts of this kind. "Gold did not fall" can mean that the policy is
# honest, or that proxy and gold have the same blind spot. A gold scorer is of use exactly where its mistakes are *other*
# mistakes.
#
# Question: You have no gold scorer in your own project. What would have warned you in this run?
#
# Answer: The texts, read at update 10. The KL, which went past anything that best-of-n could ever need. The proxy itself,
# which rose far above the best of 64 samples: a score that no text of the reference comes near is more often a hole in the
# reward model than a discovery. And a second reward model, trained apart from the first: where the two part company, stop.

# %% [markdown] section="hunt"
# This course began with a notebook of 2024. It loaded a language model, a sentiment classifier and a PPO trainer, ran for 50
# batches of 16, and printed a mean reward of 1.122 at the first batch and 1.071 at the last. It did not crash, and it did not
# learn. Its recipe had nine faults. Here is that recipe, written anew with the functions of this course. You know all of them,
# so you can find all nine by reading. Take a quarter of an hour.
#
# ```python
#  1  tokenizer = load_tokenizer("embedded:policy")
#  2  policy = PolicyWithValue(load_causal_lm("embedded:policy"))
#  3  reference = freeze(load_causal_lm("embedded:policy"))
#  4  score = RewardWrapper(classifier, classifier_tokenizer, 16, 128)
#  5  optimizer = torch.optim.Adam(policy.parameters(), lr=5e-8)
#  6  ppo = PPOConfig(ppo_epochs=4, minibatch_size=16, clip_range=0.2)
#  7  prompt = tokenizer("Write a positive movie review:", return_tensors="pt").input_ids
#  8  prompts = prompt.repeat(16, 1)
#  9
# 10  def generate(**decoding):
# 11      return policy.lm.generate(
# 12          prompts,
# 13          attention_mask=torch.ones_like(prompts),
# 14          max_new_tokens=48,
# 15          min_new_tokens=24,
# 16          pad_token_id=tokenizer.eos_token_id,
# 17          **decoding)
# 18
# 19  def text_of(sequences):
# 20      return tokenizer.batch_decode(sequences, skip_special_tokens=True)
# 21
# 22  training = dict(do_sample=True, temperature=0.7, top_k=50, top_p=0.95,
# 23                  repetition_penalty=1.2, no_repeat_ngram_size=3)
# 24  before = score(text_of(generate(do_sample=False)[:1]))
# 25
# 26  for batch in range(50):
# 27      sequences = generate(**training)
# 28      context, tokens = sequences[:, :1], sequences[:, 1:]
# 29      mask = torch.ones_like(tokens, dtype=torch.bool)
# 30      with torch.no_grad():
# 31          logprobs = response_logprobs(policy, sequences, torch.ones_like(sequences), tokens.shape[1])
# 32          ref_logprobs = response_logprobs(reference, sequences, torch.ones_like(sequences), tokens.shape[1])
# 33          values = policy(sequences).values[:, :-1]
# 34      texts = text_of(sequences)
# 35      scores = score(texts) + length_bonus(texts, target_words=48, weight=4.0)
# 36      kl = (logprobs - ref_logprobs).abs()
# 37      rewards = -0.2 * kl
# 38      rewards[:, -1] += scores
# 39      advantages, returns = compute_gae(rewards, values, mask, gamma=1.0, lam=0.95)
# 40      rollout = Rollout(context, torch.ones_like(context), tokens, mask, logprobs, values,
# 41                        masked_whiten(advantages, mask), returns)
# 42      ppo_step(policy, optimizer, rollout, ppo)
# 43
# 44  after = score(text_of(generate(do_sample=False)[:1]))
# 45  print("improved:", bool(after > before))
# ```
#
# Write down the numbers of suspicious lines, then run the two cells. The second one knows the nine faults; its text is turned
# by 13 letters and its line numbers count down from 100, so that you do not read them by accident. Where a fault spans several lines, any
# of them counts.

# %%
found = []

# %%
NINE = codecs.decode(
    """
    95 n yrneavat engr gubhfnaqf bs gvzrf gbb fznyy: uhaqerqf bs fgrcf bs Nqnz yrnir rirel jrvtug jurer vg jnf
    93,92 bar fvatyr cebzcg: jungrire vf yrnearq vf yrnearq nobhg gurfr jbeqf, naq nobhg ab bguref
    85 n zvavzhz yratgu: va gur svefg unys gur raq vf sbeovqqra, fb raqvat jryy vf arire gur cbyvpl'f pubvpr
    84,71,62 cnqqvat vf RBF naq gur znfx vf Gehr rireljurer: jung abobql pubfr vf genvarq ba, naq gur fpber fvgf oruvaq gur raq
    78,77,73 grzcrengher, gbc-x, gbc-c naq gjb cranygvrf va gur fnzcyvat, juvyr gur ybt-cebonovyvgvrf ner gur cynva cbyvpl'f
    72,66 gur cebzcg pbzrf onpx jvgu gur erfcbafr: nyy bs vg ohg bar gbxra vf genvarq ba, naq na vafgehpgvba'f jbeqf ner fpberq
    65 n yratgu obahf sbhe gvzrf nf ynetr nf gur fcernq bs gur fragvzrag: ybatre orngf orggre
    64 gur nofbyhgr inyhr: n zrna gung pnzr bhg artngvir fnvq gung fbzrguvat jnf jebat, naq guvf fvyraprf vg
    76,56 na rinyhngvba jvgu a = 1, haqre nabgure qrpbqvat (terrql) guna va genvavat
""",
    "rot13",
)


def hunt(found):
    faults = [line.strip().split(" ", 1) for line in NINE.strip().splitlines()]
    at = {100 - int(number): what for numbers, what in faults for number in numbers.split(",")}
    for line in found:
        print(f"line {line}: {at.get(line, 'not one of the nine')}")
    print(f"{len(faults) - len({at[line] for line in found if line in at})} of {len(faults)} are left")


hunt(found)

# %% [markdown]
# Stuck? Ask five questions in this order. Which texts can be written at all? Which of their tokens are trained on? What is
# rewarded? What is reported? And is each number of a size that can do something?
#
# Question: Where are the nine?
#
# Answer: Line 5: a learning rate thousands of times too small: hundreds of steps of Adam leave every weight where it was.
# Lines 7, 8: one single prompt: whatever is learned is learned about these words, and about no others. Line 15: a minimum
# length: in the first half the end is forbidden, so ending well is never the policy's choice. Lines 16, 29, 38: padding is EOS
# and the mask is True everywhere: what nobody chose is trained on, and the score sits behind the end. Lines 22, 23, 27:
# temperature, top-k, top-p and two penalties in the sampling, while the log-probabilities are the plain policy's. Lines 28,
# 34: the prompt comes back with the response: all of it but one token is trained on, and an instruction's words are scored.
# Line 35: a length bonus four times as large as the spread of the sentiment: longer beats better. Line 36: the absolute value:
# a mean that came out negative said that something was wrong, and this silences it. Lines 24, 44: an evaluation with n = 1,
# under another decoding (greedy) than in training.

# %% [markdown]
# A list of faults is an opinion until something is measured. Five of them follow, each in a few lines.
#
# **The KL that went negative.** Take a policy whose true KL from the reference is known to be small: the reference itself at
# temperature 1.1. Sample from it plainly, and then as line 22 does. The log-probabilities are those of the plain policy both
# times, as in line 31. **Predict before you run:** which sign has the second mean?

# %% tolerance=0.3
prompt_ids, prompt_mask = left_pad(held_out[:128], tokenizer.pad_token_id)
torch.manual_seed(0)  # generate draws from the global state
options = dict(temperature=0.7, top_k=50, top_p=0.95, repetition_penalty=1.2, no_repeat_ngram_size=3, min_new_tokens=20)
listing_22 = reference.generate(
    prompt_ids, attention_mask=prompt_mask, do_sample=True, max_new_tokens=20, pad_token_id=tokenizer.eos_token_id, **options
)
with rlhf_core.use("mine", otherwise="reference"):
    generator = torch.Generator().manual_seed(0)
    plain = sample_response(reference, prompt_ids, prompt_mask, 20, 1.1, tokenizer.eos_token_id, generator)
    for name, tokens in (("plain sampling", plain.tokens), ("as in line 22", listing_22[:, 5:])):  # the prompts have 5
        ids = torch.cat([prompt_ids, tokens], 1)
        logprobs = [response_logprobs(reference, ids, torch.ones_like(ids), tokens.shape[1], t) for t in (1.1, 1.0)]
        k1 = (logprobs[0] - logprobs[1]) * (plain.mask if tokens is plain.tokens else 1)
        print(f"{name:15} mean of k1 {k1.sum(1).mean():5.2f}, of its absolute value {k1.abs().sum(1).mean():.2f} nats a response")

# %% [markdown]
# About −3 nats. A KL cannot be negative, so this is not a KL. The flatter policy gives less than the reference to likely
# tokens and more to unlikely ones; line 22 draws none but likely ones, so nearly every log-ratio is below 0. Line 36 then
# takes the absolute value, and the log shows a healthy 3.3, for a policy whose true KL is about 0.6.
#
# The right-hand column has a second lesson: even under plain sampling the absolute value is several times the KL. A sum of
# absolute values never averages out; it punishes each token for having changed, in either direction.
#
# **The length bonus.** 4 points for 48 words is 0.083 a word, added to a sentiment whose standard deviation is about 1.
# Two texts by hand, then your 3,072 samples: do neighbours keep their order, and what does the best of 16 lose?

# %% tolerance=0.2
brief = "I liked this film."
wordy = (
    "I did not like this film, and I do not know why it was made, who it was made for, or what the people in it were thinking, "
    "as they go from one room to the next, talk for a while, and go back to the first."
)
with rlhf_core.use("mine", otherwise="reference"):
    for text in (brief, wordy):
        a, b = sentiment([text]).item(), length_bonus([text], target_words=48, weight=4.0).item()
        print(f"sentiment {a:.2f} + bonus {b:.2f} = {a + b:.2f}   {text[:30]}")
    s, bonus = sentiment(texts).view(48, 64), length_bonus(texts, target_words=48, weight=4.0).view(48, 64)
turned = (s[:, ::2] > s[:, 1::2]) != ((s + bonus)[:, ::2] > (s + bonus)[:, 1::2])
print(f"pairs turned round: {turned.float().mean():.0%}")
for name, scores in (("sentiment", s), ("sum", s + bonus)):
    print(f"best of 16 by the {name:9}: sentiment {s.gather(1, best_of_n(scores, 16)).mean():.2f}")

# %% [markdown]
# The sentiment model prefers the four words by nearly 1. The bonus gives the long-winded text 3.6 more for being long, and
# turns them round. Among your samples less happens, because all of them have 20 tokens: a bonus of 4 for 48 words turns
# about one pair in ten round, and costs the best of 16 a few hundredths. Let a policy choose its own length, and that is the first thing it learns. Then the score
# rises, and not a word of it is sentiment.
#
# **5e-8.** Run your loop with it for two updates, and compare with two updates at 1e-3.

# %% tolerance=0.3
for rate in (5e-8, 1e-3):
    trial = PolicyWithValue(load_causal_lm("embedded:policy"))
    start = torch.cat([p.detach().flatten().clone() for p in trial.lm.parameters()])
    short = LoopConfig(tokenizer=tokenizer, n_updates=2, batch_size=32, minibatch_size=16, max_new_tokens=20, learning_rate=rate)
    with rlhf_core.use("mine", otherwise="reference"):
        kl = rlhf_loop(trial, reference, sentiment, train_prompts, short)[-1]["kl"]
    moved = (torch.cat([p.detach().flatten() for p in trial.lm.parameters()]) - start).norm() / start.norm()
    print(f"learning rate {rate:.0e}: weights moved by {moved:.0e} of their size, KL {round(kl, 3) + 0.0:.3f} nats")

# %% [markdown]
# Adam divides the gradient by its own size, so each step moves a weight by about the learning rate, whatever the reward
# says. At 5e-8 the 200 steps of the listing add up to at most 0.00001 on any weight, and to less where the steps disagree.
# The other eight faults hardly had a chance to do harm. What the log printed for 50 batches is one policy, sampled 50
# times: 1.122 and 1.071 are the same number with noise.
#
# **One sample against one.** Nothing is trained here: "before" and "after" are the same model. "Before" is the first of the two
# samples above, "after" the one made as in line 22. How often would the headline say "improved", and by how much?

# %% tolerance=0.3
with rlhf_core.use("mine", otherwise="reference"):
    before = sentiment(tokenizer.batch_decode(torch.cat([prompt_ids, plain.tokens], 1), skip_special_tokens=True))
    after = sentiment(tokenizer.batch_decode(listing_22, skip_special_tokens=True))
    print(f"improved in {win_rate(after, before):.0%} of {len(after)} headlines, typical difference {(after - before).abs().mean():.1f}")
    print(f"mean before {before.mean():.2f}, after {after.mean():.2f}")

# %% [markdown]
# In about half of them: the headline is a coin. And since a typical difference between two texts is 0.9, half of the coins
# show a respectable improvement. Two hundred prompts and an interval would have said that nothing changed. Greedy
# decoding, as in line 24, does not help: it always gives the same text, so there is no noise to see, and one text to judge
# by.
#
# **The prompt in the response.** Nothing to run: the prompt of line 7 is 8 tokens long, and 7 of them are trained on. The
# policy did not choose them, their values differ from everything behind them, and line 35 scores "positive movie review" in
# every text: 16 texts with the same head start are no better to tell apart than without it. (An opening of a review is part of
# the review, and is rightly scored with it. An instruction is not.)
#
# **Now mend it.** Here is the listing once more, as a class with one place for each fault; the numbers are those of its lines.
# The loop calls `sample` on `prompts`, takes the result apart with `split` and `mask`, and works out `scores` and `kl`;
# `evaluate` is the headline. Shapes: B prompts of P tokens, T tokens of a response. Texts are scored with their prompts,
# as in lesson 7: once these are openings of reviews, line 34 is in order.

# %%
class Recipe:
    learning_rate = 5e-8  # 5

    def prompts(self):  # 7, 8: int64 (B, P), called anew for each batch
        prompt = tokenizer("Write a positive movie review:", return_tensors="pt").input_ids
        return prompt.repeat(16, 1)

    def generate(self, policy, prompts, **decoding):  # 10 to 17
        return policy.lm.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=48,
            min_new_tokens=24,
            pad_token_id=tokenizer.eos_token_id,
            **decoding,
        )

    def sample(self, policy, prompts):  # 22, 23, 27: prompt and response, int64 (B, P + T)
        training = dict(do_sample=True, temperature=0.7, top_k=50, top_p=0.95, repetition_penalty=1.2, no_repeat_ngram_size=3)
        return self.generate(policy, prompts, **training)

    def split(self, sequences, prompts):  # 28: what is given, and what is trained on
        return sequences[:, :1], sequences[:, 1:]

    def mask(self, tokens):  # 29: bool, the shape of tokens
        return torch.ones_like(tokens, dtype=torch.bool)

    def scores(self, texts):  # 35: float (B,)
        return sentiment(texts) + length_bonus(texts, target_words=48, weight=4.0)

    def kl(self, logprobs, ref_logprobs):  # 36: (B, T)
        return (logprobs - ref_logprobs).abs()

    def evaluate(self, policy):  # 24, 44: one score for each text, float (N,)
        sequences = self.generate(policy, self.prompts(), do_sample=False)[:1]
        return sentiment(tokenizer.batch_decode(sequences, skip_special_tokens=True))


# %% [markdown]
# The inspection runs each of these pieces on small inputs. It brings its own policies, which give 100 tokens known
# probabilities, the same at every step, so that it can count what your recipe draws. It never reads your code; any repair
# that does the right thing is right.
#
# **Predict before you run:** the entropy of those 100 tokens is 3.68 nats, and under plain sampling the mean surprise of what
# is drawn comes out the same (lesson 6). What is it as line 22 draws? And how many of the 100 are never drawn?

# %%
with rlhf_core.use("mine", otherwise="reference"):
    inspect_recipe(Recipe())

# %% [markdown]
# About 2.8 nats, and half of the tokens never turn up.
#
# Take one red line, change the class, run both cells again, until all nine are green. Twenty minutes is a good time for it.
# `train_prompts` and `held_out` hold prompts of 5 tokens each, as lists; `response_mask`, `sample_response` and the other
# functions of earlier lessons are there for you. Some repairs are half repairs: with `temperature`, `top_k`, `top_p` and both
# penalties deleted, line 22 is still not plain sampling. Try that first.

# %% solved="The mended recipe"
class Recipe:
    learning_rate = 3e-4

    def prompts(self):
        chosen = torch.randperm(len(train_prompts))[:16].tolist()
        return torch.tensor([train_prompts[i] for i in chosen])

    def generate(self, policy, prompts, **decoding):
        return policy.lm.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=48,
            pad_token_id=tokenizer.eos_token_id,
            **decoding,
        )

    def sample(self, policy, prompts):
        return self.generate(policy, prompts, do_sample=True, temperature=1.0, top_k=0)

    def split(self, sequences, prompts):
        length = prompts.shape[1]
        return sequences[:, :length], sequences[:, length:]

    def mask(self, tokens):
        return response_mask(tokens, tokenizer.eos_token_id)

    def scores(self, texts):
        return sentiment(texts)

    def kl(self, logprobs, ref_logprobs):
        return logprobs - ref_logprobs

    def evaluate(self, policy):
        sequences = self.sample(policy, torch.tensor(held_out[:200]))
        return sentiment(tokenizer.batch_decode(sequences, skip_special_tokens=True))


with rlhf_core.use("mine", otherwise="reference"):
    inspect_recipe(Recipe())

# %% [markdown]
# In the mended recipe each fault has gone in one place. `top_k=0` is not a slip: left out, `generate` keeps the 50 most likely
# tokens, because that is its default. `evaluate` calls `sample`, so that the two cannot come apart again. And `kl` may be
# negative, for a token and for a small batch. If its mean over many batches is, you will now see it.
#
# Which of the nine kept it from learning? `rlhf-course run --preset notebook-2024`, a command of the editions with solutions,
# trains three times, as written, with the learning rate alone mended, and with all mended *but* the learning rate, and
# evaluates each on 512 held-out prompts. Bet on an outcome before you start it.
#
# ## What you take along
#
# - Best-of-n is the yardstick: n samples, no training, a KL of log n − (n − 1)/n that you know in advance.
# - The proxy's curve cannot show overoptimisation. It takes a score that is not optimised, and the KL as the axis.
# - Gold is a model, too. It helps where its mistakes differ from the proxy's, and only there.
# - A number that is impossible, such as a negative KL, is a message. Do not take its absolute value.
#
# Question: Two runs reach the same proxy score, one with best-of-16 and one with PPO at 8 nats. Which would you ship?
#
# Answer: On the score alone, best-of-16: it moved 1.84 nats and can have exploited less. But it costs 16 samples for every
# answer for as long as it is in use, and PPO costs one. The comparison that decides is gold at equal proxy, and then the
# texts.
#
# %% [markdown] question="stop_in_time" minutes=10
# Tonight a run like the one with the exclamation marks starts again, with a proxy that you know less well, and nobody watches
# it. There is no gold scorer. Write the rule by which it stops itself: a quantity that can be computed without gold, and a
# threshold. Show with the numbers of *your* run at which update your rule would have stopped it and what that would have saved
# or cost; say how the policy could cheat the proxy without your rule noticing; and say what you would change before you start
# it again once it has stopped. Five to eight sentences.
#
# Rubric: *A model answer.* (The numbers are those of the learner's own run.) Stop when the mean proxy of a batch has passed twice
# what the best of 64 samples of the reference get, 2 · 2.6 here: what selection among 64 texts cannot reach is more likely a
# hole in the proxy than a discovery. The run passes 5.2 between updates 6 and 8, with gold between 3.1 and 4.7. It would have
# missed the top of 4.9 by little, and saved all that is lost until update 20, when gold is at 0.6. Other good quantities: the
# share of the commonest token or character, distinct pairs of words, the spread of the scores within a batch, how far a second
# reward model has fallen behind. A bare limit on the KL is weaker, as this KL falls again; it has to stop at the first
# crossing. The rule misses a hack with modest scores, such as bland praise that fits every prompt. Afterwards: read the texts,
# mend the reward where they exploit it (cap the marks, or train it on such texts), raise `kl_coef` or lower the learning rate,
# and begin again from the reference.
#
# Rubric: *2 points:* a quantity without gold, a threshold that follows from something measured, the update at which it would
# have stopped with numbers of their own run, **and** a hack that it misses, **and** a change of reward or training. *1 point:*
# a workable rule with the update, but no blind spot or no change; or everything without numbers. *0 points:* stops when the
# reward stops rising, or needs gold.

# %% [markdown]
# To read: Gao et al. 2022, [Scaling Laws for Reward Model Overoptimization](https://arxiv.org/abs/2210.10760), for $d$ and
# both fits; Stiennon et al. 2020 ([arXiv 2009.01325](https://arxiv.org/abs/2009.01325)), appendix G.3, for the KL of
# best-of-n; Beirami et al. 2024 ([arXiv 2401.01879](https://arxiv.org/abs/2401.01879)) on why it is a bound.
