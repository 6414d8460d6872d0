"""Every reference answer against its oracle, on data that is not degenerate, and at the edges.

Three masks: rows of every length with a full and an empty one; a batch of one; nothing at all. Where a mask is False the inputs
hold JUNK, which is finite and shows in any result it leaks into.
"""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import (
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

from autograder import oracles
from autograder.oracles.ppo import response_states
from rlhf_core.advantages import compute_gae, explained_variance, masked_mean, masked_whiten
from rlhf_core.alternatives import dpo_loss, grpo_advantages, rloo_advantages
from rlhf_core.best_of_n import best_of_n, best_of_n_kl
from rlhf_core.evaluate import bootstrap_ci, sequence_kl, win_rate
from rlhf_core.exercise import use
from rlhf_core.kl import AdaptiveKLController, kl_estimate, kl_exact, shape_rewards
from rlhf_core.loop import LoopConfig, Rollout, rlhf_loop
from rlhf_core.models import PolicyWithValue
from rlhf_core.padding import join, left_pad
from rlhf_core.policy import gather_logprobs, response_logprobs, response_mask, sample_response
from rlhf_core.ppo import PPOConfig, masked_entropy, policy_loss, ppo_step, value_loss
from rlhf_core.preferences import bradley_terry_loss, last_token_index, pairwise_accuracy
from rlhf_core.rewards import RewardWrapper, length_bonus, normalize_scores, positive_logit

F32, F64 = torch.float32, torch.float64
DTYPES = pytest.mark.parametrize("dtype", [F32, F64])
JUNK = 3e38


def ragged(lengths, width):
    return torch.arange(width) < torch.tensor(lengths).unsqueeze(1)


MASKS = {"ragged": ragged([5, 0, 3, 1, 5, 2], 5), "one row": ragged([2], 3), "nothing": ragged([0, 0], 3)}
EACH_MASK = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())


def normal(shape, seed, dtype=F32, scale=1.0):
    return scale * torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def masked_normal(mask, seed, dtype, scale=1.0):
    x = normal(mask.shape, seed, dtype, scale)
    return torch.where(mask, x, JUNK * x.sign())


def close(actual, expected, dtype=None, atol=None):
    """Dtype, shape, values; the oracle is in float64. A NaN is never close."""
    dtype = dtype or actual.dtype
    assert actual.dtype == dtype
    rtol, small = (2e-5, 2e-6) if dtype == F32 else (1e-9, 1e-11)
    torch.testing.assert_close(actual.detach().double(), expected.detach(), rtol=rtol, atol=small if atol is None else atol)


def same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def flat(*things):
    """The tensors in nested arguments or results."""
    for thing in things:
        if isinstance(thing, torch.Tensor):
            yield thing
        elif isinstance(thing, list | tuple | dict):
            yield from flat(*(thing.values() if isinstance(thing, dict) else thing))


def pure(function, *args, **kwargs):
    """Call it: the arguments and the global random state have to be the same afterwards."""
    before = [x.detach().clone() for x in flat(*args, kwargs)]
    state = torch.get_rng_state()
    result = function(*args, **kwargs)
    for x, copied in zip(flat(*args, kwargs), before, strict=True):
        same(x.detach(), copied)
    same(torch.get_rng_state(), state)
    return result


def leaves(args):
    """Copies of the arguments in which every float tensor would take a gradient."""
    return [x.clone().requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in args]


def compare(answer, oracle, *args, gradient=None, constant=(), atol=None, **kwargs):
    """The value of an answer, and its gradient with respect to the arguments at the indices `gradient` (None: not compared).

    The arguments at the indices `constant` have to get none. Returns what the answer returned.
    """
    mine = leaves(args)
    theirs = leaves([x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in args])
    returned = pure(answer, *mine, **kwargs)
    result = returned
    if isinstance(returned, tuple):
        result, stats = returned
        assert_curves(stats)
    expected = oracle(*theirs, **kwargs)
    close(result, expected, next(x.dtype for x in mine if isinstance(x, torch.Tensor) and x.is_floating_point()), atol)
    if gradient is None:
        return returned
    weights = normal(expected.shape, 99, F64)  # so that each element of the result has a gradient of its own
    (result * weights).sum().backward()
    (expected * weights).sum().backward()
    for i in gradient:
        assert mine[i].grad.isfinite().all()
        close(mine[i].grad, theirs[i].grad, atol=atol)
    for i in constant:
        assert mine[i].grad is None or not mine[i].grad.any()
    return returned


def assert_curves(stats):
    assert stats and all(isinstance(v, float) and math.isfinite(v) for v in stats.values())


# Models: small enough to run in a millisecond, with weights large enough that what they say depends on what they read.

VOCABULARY, EOS = 11, 0


class Toy(nn.Module):
    """A causal model without a cache that reads its tokens, their positions and its attention mask, and keeps its calls."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Parameter(normal((VOCABULARY, 8), 1))
        self.position = nn.Parameter(normal((32, 8), 2, scale=0.5))
        self.head = nn.Parameter(normal((8, VOCABULARY), 3, scale=0.6))

    def forward(self, input_ids, attention_mask, position_ids):
        seen = (self.emb[input_ids] + self.position[position_ids]) * attention_mask.unsqueeze(-1)
        return SimpleNamespace(logits=torch.tanh(seen.cumsum(1) - 0.7 * seen) @ self.head)


def gpt2(seed=0, dropout=0.1):
    rates = dict(resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=2, initializer_range=0.3,
        bos_token_id=EOS, eos_token_id=EOS, **rates,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def with_value(lm):
    policy = PolicyWithValue(lm)
    nn.init.normal_(policy.value_head.weight, std=0.3, generator=torch.Generator().manual_seed(5))
    return policy.eval()


MODELS = {"cached": gpt2, "cache-less": lambda: Toy().eval(), "with a value head": lambda: with_value(gpt2())}
EACH_MODEL = pytest.mark.parametrize("make_model", MODELS.values(), ids=MODELS.keys())

PROMPTS = [[3, 1, 4], [1], [5, 9, 2, 6, 5], [3, 5, 8, 9], [7, 9], [3, 2, 3]]
MASK = MASKS["ragged"]


def responses(mask=MASK, seed=0):
    """Tokens with an end-of-sequence token where the mask says that the response has ended, and after it."""
    tokens = torch.randint(1, VOCABULARY, mask.shape, generator=torch.Generator().manual_seed(seed))
    ended = (mask.sum(1, keepdim=True) - 1 <= torch.arange(mask.shape[1])) & (mask.sum(1, keepdim=True) < mask.shape[1])
    return tokens.masked_fill(ended, EOS)


# Lesson 1


@DTYPES
@pytest.mark.parametrize(("shape", "scale"), [((3, 4, 5), 2.0), ((1, 1, 2), 2.0), ((2, 3, 5), 1e4)])
def test_gather_logprobs(dtype, shape, scale):
    tokens = torch.randint(shape[-1], shape[:-1], generator=torch.Generator().manual_seed(1))
    atol = 2e-3 if scale == 1e4 and dtype == F32 else None  # a float32 of 1e4 has steps of 1e-3
    compare(gather_logprobs, oracles.gather_logprobs, normal(shape, 2, dtype, scale), tokens, gradient=[0], atol=atol)


@DTYPES
@EACH_MODEL
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_response_logprobs(make_model, dtype, temperature):
    model = make_model().to(dtype)
    truth = copy.deepcopy(model).double()
    input_ids, attention_mask = join(*left_pad(PROMPTS, EOS), responses(), MASK)
    result = pure(response_logprobs, model, input_ids, attention_mask, MASK.shape[1], temperature)
    expected = oracles.response_logprobs(truth, input_ids, attention_mask, MASK.shape[1], temperature)
    assert result.shape == MASK.shape
    close(result[MASK], expected[MASK], dtype, atol=2e-5 if dtype == F32 else None)
    weights = normal(MASK.shape, 3, F64) * MASK
    (result * weights).sum().backward()
    (expected * weights).sum().backward()
    wanted = {name: p.grad for name, p in truth.named_parameters()}
    for name, p in model.named_parameters():
        if wanted[name] is None:  # the value head
            assert p.grad is None
        else:
            close(p.grad, wanted[name], dtype, atol=1e-4 if dtype == F32 else None)


def test_response_logprobs_default_temperature_is_one():
    arguments = *join(*left_pad(PROMPTS, EOS), responses(), MASK), MASK.shape[1]
    same(response_logprobs(Toy(), *arguments), response_logprobs(Toy(), *arguments, temperature=1.0))


def test_response_mask():
    tokens = torch.tensor([[5, 2, 2, 2], [5, 6, 7, 8], [2, 5, 2, 5], [4, 5, 6, 2], [4, 2, 5, 7]])
    same(pure(response_mask, tokens, 2), oracles.response_mask(tokens, 2))
    same(response_mask(tokens[:1, :1], 2), torch.tensor([[True]]))
    same(response_mask(torch.tensor([[0]]), 0), torch.tensor([[True]]))


def sample(model, prompts=PROMPTS, length=6, temperature=0.8, seed=0):
    return pure(sample_response, model, *left_pad(prompts, EOS), length, temperature, EOS, torch.Generator().manual_seed(seed))


@DTYPES
@EACH_MODEL
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sample_logprobs_are_those_of_what_was_sampled(make_model, dtype, temperature):
    model = make_model().to(dtype)
    weights = copy.deepcopy(model.state_dict())
    prompts = PROMPTS * 3
    tokens, logprobs, mask = sample(model, prompts, temperature=temperature)
    assert tokens.dtype == torch.int64 and logprobs.dtype == dtype and mask.dtype == torch.bool
    assert tokens.shape == logprobs.shape == mask.shape and tokens.shape[0] == len(prompts) and tokens.shape[1] <= 6
    assert not logprobs.requires_grad and not model.training
    for name, weight in model.state_dict().items():
        same(weight, weights[name])
    same(mask, oracles.response_mask(tokens, EOS))
    assert (~mask).any() and mask[:, -1].any()  # some rows have ended, some not
    assert (tokens[~mask] == EOS).all() and not logprobs[~mask].any()
    truth = copy.deepcopy(model).double()
    expected = torch.zeros(mask.shape, dtype=F64)
    for b, t in mask.nonzero().tolist():
        p = oracles.next_token_distribution(truth, prompts[b], tokens[b, :t], temperature)
        expected[b, t] = p[tokens[b, t]].log()
    close(logprobs, expected, dtype, atol=2e-5 if dtype == F32 else None)


@EACH_MODEL
@pytest.mark.parametrize("length", [1, 4])
def test_sample_length(make_model, length):
    tokens = sample(make_model(), length=length).tokens
    assert tokens.shape[0] == len(PROMPTS) and 1 <= tokens.shape[1] <= length
    assert sample(make_model(), PROMPTS[:1], length).tokens.shape[0] == 1


def test_sample_where_all_end_at_once():
    model = Toy()
    model.head.data[:, EOS] = 0
    model.forward = lambda input_ids, attention_mask, position_ids: SimpleNamespace(
        logits=torch.zeros(*input_ids.shape, VOCABULARY).index_fill(-1, torch.tensor([EOS]), 1e4)
    )
    tokens, logprobs, mask = sample(model)
    assert (tokens == EOS).all() and not logprobs.any()
    same(mask, oracles.response_mask(tokens, EOS))


def test_sample_uses_nothing_but_its_generator():
    model = gpt2()
    first, again, other = sample(model, seed=1), sample(model, seed=1), sample(model, seed=2)
    for a, b in zip(first, again, strict=True):
        same(a, b)
    assert first.tokens.shape != other.tokens.shape or not torch.equal(first.tokens, other.tokens)
    arguments = *left_pad(PROMPTS, EOS), 6, 0.8, EOS
    torch.manual_seed(3)
    without = sample_response(model, *arguments)
    torch.manual_seed(3)
    same(sample_response(model, *arguments).tokens, without.tokens)
    assert not torch.equal(sample_response(model, *arguments).logprobs, without.logprobs)


@EACH_MODEL
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_sample_follows_the_distribution(make_model, temperature):
    """Chi-square over the first two tokens. A right answer falls below the bound in one of 1e7 draws."""
    model, n = make_model(), 3000
    prompts = [[5, 9, 2], [4]]  # the second is padded on the left
    tokens = sample(model, prompts * n, length=2, temperature=temperature).tokens
    for row, prompt in enumerate(prompts):
        first = oracles.next_token_distribution(model, prompt, [], temperature)
        pairs = [oracles.next_token_distribution(model, prompt, [a], temperature) * first[a] for a in range(VOCABULARY)]
        pairs[EOS] = torch.eye(VOCABULARY, dtype=F64)[EOS] * first[EOS]
        expected = n * torch.cat(pairs)
        seen = (tokens[row::2, 0] * VOCABULARY + tokens[row::2, 1]).bincount(minlength=VOCABULARY**2).double()
        assert not seen[expected == 0].any()
        rare = expected < 5
        seen, expected = (torch.cat([x[~rare], x[rare].sum().unsqueeze(0)]) for x in (seen, expected))
        statistic = ((seen - expected).square() / expected.clamp(min=1)).sum()
        assert torch.special.gammaincc(torch.tensor((len(seen) - 1) / 2, dtype=F64), statistic / 2) > 1e-7


# Lesson 2


@DTYPES
@pytest.mark.parametrize(
    "id2label",
    [
        {0: "POSITIVE", 1: "NEGATIVE", 2: "other"},
        {0: "negative", 1: "Positive", 2: "other"},
        {"2": "positive", "0": "not positive", "1": "non-positive"},
        {2: "neutral", 1: "positive", 0: "negative"},
    ],
)
def test_positive_logit(dtype, id2label):
    for batch in (4, 1):
        logits = normal((batch, 3), 1, dtype)
        close(pure(positive_logit, logits, id2label), oracles.positive_logit(logits, id2label), dtype)


def test_positive_logit_names_the_labels_it_has():
    with pytest.raises(ValueError, match=r"LABEL_0.*non-positive"):
        positive_logit(torch.zeros(1, 2), {0: "LABEL_0", 1: "non-positive"})


WORDS = ["a", "good", "bad", "film", "very", "was", "it", "the", "not", "fun"]
TEXTS = [
    "a very good film", "bad", "it was not a good film it was very very bad", "", "the film was fun", "good good good",
    "not fun", "unknown film",
]  # fmt: skip


@pytest.fixture(scope="module", params=[0, 1], ids=["positive first", "positive second"])
def classifier(request):
    torch.manual_seed(0)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    labels = {request.param: "POSITIVE", 1 - request.param: "NEGATIVE"}
    config = DistilBertConfig(
        vocab_size=len(names), dim=16, hidden_dim=32, n_layers=2, n_heads=2, max_position_embeddings=32, dropout=0.5,
        initializer_range=0.5, id2label=labels, label2id={label: i for i, label in labels.items()}, pad_token_id=0,
    )  # fmt: skip
    tokenizer = BertTokenizerFast(vocab={name: i for i, name in enumerate(names)})
    return DistilBertForSequenceClassification(config), tokenizer


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_reward_wrapper(classifier, batch_size):
    model, tokenizer = classifier
    texts = list(TEXTS)
    expected = oracles.reward_scores(model, tokenizer, texts, max_length=8)
    assert expected.std() > 0.1
    model.train()
    scores = pure(RewardWrapper(model, tokenizer, batch_size, max_length=8), texts)
    assert texts == TEXTS and not scores.requires_grad
    close(scores, expected, F32, atol=1e-5)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


def test_reward_wrapper_sets_evaluation_mode_at_each_call(classifier):
    wrapper = RewardWrapper(*classifier, batch_size=4, max_length=8)
    first = wrapper(TEXTS)
    classifier[0].train()
    same(wrapper(TEXTS), first)


def test_reward_wrapper_batch_mates_do_not_matter(classifier):
    wrapper = RewardWrapper(*classifier, batch_size=100, max_length=20)
    alone = torch.cat([wrapper([text]) for text in TEXTS])
    assert alone.shape == (len(TEXTS),)
    close(wrapper(TEXTS), alone.double(), F32, atol=1e-5)
    close(wrapper(TEXTS[::-1]), alone.flip(0).double(), F32, atol=1e-5)


def test_reward_wrapper_of_nothing(classifier):
    scores = RewardWrapper(*classifier, batch_size=4, max_length=8)([])
    assert scores.shape == (0,) and scores.dtype == F32


def test_reward_wrapper_cuts_on_the_right(classifier):
    wrapper = RewardWrapper(*classifier, batch_size=4, max_length=5)  # three words between [CLS] and [SEP]
    whole, same_start, same_end = wrapper(["a good film", "a good film was not", "was not a good film"]).tolist()
    assert whole == pytest.approx(same_start, abs=1e-5)
    assert abs(whole - same_end) > 1e-3


def test_reward_wrapper_with_a_tokenizer_that_pads_and_cuts_on_the_left(classifier):
    """As tokenizers come that were made for a policy."""
    model, tokenizer = classifier
    expected = oracles.reward_scores(model, tokenizer, TEXTS, max_length=8)
    left = copy.deepcopy(tokenizer)
    left.padding_side = "left"
    scores = RewardWrapper(model, left, batch_size=4, max_length=20)(TEXTS)
    close(scores, oracles.reward_scores(model, tokenizer, TEXTS, max_length=20), F32, atol=1e-5)
    left.truncation_side = "left"
    close(RewardWrapper(model, left, batch_size=4, max_length=8)(TEXTS), expected, F32, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"target_words": 3, "weight": 2.0}])
def test_length_bonus(settings):
    texts = ["unbelievable", "a  b\nc", "a b c d e", " ", "x " * 60]
    close(length_bonus(texts, **settings), oracles.length_bonus(texts, **settings), F32)
    close(length_bonus([], **settings), torch.zeros(0, dtype=F64), F32)


def close_to_either(actual, oracle, *args, dtype, **kwargs):
    """The biased and the unbiased deviation are both right."""
    biased, unbiased = (oracle(*args, **kwargs, unbiased=u) for u in (False, True))
    nearer = biased if (actual - biased).abs().sum() <= (actual - unbiased).abs().sum() else unbiased
    close(actual, nearer, dtype)


@DTYPES
@pytest.mark.parametrize(
    ("scores", "settings"),
    [([3.0, -1.0, 4.0, 1.5, -5.0], {}), ([3.0, -1.0, 4.0], {"eps": 0.5}), ([7.0], {}), ([2.0, 2.0, 2.0], {})],
)
def test_normalize_scores(dtype, scores, settings):
    scores = torch.tensor(scores, dtype=dtype)
    result = pure(normalize_scores, scores, **settings)
    close_to_either(result, oracles.normalize_scores, scores, dtype=dtype, **settings)


# Lesson 3


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_last_token_index(dtype):
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=dtype)
    same(pure(last_token_index, mask), oracles.last_token_index(mask))
    same(last_token_index(mask[:1, :1]), torch.tensor([0]))


@DTYPES
@pytest.mark.parametrize(("n", "scale"), [(7, 2.0), (1, 2.0), (7, 1e4)])
def test_bradley_terry_loss(dtype, n, scale):
    pair = normal(n, 1, dtype, scale), normal(n, 2, dtype, scale)
    compare(bradley_terry_loss, oracles.bradley_terry_loss, *pair, gradient=[0, 1])


@DTYPES
def test_pairwise_accuracy(dtype):
    chosen = torch.tensor([2.0, 1.0, 0.0, 3.0, -1.0, 4.0, 2.5], dtype=dtype)
    rejected = torch.tensor([1.0, 1.0, 5.0, -3.0, -1.0, 1.0, 2.5], dtype=dtype)
    for rows in (slice(None), slice(0, 1), slice(2, 3)):
        close(
            pure(pairwise_accuracy, chosen[rows], rejected[rows]),
            oracles.pairwise_accuracy(chosen[rows], rejected[rows]),
            dtype,
        )


# Lesson 4


@DTYPES
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("shape", [(4, 5), (1, 1)])
def test_kl_estimate(dtype, estimator, shape):
    pair = normal(shape, 1, dtype), normal(shape, 2, dtype)
    compare(kl_estimate, oracles.kl_estimate, *pair, estimator=estimator, gradient=[0])


def test_kl_estimate_near_zero():
    ref = torch.tensor([[-1.0, -1.0]])
    logprobs = ref + torch.tensor([[1e-3, -1e-3]])
    expected = oracles.kl_estimate(logprobs, ref, "k3")
    assert ((kl_estimate(logprobs, ref, "k3") - expected).abs() < 2e-3 * expected).all()


def test_kl_estimate_refuses_another_name():
    with pytest.raises(ValueError, match="k4"):
        kl_estimate(torch.zeros(1, 1), torch.zeros(1, 1), "k4")


@DTYPES
@pytest.mark.parametrize(("shape", "scale"), [((3, 4, 5), 1.5), ((1, 1, 2), 1.5), ((3, 4, 5), 1e4)])
def test_kl_exact(dtype, shape, scale):
    pair = normal(shape, 1, dtype, scale), normal(shape, 2, dtype, scale)
    compare(kl_exact, oracles.kl_exact, *pair, gradient=[0], atol=2e-3 if scale == 1e4 and dtype == F32 else None)


@DTYPES
@EACH_MASK
def test_shape_rewards(dtype, mask):
    batch = normal(len(mask), 1, dtype, 3.0), masked_normal(mask, 2, dtype), masked_normal(mask, 3, dtype)
    rewards = compare(shape_rewards, oracles.shape_rewards, *batch, mask, kl_coef=0.3)
    assert not rewards.requires_grad and not rewards[~mask].any()
    positive, negative = (mask & (sign * (batch[1] - batch[2]) > 0.1) for sign in (1, -1))
    assert len(mask) < 3 or (positive.any() and negative.any())  # else the absolute value would not show


def test_adaptive_kl_controller():
    observations = [(9.0, 50), (6.6, 10), (0.0, 100), (5.5, 64), (-2.0, 7), (6.0, 8)]
    controller, values = AdaptiveKLController(0.2, 6.0, 100), []
    assert isinstance(controller.value, float) and controller.value == 0.2
    for kl, n_steps in observations:
        controller.update(kl, n_steps)
        values.append(controller.value)
    assert isinstance(controller.value, float)
    assert values == pytest.approx(oracles.adaptive_kl_values(0.2, 6.0, 100, observations), rel=1e-12)


# Lesson 5


@DTYPES
@EACH_MASK
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
def test_masked_mean(dtype, mask, dim):
    x = masked_normal(mask, 1, dtype, 3.0) + 1
    compare(masked_mean, oracles.masked_mean, x, mask, dim=dim, gradient=[0])


@DTYPES
def test_masked_mean_of_any_shape(dtype):
    mask = torch.stack([MASK[:2], MASK[2:4], MASK[4:]])
    x = masked_normal(mask, 1, dtype)
    close(masked_mean(x, mask), oracles.masked_mean(x.flatten(1), mask.flatten(1)), dtype)
    expected = torch.stack([oracles.masked_mean(block, keep, dim=0) for block, keep in zip(x, mask, strict=True)])
    close(masked_mean(x, mask, dim=1), expected, dtype)
    close(masked_mean(x[0, 0], mask[0, 0], dim=0), oracles.masked_mean(x[0, :1], mask[0, :1]), dtype)


@DTYPES
@EACH_MASK
@pytest.mark.parametrize("settings", [{}, {"shift_mean": False}, {"eps": 0.5}])
def test_masked_whiten(dtype, mask, settings):
    x = masked_normal(mask, 1, dtype, 3.0) + 2
    whitened = pure(masked_whiten, x, mask, **settings)
    close_to_either(whitened, oracles.masked_whiten, x, mask, dtype=dtype, **settings)
    assert not whitened[~mask].any()


@DTYPES
@pytest.mark.parametrize("shift_mean", [True, False])
def test_masked_whiten_of_one_token(dtype, shift_mean):
    mask = ragged([0, 1], 3)
    x = torch.where(mask, 2.0, torch.full(mask.shape, JUNK, dtype=dtype))
    close(masked_whiten(x, mask, shift_mean), mask.double() * (0.0 if shift_mean else 2.0), dtype)


@DTYPES
@EACH_MASK
def test_compute_gae(dtype, mask):
    args = leaves([masked_normal(mask, 1, dtype), masked_normal(mask, 2, dtype, 2.0)])
    results = pure(compute_gae, *args, mask, gamma=0.9, lam=0.7)
    for result, expected in zip(results, oracles.compute_gae(*args, mask, 0.9, 0.7), strict=True):
        close(result, expected, dtype)
        assert not result.requires_grad and not result[~mask].any()


@DTYPES
@EACH_MASK
@pytest.mark.parametrize("trust", [1.0, 0.4, -2.0])
def test_explained_variance(dtype, mask, trust):
    returns = masked_normal(mask, 1, dtype, 3.0) + 2
    values = trust * returns + masked_normal(mask, 2, dtype, 0.5)
    result = pure(explained_variance, values, returns, mask)
    close(result, oracles.explained_variance(values, returns, mask), dtype)


@DTYPES
def test_explained_variance_of_equal_returns(dtype):
    """0.1 is no number of the machine: the computed mean of equal returns need not be their value."""
    mask = ragged([7, 3, 0], 7)
    values = masked_normal(mask, 1, dtype)
    close(explained_variance(values, torch.full_like(values, 0.1), mask), torch.tensor(0.0, dtype=F64), dtype)


# Lesson 6


def policy_batch(mask, dtype, clip_range=0.2):
    """Log-probabilities with ratios on both sides of both clips, for advantages of both signs."""
    old = masked_normal(mask, 1, dtype) - 2
    logprobs = torch.where(mask, old + normal(mask.shape, 5, dtype, 0.4), -old)
    advantages = masked_normal(mask, 3, dtype)
    ratio = (logprobs - old).exp()
    inside = (ratio - 1).abs() < clip_range
    for side in (ratio > 1 + clip_range, ratio < 1 - clip_range, inside):
        for good in (advantages > 0, advantages < 0):
            assert len(mask) < 3 or (mask & side & good).any()
    return logprobs, old, advantages


@DTYPES
@EACH_MASK
def test_policy_loss(dtype, mask):
    batch = policy_batch(mask, dtype)
    compare(policy_loss, oracles.policy_loss, *batch, mask, clip_range=0.2, gradient=[0], constant=[1, 2])


def test_policy_loss_at_ratio_one():
    """Where the first step of each update begins: minus the mean advantage, in a gradient that no clip stops."""
    logprobs, _, advantages = policy_batch(MASK, F64)
    batch = logprobs, logprobs, advantages
    compare(policy_loss, oracles.policy_loss, *batch, MASK, clip_range=0.2, gradient=[0], constant=[1, 2])


@DTYPES
@EACH_MASK
def test_value_loss(dtype, mask):
    old, returns = masked_normal(mask, 1, dtype), masked_normal(mask, 2, dtype)
    values = torch.where(mask, old + normal(mask.shape, 6, dtype, 0.5), -old)
    if len(mask) > 3:
        clipped = old + (values - old).clamp(-0.3, 0.3)
        wins = (clipped - returns).abs() > (values - returns).abs()
        for side in (values - old > 0.3, values - old < -0.3):
            assert (mask & side & wins).any() and (mask & side & ~wins).any()
    compare(value_loss, oracles.value_loss, values, old, returns, mask, clip_range=0.3, gradient=[0], constant=[1, 2])


@DTYPES
@EACH_MASK
@pytest.mark.parametrize("scale", [1.5, 1e4])
def test_masked_entropy(dtype, mask, scale):
    logits = normal((*mask.shape, 4), 1, dtype, scale)
    logits[..., 1] = logits[..., 0]  # so that something is left of it at 1e4
    logits = torch.where(mask.unsqueeze(-1), logits, JUNK * logits.sign())
    atol = 2e-3 if scale == 1e4 and dtype == F32 else None
    compare(masked_entropy, oracles.masked_entropy, logits, mask, gradient=[0], atol=atol)


def rollout_of(policy, dtype, temperature=0.8):
    """Six responses, one of them empty, whose old log-probabilities and values lie around those of the policy."""
    prompt_ids, prompt_mask = left_pad(PROMPTS, EOS)
    tokens = responses()
    logits, values = response_states(copy.deepcopy(policy).double(), prompt_ids, prompt_mask, tokens, MASK)
    now = oracles.gather_logprobs(logits / temperature, tokens).detach()
    old = torch.where(MASK, now + normal(MASK.shape, 1, F64, 0.3), 9.0)
    old_values = torch.where(MASK, values.detach() + normal(MASK.shape, 2, F64, 0.3), 9.0)
    advantages, returns = (torch.where(MASK, normal(MASK.shape, seed, F64), 9.0) for seed in (3, 4))
    floats = [x.to(dtype) for x in (old, old_values, advantages, returns)]
    return Rollout(prompt_ids, prompt_mask, tokens, MASK, *floats)


SGD = [torch.optim.SGD, {"lr": 0.1, "momentum": 0.5}]
ADAM = [torch.optim.Adam, {"lr": 0.01, "eps": 1e-3}]


@pytest.mark.parametrize(
    ("dtype", "optimizer", "changes"),
    [
        (F64, SGD, {}),
        (F64, SGD, {"max_grad_norm": 1e3}),
        (F64, ADAM, {"entropy_coef": 0.0, "minibatch_size": 6, "ppo_epochs": 2}),
        (F64, SGD, {"minibatch_size": 1, "ppo_epochs": 1, "max_grad_norm": 1e3, "temperature": 1.0}),
        (F32, SGD, {}),
    ],
)
def test_ppo_step(dtype, optimizer, changes):
    settings = dict(ppo_epochs=3, minibatch_size=4, clip_range=0.2, value_clip_range=0.3, value_coef=0.5)
    settings |= dict(entropy_coef=0.1, max_grad_norm=0.3, temperature=0.8)
    config = PPOConfig(**settings | changes)  # six rows: the last minibatch of four has two
    policy = with_value(gpt2()).to(dtype)
    rollout = rollout_of(policy, dtype, config.temperature)
    before = copy.deepcopy(policy.state_dict())
    generator = torch.Generator().manual_seed(7)
    permutations = [torch.randperm(len(MASK), generator=generator) for _ in range(config.ppo_epochs)]
    factory, options = optimizer
    expected = oracles.ppo_step_parameters(policy, lambda p: factory(p, **options), rollout, config, permutations)
    policy.train()  # there is a dropout that would show
    for p in policy.parameters():
        p.grad = torch.ones_like(p)  # left over by somebody else
    stats = pure(
        lambda *fields: ppo_step(
            policy, factory(policy.parameters(), **options), Rollout(*fields), config, torch.Generator().manual_seed(7)
        ),
        *vars(rollout).values(),
    )
    assert_curves(stats)
    moved = max((expected[name] - before[name].double()).abs().max() for name in expected)
    assert moved > 0.01
    for name, weight in policy.state_dict().items():
        close(weight, expected[name], dtype, atol=1e-4 if dtype == F32 else 2e-6 * moved.item())  # torch clips by norm + 1e-6


def test_ppo_step_stops_at_a_loss_that_is_not_finite():
    policy = with_value(gpt2())
    rollout = rollout_of(policy, F32)
    rollout.advantages.fill_(torch.nan)
    before = copy.deepcopy(policy.state_dict())
    with pytest.raises(FloatingPointError, match="nan"):
        ppo_step(policy, torch.optim.SGD(policy.parameters(), lr=0.1), rollout, PPOConfig(), torch.Generator().manual_seed(0))
    for name, weight in policy.state_dict().items():
        same(weight, before[name])


# Lesson 7


class Letters:
    """Token 1 is a, 2 is b...; 0 ends a text and pads it."""

    pad_token_id = eos_token_id = EOS

    def batch_decode(self, rows, skip_special_tokens=False):
        names = ["" if skip_special_tokens else "<end>", *"abcdefghij"]
        return ["".join(names[int(token)] for token in row) for row in rows]


def share_of_c(texts):
    return torch.tensor([text.count("c") / len(text) for text in texts])


LOOP_PROMPTS = [[1, 2], [3, 4], [5], [6, 7, 8], [9, 1], [2]]


def run_loop(callback=None, reward_fn=share_of_c, lm_seed=0, prompts=LOOP_PROMPTS, reference=None, **changes):
    """A short run from the same beginning each time: (history, policy, reference)."""
    reference = (reference or gpt2(lm_seed)).requires_grad_(False).train()  # both have a dropout that would show
    policy = with_value(gpt2(lm_seed)).train()
    settings = dict(tokenizer=Letters(), n_updates=4, batch_size=16, max_new_tokens=5, minibatch_size=10, ppo_epochs=2)
    settings |= dict(learning_rate=3e-3, value_learning_rate=1e-2, init_kl_coef=0.05, seed=3)
    history = rlhf_loop(policy, reference, reward_fn, prompts, LoopConfig(**settings | changes), callback)
    return history, policy, reference


def comparable(history):
    """Without the times, which differ from run to run."""
    return [{name: value for name, value in stats.items() if not name.startswith("seconds")} for stats in history]


def same_weights(a, b):
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


def test_rlhf_loop_learns():
    untouched = gpt2()

    def count_of_e(texts):
        return torch.tensor([float(text.count("e")) for text in texts])

    history, policy, reference = run_loop(
        reward_fn=count_of_e, n_updates=15, batch_size=32, minibatch_size=16, learning_rate=1e-2
    )
    reward = torch.tensor([stats["reward"] for stats in history])
    assert len(history) == 15
    assert reward[-3:].mean() > reward[:3].mean() + 2
    assert all(math.isfinite(value) for stats in history for value in stats.values())
    assert abs(history[0]["kl"]) < 1e-4 < history[-1]["kl"]
    same_weights(reference, untouched)
    assert not torch.equal(policy.lm.transformer.wte.weight, untouched.transformer.wte.weight)


def test_rlhf_loop_repeats_itself():
    first, policy, _ = run_loop()
    again, other, _ = run_loop()
    assert comparable(first) == comparable(again)
    same_weights(policy, other)
    assert comparable(run_loop(seed=4)[0]) != comparable(first)


def test_rlhf_loop_calls_back_after_each_update():
    calls = []

    def callback(state, stats):
        calls.append((state.update, stats))
        assert state.history[-1] == stats and len(state.history) == state.update

    history, _, _ = run_loop(callback)
    assert [update for update, _ in calls] == [1, 2, 3, 4]
    assert [stats for _, stats in calls] == history


def test_rlhf_loop_stops_where_the_callback_raises():
    seen = []

    def callback(state, stats):
        seen.append(state)
        if state.update == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        run_loop(callback)
    assert len(seen) == 2 and len(seen[-1].history) == 2


def test_rlhf_loop_measures_and_shapes_what_it_sampled(implement):
    """The first update, worked out again from the texts alone: what is scored, what is reported, what the step gets.

    Policy and reference differ, so that the KL does not vanish; rows are padded on both sides.
    """
    texts, steps = [], []

    def reward_fn(batch):
        texts.extend(batch)
        return torch.tensor([text.count("c") - 0.5 * text.count("a") for text in batch])

    def step(policy, optimizer, rollout, config, generator=None):
        steps.append((copy.deepcopy(rollout), copy.deepcopy(policy)))
        return {}

    implement(ppo_step, step)
    reference = gpt2(seed=1)
    settings = dict(init_kl_coef=0.3, gamma=0.9, lam=0.6, temperature=0.8, n_updates=1)
    with use("mine", otherwise="reference"):
        history, _, _ = run_loop(reward_fn=reward_fn, reference=reference, **settings)
        rollout, policy = steps.pop()
        run_loop(reward_fn=reward_fn, reference=reference, **settings, whiten_advantages=False)
        plain = steps.pop()[0]
    mask = oracles.response_mask(rollout.tokens, EOS)
    same(rollout.mask, mask)
    assert (~mask).any()
    letters = Letters()
    for text, ids, keep, tokens in zip(texts[:16], rollout.prompt_ids, rollout.prompt_mask, rollout.tokens, strict=True):
        assert ids[keep.bool()].tolist() in LOOP_PROMPTS
        assert text == letters.batch_decode([ids[keep.bool()]])[0] + letters.batch_decode([tokens], skip_special_tokens=True)[0]

    states = rollout.prompt_ids, rollout.prompt_mask, rollout.tokens, mask
    logits, values = response_states(policy.double(), *states)
    logprobs = oracles.gather_logprobs(logits / 0.8, rollout.tokens)
    ref_logprobs = oracles.response_logprobs(reference.double(), *join(*states), mask.shape[1], 0.8)
    scores = reward_fn(texts[:16])
    rewards = oracles.shape_rewards(scores, logprobs, ref_logprobs, mask, 0.3)
    advantages, returns = oracles.compute_gae(rewards, values, mask, 0.9, 0.6)
    for actual, expected in [
        (rollout.logprobs, logprobs), (rollout.values, values), (rollout.returns, returns), (plain.advantages, advantages),
    ]:  # fmt: skip
        close(actual[mask], expected[mask], F32, atol=1e-4)
    biased, unbiased = (oracles.masked_whiten(advantages, mask, unbiased=u) for u in (False, True))
    assert min((rollout.advantages - x).abs().max() for x in (biased, unbiased)) < 1e-4
    assert history[0]["reward"] == pytest.approx(scores.mean().item(), abs=1e-6)
    kl = oracles.sequence_kl(logprobs, ref_logprobs, mask)
    assert (kl < -0.1).any() and kl.mean() > 0.1
    assert history[0]["kl"] == pytest.approx(kl.mean().item(), abs=1e-4)


def test_rlhf_loop_steers_the_kl_coefficient():
    history, _, _ = run_loop(target_kl=0.02, kl_horizon=20)
    observations = [(stats["kl"], 16) for stats in history]
    expected = [0.05, *oracles.adaptive_kl_values(0.05, 0.02, 20, observations)]
    assert [stats["kl_coef"] for stats in history] == pytest.approx(expected[:-1], rel=1e-9)
    assert expected[-2] != 0.05


def test_rlhf_loop_lowers_the_learning_rates():
    rates = []
    run_loop(
        lambda state, stats: rates.append([group["lr"] for group in state.optimizer.param_groups]), final_learning_rate=0.4
    )
    shares = [1.0, 0.8, 0.6, 0.4]
    assert rates == [pytest.approx([3e-3 * share, 1e-2 * share]) for share in shares]


def test_rlhf_loop_resumes():
    """From the state after update 2 it does exactly what the undisturbed run did, whatever policy it is handed."""
    states, updates = [], []
    settings = dict(target_kl=0.02, kl_horizon=20)
    history, policy, reference = run_loop(lambda state, stats: states.append(copy.deepcopy(state.state_dict())), **settings)
    resumed, other, _ = run_loop(
        lambda state, stats: updates.append(state.update), resume=states[1], lm_seed=1, reference=reference, **settings
    )
    assert updates == [3, 4]
    assert comparable(resumed) == comparable(history)
    same_weights(policy, other)


def test_rlhf_loop_leaves_the_state_it_resumes_from_as_it_was():
    states = []
    run_loop(lambda state, stats: states.append(copy.deepcopy(state.state_dict())))
    resume, before = states[1], copy.deepcopy(states[1])
    run_loop(resume=resume)
    assert resume["history"] == before["history"]
    for x, y in zip(flat(resume), flat(before), strict=True):
        same(x, y)


@DTYPES
def test_bootstrap_ci(dtype):
    x = normal(400, 1, dtype, 2.0).exp().clamp(max=20)
    for level in (0.95, 0.8):
        interval = pure(bootstrap_ci, x, level, generator=torch.Generator().manual_seed(0))
        low, high = oracles.bootstrap_ci_normal(x, level)
        assert all(isinstance(end, float) for end in interval)
        assert interval == pytest.approx((low, high), abs=0.1 * (high - low))


def test_bootstrap_ci_generator_and_edges():
    x = normal(50, 1)
    first, again, other = (bootstrap_ci(x, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert bootstrap_ci(torch.tensor([2.0])) == (2.0, 2.0)
    # The smallest and the largest of a few means: more resamples reach further.
    few, many = (bootstrap_ci(x, 1.0, n, torch.Generator().manual_seed(0)) for n in (3, 2000))
    assert many[0] < few[0] and few[1] < many[1]


@DTYPES
def test_win_rate(dtype):
    after = torch.tensor([2.0, 0.0, 1.0, -4.0, 3.0], dtype=dtype)
    before = torch.tensor([1.0, 5.0, 1.0, -5.0, 3.0], dtype=dtype)
    for rows in (slice(None), slice(0, 1), slice(1, 2), slice(2, 3)):
        close(pure(win_rate, after[rows], before[rows]), oracles.win_rate(after[rows], before[rows]), dtype)


@DTYPES
@EACH_MASK
def test_sequence_kl(dtype, mask):
    result = compare(sequence_kl, oracles.sequence_kl, masked_normal(mask, 1, dtype), masked_normal(mask, 3, dtype), mask)
    assert len(mask) < 3 or (result.min() < -0.1 and result.max() > 0.1)


# Lesson 8


@DTYPES
def test_best_of_n(dtype):
    scores = normal((3, 7), 1, dtype)
    scores[0, 2:4], scores[1, :6] = 5.0, 1.0  # ties
    for n in (1, 2, 3, 7, 8):
        same(pure(best_of_n, scores, n), oracles.best_of_n(scores, n))
    same(best_of_n(scores[:1], 2), oracles.best_of_n(scores[:1], 2))


def test_best_of_n_kl():
    for n in (1, 2, 4, 64):
        assert isinstance(best_of_n_kl(n), float)
        assert best_of_n_kl(n) == pytest.approx(oracles.best_of_n_kl(n), abs=1e-12)


# Lesson 9


@DTYPES
@pytest.mark.parametrize("shape", [(3, 5), (5, 2), (1, 4)])
def test_rloo_advantages(dtype, shape):
    scores = normal(shape, 1, dtype) + torch.arange(shape[0], dtype=dtype).unsqueeze(1)
    close(pure(rloo_advantages, scores), oracles.rloo_advantages(scores), dtype)


def test_rloo_advantages_of_one_sample():
    with pytest.raises(ValueError, match="two"):
        rloo_advantages(torch.zeros(3, 1))


@DTYPES
@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"eps": 0.5}])
def test_grpo_advantages(dtype, settings):
    scores = normal((3, 5), 1, dtype, 2.0) + torch.arange(3, dtype=dtype).unsqueeze(1)
    scores[1] = 2.0
    for batch in (scores, scores[:1], scores[:, :1]):
        close_to_either(pure(grpo_advantages, batch, **settings), oracles.grpo_advantages, batch, dtype=dtype, **settings)


@DTYPES
@pytest.mark.parametrize(("n", "scale"), [(6, 2.0), (1, 2.0), (6, 1e4)])
def test_dpo_loss(dtype, n, scale):
    four = [normal(n, seed, dtype, scale) - 20 for seed in range(4)]
    compare(dpo_loss, oracles.dpo_loss, *four, beta=0.3, gradient=[0, 1], constant=[2, 3])
