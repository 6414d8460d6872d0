"""The oracles against numbers worked out on paper: every other check of the course leans on them.

Most batches are 2 x 3 with ragged masks, and what a mask hides holds numbers that would show (9, -9, 77).
"""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from autograder import oracles

LOG2, LOG3 = math.log(2), math.log(3)
RAGGED = torch.tensor([[True, True, True], [True, False, False]])
NOTHING = torch.zeros(2, 3, dtype=torch.bool)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def leaf(values):
    return f64(values).requires_grad_()


def close(actual, expected, atol=1e-9):
    """Shape, float64 and value."""
    torch.testing.assert_close(actual.detach(), f64(expected), rtol=0, atol=atol)


def same(actual, expected, dtype):
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=dtype), rtol=0, atol=0)


# Lesson 1. Logits (0, log 3) are the probabilities (1/4, 3/4); log 1/4 = -1.3862943611, log 3/4 = -0.2876820725.


class RunningSum(nn.Module):
    """Two tokens; logits at index i are (0, w * s_i), s_i = the sum of the tokens to i. Refuses padding."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, input_ids, attention_mask, position_ids):
        assert attention_mask.tolist() == [[1] * input_ids.shape[1]]
        assert position_ids.tolist() == [list(range(input_ids.shape[1]))]
        logit = self.w * input_ids.cumsum(1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(logit), logit], -1))


# Row 0 is padded on the left, row 1 on the right; P = 3, T = 2. Real tokens: 1 0 | 1 1 and 1 1 0 | 1.
IDS = torch.tensor([[9, 1, 0, 1, 1], [1, 1, 0, 1, 9]])
PADDING = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 0]])


def test_gather_logprobs_values():
    logits = f64([[[0, LOG3], [LOG3, 0], [5, 5 + LOG3]], [[0, 0], [LOG3 - 2, -2], [1, 1]]])
    tokens = torch.tensor([[1, 1, 0], [0, 0, 1]])
    expected = [
        [-0.2876820724517809, -1.3862943611198906, -1.3862943611198906],  # 3/4, 1/4, 1/4
        [-0.6931471805599453, -0.2876820724517809, -0.6931471805599453],  # 1/2, 3/4, 1/2
    ]
    close(oracles.gather_logprobs(logits, tokens), expected)


def test_gather_logprobs_gradient_is_onehot_minus_softmax():
    logits = leaf([[[0, LOG2, math.log(5)]], [[LOG3, 0, math.log(4)]]])  # (1, 2, 5) / 8 and (3, 1, 4) / 8
    oracles.gather_logprobs(logits, torch.tensor([[2], [0]])).sum().backward()
    close(logits.grad, [[[-0.125, -0.25, 0.375]], [[0.625, -0.125, -0.5]]])


def test_gather_logprobs_large_logits_in_float32():
    logits = torch.tensor([[[1e4, 0.0], [1e4, 0.0]]])
    close(oracles.gather_logprobs(logits, torch.tensor([[0, 1]])), [[0.0, -1e4]])


def test_response_logprobs_values():
    # Row 0: before the two response tokens the sums are 1 and 2, so p(1) = 3/4 and 9/10. Row 1: the sum is 2, p(1) = 9/10.
    expected = [[-0.2876820724517809, -0.1053605156578263], [-0.1053605156578263, 0.0]]
    close(oracles.response_logprobs(RunningSum(LOG3), IDS, PADDING, 2), expected, atol=1e-7)


def test_response_logprobs_temperature():
    # 2 log 3 at temperature 2 is log 3 at temperature 1.
    expected = [[-0.2876820724517809, -0.1053605156578263], [-0.1053605156578263, 0.0]]
    close(oracles.response_logprobs(RunningSum(2 * LOG3), IDS, PADDING, 2, temperature=2.0), expected, atol=1e-7)


def test_response_logprobs_gradient_reaches_the_model():
    # d log p(1) / dw = s * (1 - p): 1 * 1/4 + 2 * 1/10 + 2 * 1/10 = 0.65
    model = RunningSum(LOG3)
    oracles.response_logprobs(model, IDS, PADDING, 2).sum().backward()
    assert model.w.grad.item() == pytest.approx(0.65, abs=1e-6)


def test_response_logprobs_empty_response_is_zero_with_a_gradient():
    model = RunningSum(LOG3)
    logprobs = oracles.response_logprobs(model, IDS[:1], torch.tensor([[0, 1, 1, 0, 0]]), 2)
    close(logprobs, [[0.0, 0.0]])
    logprobs.sum().backward()
    assert model.w.grad.item() == 0


def test_response_mask():
    tokens = torch.tensor([[5, 2, 2], [5, 5, 5], [2, 5, 2]])
    same(oracles.response_mask(tokens, 2), [[True, True, False], [True, True, True], [True, False, False]], torch.bool)


def test_next_token_distribution():
    # The sum is 1 after 1 0 and 2 after 1 0 | 1: p(1) = 3/4, then 9/10; 2 log 3 halves at temperature 2.
    model = RunningSum(LOG3)
    close(oracles.next_token_distribution(model, torch.tensor([1, 0]), [], 1.0), [0.25, 0.75], atol=1e-7)
    close(oracles.next_token_distribution(model, torch.tensor([1, 0]), torch.tensor([1]), 1.0), [0.1, 0.9], atol=1e-7)
    model = RunningSum(2 * LOG3)
    close(oracles.next_token_distribution(model, torch.tensor([1, 0]), [], 2.0), [0.25, 0.75], atol=1e-7)


def test_next_token_distribution_follows_the_last_generated_token():
    def last_token(input_ids, attention_mask, position_ids):  # logits (0, log 3) after a 1, (0, 0) after a 0
        return SimpleNamespace(logits=torch.stack([torch.zeros(input_ids.shape), LOG3 * input_ids], -1))

    close(oracles.next_token_distribution(last_token, [1], [1, 0], 1.0), [0.5, 0.5])
    close(oracles.next_token_distribution(last_token, [0], [0, 1], 1.0), [0.25, 0.75], atol=1e-7)


# Lesson 2


class LetterTokenizer:
    """One token a letter, a = 1, b = 2..., cut on `truncation_side`."""

    truncation_side = "left"

    def __call__(self, text, truncation, max_length, return_tensors):
        assert truncation and return_tensors == "pt"
        kept = text[:max_length] if self.truncation_side == "right" else text[-max_length:]
        ids = torch.tensor([[ord(letter) - 96 for letter in kept]])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class LetterModel(nn.Module):
    """Logits (sum of the letters, minus it), spoiled by a dropout of everything in train mode."""

    config = SimpleNamespace(id2label={0: "positive", 1: "negative"})

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(1.0)
        self.w = nn.Parameter(torch.ones(()))

    def forward(self, input_ids, attention_mask):
        total = self.dropout(self.w * (input_ids * attention_mask).sum(1).float())
        return SimpleNamespace(logits=torch.stack([total, -total], -1))


@pytest.mark.parametrize("id2label", [{1: "Positive", 0: "NEGATIVE"}, {"0": "neutral", "1": "POSITIVE"}])
def test_positive_logit(id2label):
    close(oracles.positive_logit(torch.tensor([[1.0, 4.0], [2.0, -8.0]]), id2label), [4.0, -8.0])


def test_positive_logit_names_the_labels_it_has():
    with pytest.raises(ValueError, match=r"LABEL_0.*non-positive"):
        oracles.positive_logit(torch.zeros(1, 2), {0: "LABEL_0", 1: "non-positive"})


def test_reward_scores():
    model, tokenizer = LetterModel(), LetterTokenizer()
    scores = oracles.reward_scores(model, tokenizer, ["cab", "a", "abz"], max_length=2)
    close(scores, [4.0, 1.0, 3.0])  # c + a = 3 + 1, a = 1, a + b = 1 + 2
    assert not scores.requires_grad
    assert model.training and model.dropout.training and tokenizer.truncation_side == "left"
    close(oracles.reward_scores(model, tokenizer, [], max_length=2), [])


def test_reward_scores_restores_each_module():
    model = LetterModel().eval()
    model.dropout.train()
    close(oracles.reward_scores(model, LetterTokenizer(), ["b"], max_length=2), [2.0])
    assert not model.training and model.dropout.training


def test_length_bonus():
    # 0.5 * 1 / 4, 0.5 * 4 / 4, 0.5 * 1 for 5 words of 4, nothing for no words
    texts = ["unbelievable", "a  b\nc d", "a b c d e", " "]
    close(oracles.length_bonus(texts, target_words=4, weight=0.5), [0.125, 0.5, 0.5, 0.0])
    close(oracles.length_bonus(["a b"]), [0.02])  # the defaults: 0.5 * 2 / 50


def test_normalize_scores():
    # 1, 1, 5, 5: mean 3, biased deviation 2, so -+2 / 2.5; unbiased sqrt(16 / 3) = 2.3094010768, so -+2 / 2.8094010768
    scores = torch.tensor([1.0, 5.0, 1.0, 5.0])
    close(oracles.normalize_scores(scores, eps=0.5), [-0.8, 0.8, -0.8, 0.8])
    u = 0.7118955056
    close(oracles.normalize_scores(scores, eps=0.5, unbiased=True), [-u, u, -u, u])


@pytest.mark.parametrize("unbiased", [False, True])
def test_normalize_scores_without_spread(unbiased):
    close(oracles.normalize_scores(torch.tensor([7.0]), unbiased=unbiased), [0.0])
    close(oracles.normalize_scores(torch.tensor([2.0, 2.0, 2.0]), unbiased=unbiased), [0.0, 0.0, 0.0])


# Lesson 3


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_last_token_index(dtype):
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=dtype)
    same(oracles.last_token_index(mask), [1, 3, 2, 3, 0], torch.int64)


def test_bradley_terry_loss():
    # Differences log 3 and -log 3: sigmoid 3/4 and 1/4, loss (0.2876820725 + 1.3862943611) / 2.
    chosen, rejected = leaf([LOG3 + 1, 2.0]), leaf([1.0, LOG3 + 2])
    loss = oracles.bradley_terry_loss(chosen, rejected)
    close(loss, 0.8369882167858358)
    loss.backward()
    close(chosen.grad, [-0.125, -0.375])  # -(1 - sigmoid) / 2
    close(rejected.grad, [0.125, 0.375])


def test_bradley_terry_loss_at_extremes():
    chosen, rejected = leaf([-1e4, 1e4, 0.0, 0.0]), leaf([0.0, 0.0, 0.0, 0.0])
    loss = oracles.bradley_terry_loss(chosen, rejected)
    close(loss, 2500.3465735902798)  # (10000 + 0 + log 2 + log 2) / 4
    loss.backward()
    close(chosen.grad, [-0.25, 0.0, -0.125, -0.125])


def test_pairwise_accuracy():
    # won, tied, lost, won: 2.5 / 4
    close(oracles.pairwise_accuracy(torch.tensor([2.0, 1.0, 0.0, 3.0]), torch.tensor([1.0, 1.0, 5.0, -3.0])), 0.625)


# Lesson 4


@pytest.mark.parametrize(
    ("estimator", "values", "gradient"),
    [
        # At d = log 2, -log 2, 0. d = 0.6931471806; d^2 / 2 = 0.2402265070; 1/2 - 1 + d and 2 - 1 - d.
        ("k1", [0.6931471805599453, -0.6931471805599453, 0.0], [1.0, 1.0, 1.0]),
        ("k2", [0.2402265069591007, 0.2402265069591007, 0.0], [0.6931471805599453, -0.6931471805599453, 0.0]),
        ("k3", [0.1931471805599453, 0.3068528194400547, 0.0], [0.5, -1.0, 0.0]),  # 1 - exp(-d)
    ],
)
def test_kl_estimate(estimator, values, gradient):
    logprobs = leaf([[LOG2 - 3, -LOG2 - 3, -4.0], [-4.0, LOG2 - 3, -LOG2 - 3]])
    result = oracles.kl_estimate(logprobs, f64([[-3.0, -3.0, -4.0], [-4.0, -3.0, -3.0]]), estimator)
    close(result, [values, [values[2], values[0], values[1]]])
    result.sum().backward()
    close(logprobs.grad, [gradient, [gradient[2], gradient[0], gradient[1]]])


def test_kl_estimate_k3_near_zero():
    # d^2 / 2 - d^3 / 6 + d^4 / 24 at d = 0.001: 5e-7 - 1.66666667e-10 + 4.2e-14
    close(oracles.kl_estimate(f64([[0.001]]), f64([[0.0]]), "k3"), [[4.99833375e-7]], atol=1e-14)


def test_kl_estimate_refuses_another_name():
    with pytest.raises(ValueError, match="k4"):
        oracles.kl_estimate(f64([[0.0]]), f64([[0.0]]), "k4")


def test_kl_exact_values_and_gradient():
    # p = (1/4, 3/4), q = (1/2, 1/2): 1/4 log 1/2 + 3/4 log 3/2 = -0.1732867951 + 0.3040988311.
    # The other way: 1/2 log 2 + 1/2 log 2/3 = 0.3465735903 - 0.2027325541. Last: p = q up to a constant of the logits.
    logits = leaf([[[0, LOG3], [4, 4], [0, LOG3]]])
    result = oracles.kl_exact(logits, f64([[[2, 2], [0, LOG3], [7, LOG3 + 7]]]))
    close(result, [[0.13081203594113697, 0.14384103622589042, 0.0]])
    result[0, 0].backward()
    # p_k (log p_k / q_k - KL): 1/4 (-0.6931471806 - 0.1308120359) and its opposite
    g = 0.20598980412527057
    close(logits.grad, [[[-g, g], [0.0, 0.0], [0.0, 0.0]]])


def test_kl_exact_large_logits():
    logits = leaf([[[1e4, 0.0]]])
    result = oracles.kl_exact(logits, f64([[[0.0, 1e4]]]))
    close(result, [[1e4]])
    result.sum().backward()
    close(logits.grad, [[[0.0, 0.0]]])


def test_shape_rewards():
    logprobs = leaf([[-1.0, -2.0, -3.0], [-1.0, 9.0, -9.0], [9.0, 9.0, 9.0]])
    ref = leaf([[-2.0, -2.0, -1.0], [-4.0, -9.0, 9.0], [-9.0, -9.0, -9.0]])
    scores = leaf([10.0, -5.0, 77.0])
    mask = torch.cat([RAGGED, NOTHING[:1]])
    rewards = oracles.shape_rewards(scores, logprobs, ref, mask, kl_coef=0.5)
    # differences 1, 0, -2: -0.5, 0, 10 + 1; difference 3: -5 - 1.5; the empty row drops its 77
    close(rewards, [[-0.5, 0.0, 11.0], [-6.5, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert not rewards.requires_grad


def test_adaptive_kl_values():
    # target 6, horizon 100. kl 9: error 0.5 clipped to 0.2, 50 steps: * 1.1. kl 6.6: 0.1, 10 steps: * 1.01.
    # kl 0: -1 clipped to -0.2, 100 steps: * 0.8.
    values = oracles.adaptive_kl_values(0.2, 6.0, 100, [(9.0, 50), (6.6, 10), (0.0, 100)])
    assert values == pytest.approx([0.22, 0.2222, 0.17776], abs=1e-12)


# Lesson 5

SPREAD = [[1.0, 2.0, 3.0], [6.0, 77.0, -9.0]]  # mean 12 / 4 = 3; squares 4 + 1 + 0 + 9 = 14


@pytest.mark.parametrize(
    ("dim", "value", "gradient"),
    [
        (None, 3.0, [[0.25, 0.25, 0.25], [0.25, 0.0, 0.0]]),
        (0, [3.5, 2.0, 3.0], [[0.5, 1.0, 1.0], [0.5, 0.0, 0.0]]),
        (1, [2.0, 6.0], [[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]),
        (-1, [2.0, 6.0], [[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]),
    ],
)
def test_masked_mean(dim, value, gradient):
    x = leaf(SPREAD)
    result = oracles.masked_mean(x, RAGGED, dim)
    close(result, value)
    result.sum().backward()
    close(x.grad, gradient)


@pytest.mark.parametrize(("dim", "value"), [(None, 0.0), (0, [0.0, 0.0, 0.0]), (1, [0.0, 0.0])])
def test_masked_mean_of_nothing(dim, value):
    x = leaf(SPREAD)
    result = oracles.masked_mean(x, NOTHING, dim)
    close(result, value)
    result.sum().backward()
    close(x.grad, [[0.0] * 3] * 2)


def test_masked_whiten():
    # biased 14 / 4 + 0.5 = 4: (x - 3) / 2
    close(oracles.masked_whiten(f64(SPREAD), RAGGED, eps=0.5), [[-1.0, -0.5, 0.0], [1.5, 0.0, 0.0]])
    shifted = oracles.masked_whiten(f64(SPREAD), RAGGED, shift_mean=False, eps=0.5)
    close(shifted, [[2.0, 2.5, 3.0], [4.5, 0.0, 0.0]])


def test_masked_whiten_unbiased():
    # 14 / 3 + 1 / 3 = 5: (x - 3) / sqrt 5, sqrt 5 = 2.2360679775
    whitened = oracles.masked_whiten(f64(SPREAD), RAGGED, eps=1 / 3, unbiased=True)
    close(whitened, [[-0.894427191, -0.4472135955, 0.0], [1.3416407865, 0.0, 0.0]])


@pytest.mark.parametrize("unbiased", [False, True])
def test_masked_whiten_edges(unbiased):
    one = torch.tensor([[False, True, False], [False, False, False]])
    close(oracles.masked_whiten(f64(SPREAD), one, unbiased=unbiased), [[0.0] * 3] * 2)
    kept = oracles.masked_whiten(f64(SPREAD), one, shift_mean=False, unbiased=unbiased)
    close(kept, [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    close(oracles.masked_whiten(f64(SPREAD), NOTHING, shift_mean=False, unbiased=unbiased), [[0.0] * 3] * 2)


def test_compute_gae():
    rewards = leaf([[1.0, 2.0, 4.0], [3.0, 77.0, -9.0], [9.0, 9.0, 9.0]])
    values = leaf([[2.0, 4.0, 8.0], [1.0, -9.0, 77.0], [9.0, 9.0, 9.0]])
    mask = torch.cat([RAGGED, NOTHING[:1]])
    advantages, returns = oracles.compute_gae(rewards, values, mask, gamma=0.5, lam=0.8)
    # delta: 1 + 0.5 * 4 - 2 = 1; 2 + 0.5 * 8 - 4 = 2; 4 + 0 - 8 = -4. With gamma * lam = 0.4:
    # 1 + 0.4 * 2 + 0.16 * -4 = 1.16; 2 + 0.4 * -4 = 0.4; -4. Row 1: 3 + 0 - 1 = 2. Row 2 is empty.
    close(advantages, [[1.16, 0.4, -4.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    close(returns, [[3.16, 4.4, 4.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert not advantages.requires_grad and not returns.requires_grad


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([[0.0, 2.0, 2.0], [4.0, -9.0, 77.0]], 6 / 7),  # errors 1, 0, 1, 2: mean 1, squares 0 + 1 + 0 + 1; 1 - 2 / 14
        ([[0.5, 1.0, 1.5], [3.0, -9.0, 77.0]], 0.75),  # errors are half the returns: a quarter of their variance
        ([[-1.0, -2.0, -3.0], [-6.0, -9.0, 77.0]], -3.0),  # errors are twice the returns
        ([[-4.0, -3.0, -2.0], [1.0, -9.0, 77.0]], 1.0),  # all errors are 5
        ([[5.0, 5.0, 5.0], [5.0, -9.0, 77.0]], 0.0),
    ],
)
def test_explained_variance(values, share):
    close(oracles.explained_variance(f64(values), f64(SPREAD), RAGGED), share)


def test_explained_variance_without_variance():
    one = torch.tensor([[False, True, False], [False, False, False]])
    values, equal = f64([[4.0, 5.0, 7.0], [0.0, 9.0, 9.0]]), f64([[0.1, 0.1, 0.1], [0.1, 77.0, -9.0]])
    for returns, mask in ((equal, RAGGED), (equal, one), (equal, NOTHING)):
        close(oracles.explained_variance(values, returns, mask), 0.0)


# Lesson 6


def test_policy_loss():
    # ratios 1.5, 0.5, 1.5 and 0.5 with clip 0.2; min(r A, clip(r) A):
    # A = 2: min(3, 2.4) = 2.4, clipped; A = 1: min(0.5, 0.8) = 0.5; A = -1: min(-1.5, -1.2) = -1.5;
    # A = -2: min(-1, -1.6) = -1.6, clipped. Sum -0.2, loss 0.05. Gradient -r A / 4 where not clipped.
    up, down = math.log(1.5) - 2, math.log(0.5) - 2
    logprobs = leaf([[up, down, up], [down, 9.0, -9.0]])
    old = leaf([[-2.0, -2.0, -2.0], [-2.0, -9.0, 9.0]])
    advantages = leaf([[2.0, 1.0, -1.0], [-2.0, 77.0, 77.0]])
    loss = oracles.policy_loss(logprobs, old, advantages, RAGGED, clip_range=0.2)
    close(loss, 0.05)
    loss.backward()
    close(logprobs.grad, [[0.0, -0.125, 0.375], [0.0, 0.0, 0.0]])
    assert old.grad is None and advantages.grad is None


def test_policy_loss_gradient_at_ratio_one():
    # Inside the clip: -A / n, whatever the sign of A.
    logprobs = leaf([[-1.0, -2.0, -3.0], [-4.0, 9.0, 9.0]])
    advantages = f64([[2.0, -3.0, 0.0], [1.0, 77.0, 77.0]])
    oracles.policy_loss(logprobs, logprobs.detach(), advantages, RAGGED, clip_range=0.2).backward()
    close(logprobs.grad, [[-0.5, 0.75, 0.0], [-0.25, 0.0, 0.0]])


def test_value_loss():
    # clip 0.5. v 2, old 1, R 3: max(1, (1.5 - 3)^2 = 2.25), clipped; v 0, old 1, R 3: max(9, 6.25);
    # v 1.25, old 1, R 0: 1.5625 both; v 5, old 1, R 2: max(9, 0.25). 0.5 * (2.25 + 9 + 1.5625 + 9) / 4 = 2.7265625.
    # Gradient (v - R) / 4 where not clipped.
    values = leaf([[2.0, 0.0, 1.25], [5.0, 77.0, -9.0]])
    old = leaf([[1.0, 1.0, 1.0], [1.0, 9.0, 9.0]])
    returns = leaf([[3.0, 3.0, 0.0], [2.0, 9.0, 9.0]])
    loss = oracles.value_loss(values, old, returns, RAGGED, clip_range=0.5)
    close(loss, 2.7265625)
    loss.backward()
    close(values.grad, [[0.0, -0.75, 0.3125], [0.75, 0.0, 0.0]])
    assert old.grad is None and returns.grad is None


def test_masked_entropy():
    # log 2 = 0.6931471806 and H(1/4, 3/4) = 1/4 * 1.3862943611 + 3/4 * 0.2876820725 = 0.5623351446, mean of the two.
    # dH / dz_k = -p_k (log p_k + H): for k = 0, -1/4 (-1.3862943611 + 0.5623351446) = 0.2059898041, halved by the mean.
    logits = leaf([[[3, 3], [9, -9]], [[0, LOG3], [-9, 9]]])
    entropy = oracles.masked_entropy(logits, torch.tensor([[True, False], [True, False]]))
    close(entropy, 0.6277411625893767)
    entropy.backward()
    g = 0.20598980412527057 / 2
    close(logits.grad, [[[0.0, 0.0], [0.0, 0.0]], [[g, -g], [0.0, 0.0]]])


def test_masked_entropy_large_logits():
    logits = leaf([[[1e4, 0.0], [-1e4, -1e4]]])
    entropy = oracles.masked_entropy(logits, torch.tensor([[True, True]]))
    close(entropy, 0.34657359027997264)  # (0 + log 2) / 2
    entropy.backward()
    close(logits.grad, [[[0.0, 0.0], [0.0, 0.0]]])


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: oracles.policy_loss(x, x.detach() - 1, x.detach() + 1, NOTHING, 0.2),
        lambda x: oracles.value_loss(x, x.detach() - 1, x.detach() + 1, NOTHING, 0.2),
        lambda x: oracles.masked_entropy(torch.stack([x, 2 * x], -1), NOTHING),
    ],
)
def test_losses_of_nothing_have_zero_gradient(loss):
    x = leaf(SPREAD)
    result = loss(x)
    close(result, 0.0)
    result.backward()
    close(x.grad, [[0.0] * 3] * 2)


class TwoNumberPolicy(nn.Module):
    """Logits (0, w) and value v everywhere; a dropout of everything in train mode. Refuses padding."""

    def __init__(self, w, v):
        super().__init__()
        self.w, self.v = nn.Parameter(torch.tensor(w)), nn.Parameter(torch.tensor(v))
        self.dropout = nn.Dropout(1.0)

    def forward(self, input_ids, attention_mask, position_ids):
        assert attention_mask.tolist() == [[1] * input_ids.shape[1]]
        assert position_ids.tolist() == [list(range(input_ids.shape[1]))]
        w = self.dropout(self.w.expand(input_ids.shape))
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(w), w], -1), values=self.v.expand(input_ids.shape))


def one_token_rollout(advantage):
    """Token 1, sampled with probability 3/4; value 1, return 3."""
    return SimpleNamespace(
        prompt_ids=torch.tensor([[9, 0]]),
        prompt_mask=torch.tensor([[0, 1]]),
        tokens=torch.tensor([[1]]),
        mask=torch.tensor([[True]]),
        logprobs=f64([[math.log(3 / 4)]]),
        values=f64([[1.0]]),
        advantages=f64([[advantage]]),
        returns=f64([[3.0]]),
    )


def ppo_config(**changes):
    settings = dict(ppo_epochs=1, minibatch_size=2, clip_range=0.2, value_clip_range=10.0, value_coef=0.5)
    settings |= dict(entropy_coef=0.0, max_grad_norm=100.0, temperature=2.0)
    return SimpleNamespace(**settings | changes)


def sgd(lr, momentum=0.0):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum)


def test_ppo_step_one_step():
    # w = 2 log 3 at temperature 2: p(1) = 3/4, ratio 1. dw of the policy loss: -A (1 - p) / 2 = -2 / 8 = -0.25;
    # of -0.1 H: 0.1 * log 3 * 3/4 * 1/4 / 2 = 0.0102994902; together -0.2397005098. dv: 0.5 * (1 - 3) = -1. lr 0.1.
    policy = TwoNumberPolicy(2 * LOG3, 1.0).double()
    config = ppo_config(entropy_coef=0.1)
    after = oracles.ppo_step_parameters(policy, sgd(0.1), one_token_rollout(2.0), config, [[0]])
    assert after["w"].item() == pytest.approx(2 * LOG3 + 0.02397005098, abs=1e-7)
    assert after["v"].item() == pytest.approx(1.1, abs=1e-12)
    assert policy.w.item() == pytest.approx(2 * LOG3) and policy.v.item() == 1.0 and policy.training  # only a copy moved


def test_ppo_step_clips_the_global_norm():
    # A = 6: dw = -0.75, dv = -1, norm 1.25; to norm 0.5 they are scaled by 0.4: -0.3 and -0.4. lr 1.
    policy = TwoNumberPolicy(2 * LOG3, 1.0)
    after = oracles.ppo_step_parameters(policy, sgd(1.0), one_token_rollout(6.0), ppo_config(max_grad_norm=0.5), [[0]])
    assert after["w"].dtype == torch.float64
    assert after["w"].item() == pytest.approx(2 * LOG3 + 0.3, abs=1e-6)
    assert after["v"].item() == pytest.approx(1.4, abs=1e-6)


# Three rows, P = 2, T = 2; row 1 stops after one token, row 2 is empty. Value targets 3, -1; 2.
# Rows 0 and 1 were sampled with p(1) = 3/4. Advantages 1, -2; 0.5.
ROWS = SimpleNamespace(
    prompt_ids=torch.tensor([[9, 0], [0, 1], [1, 1]]),
    prompt_mask=torch.tensor([[0, 1], [1, 1], [1, 1]]),
    tokens=torch.tensor([[1, 0], [1, 0], [0, 0]]),
    mask=torch.tensor([[True, True], [True, False], [False, False]]),
    logprobs=f64([[math.log(3 / 4), math.log(1 / 4)], [math.log(3 / 4), 9.0], [9.0, 9.0]]),
    values=f64([[1.0, 1.0], [1.0, 77.0], [77.0, 77.0]]),
    advantages=f64([[1.0, -2.0], [0.5, 77.0], [77.0, 77.0]]),
    returns=f64([[3.0, -1.0], [2.0, 77.0], [77.0, 77.0]]),
)
TOKENS = {0: [(1, 1.0, 3.0), (0, -2.0, -1.0)], 1: [(1, 0.5, 2.0)], 2: []}  # (token, advantage, return)


def by_hand(w, v, minibatches, lr):
    """The same SGD steps with derivatives worked out: ratios p(w) / p(log 3), d log p(1) / dw = 1 - p, d log p(0) / dw = -p."""
    for rows in minibatches:
        terms = [term for row in rows for term in TOKENS[row]]
        p, dw, dv = 1 / (1 + math.exp(-w)), 0.0, 0.0
        for token, advantage, target in terms:
            ratio, slope = (p / 0.75, 1 - p) if token == 1 else ((1 - p) / 0.25, -p)
            assert 0.8 < ratio < 1.2 and abs(v - 1.0) < 10  # no clip is met on the way
            dw -= advantage * ratio * slope / len(terms)
            dv += 0.5 * (v - target) / len(terms)
        w, v = w - lr * dw, v - lr * dv
    return w, v


def test_ppo_step_minibatches_epochs_and_the_last_smaller_one():
    # Orders 2 1 0 and 0 2 1 in minibatches of 2: {2, 1}, {0}, {0, 2}, {1}.
    config = ppo_config(temperature=1.0, ppo_epochs=2)
    permutations = [torch.tensor([2, 1, 0]), torch.tensor([0, 2, 1])]
    after = oracles.ppo_step_parameters(TwoNumberPolicy(LOG3, 1.0).double(), sgd(0.1), ROWS, config, permutations)
    w, v = by_hand(LOG3, 1.0, [[2, 1], [0], [0, 2], [1]], lr=0.1)
    assert abs(w - LOG3) > 0.01 and abs(v - 1.0) > 0.01
    assert (after["w"].item(), after["v"].item()) == pytest.approx((w, v), abs=1e-7)
    other = by_hand(LOG3, 1.0, [[2, 1, 0], [0, 2, 1]], lr=0.1)
    assert (w, v) != pytest.approx(other, abs=1e-3)  # the cut into minibatches shows


@pytest.mark.parametrize(("value_clip_range", "v"), [(2.0, 2.0), (0.5, 1.0)])
def test_ppo_step_clips_values_around_those_of_the_rollout(value_clip_range, v):
    # v 1, old 0, R 3. Clip 2: (1 - 3)^2 both ways, dv = 0.5 * -2 = -1, lr 1. Clip 0.5: max(4, (0.5 - 3)^2 = 6.25), clipped.
    rollout = one_token_rollout(2.0)
    rollout.values = f64([[0.0]])
    config = ppo_config(value_clip_range=value_clip_range)
    after = oracles.ppo_step_parameters(TwoNumberPolicy(2 * LOG3, 1.0), sgd(1.0), rollout, config, [[0]])
    assert after["v"].item() == pytest.approx(v, abs=1e-12)


def test_ppo_step_clips_the_ratio_around_the_log_probabilities_of_the_rollout():
    # Sampled with probability 1/2, now 3/4: ratio 1.5 over 1.2. A = 2 is clipped, w stays; A = -2 is not:
    # dw = 2 * 1.5 * (1 - 3/4) / 2 = 0.375, lr 1.
    for advantage, moved in [(2.0, 0.0), (-2.0, -0.375)]:
        rollout = one_token_rollout(advantage)
        rollout.logprobs = f64([[-LOG2]])
        after = oracles.ppo_step_parameters(TwoNumberPolicy(2 * LOG3, 1.0), sgd(1.0), rollout, ppo_config(), [[0]])
        assert after["w"].item() == pytest.approx(2 * LOG3 + moved, abs=1e-6)


def test_ppo_step_on_an_empty_minibatch_has_a_zero_gradient():
    # Nothing moves but by momentum, which adds half of the first step to it: w and v go 1.5 times as far.
    config = ppo_config(minibatch_size=1, entropy_coef=0.1)
    empty = oracles.ppo_step_parameters(TwoNumberPolicy(0.5, 1.0), sgd(0.1), ROWS, config, [[2]])
    assert (empty["w"].item(), empty["v"].item()) == (0.5, 1.0)
    one = oracles.ppo_step_parameters(TwoNumberPolicy(0.5, 1.0), sgd(0.1), ROWS, config, [[1]])
    both = oracles.ppo_step_parameters(TwoNumberPolicy(0.5, 1.0), sgd(0.1, momentum=0.5), ROWS, config, [[1, 2]])
    for name, start in [("w", 0.5), ("v", 1.0)]:
        step = one[name].item() - start
        assert abs(step) > 1e-3
        assert both[name].item() - start == pytest.approx(1.5 * step, rel=1e-9)


# Lesson 7


def test_bootstrap_ci_normal():
    # mean 2, biased deviation 1, standard error 1 / 2; z = 1.959963984540 at 95%, 1.644853626951 at 90%
    x = torch.tensor([1.0, 3.0, 1.0, 3.0])
    assert oracles.bootstrap_ci_normal(x) == pytest.approx((1.02001800773, 2.97998199227), abs=1e-9)
    assert oracles.bootstrap_ci_normal(x, level=0.9) == pytest.approx((1.1775731865245, 2.8224268134755), abs=1e-9)


def test_win_rate():
    # won, lost, tied, lost: 1.5 / 4
    close(oracles.win_rate(torch.tensor([2.0, 0.0, 1.0, -4.0]), torch.tensor([1.0, 5.0, 1.0, -3.0])), 0.375)


def test_sequence_kl():
    # 1 + 0 - 3 = -2, the sign kept; row 1: 3; row 2 is empty
    logprobs = f64([[-1.0, -2.0, -5.0], [-1.0, 9.0, -9.0], [9.0, 9.0, 9.0]])
    ref = f64([[-2.0, -2.0, -2.0], [-4.0, -9.0, 9.0], [-9.0, -9.0, -9.0]])
    close(oracles.sequence_kl(logprobs, ref, torch.cat([RAGGED, NOTHING[:1]])), [-2.0, 3.0, 0.0])


# Lesson 8


def test_best_of_n():
    scores = torch.tensor([[1.0, 5.0, 2.0, 2.0, 9.0], [3.0, 0.0, -4.0, -1.0, 7.0]])
    same(oracles.best_of_n(scores, 2), [[1, 2], [0, 3]], torch.int64)  # the fifth sample fills no group, a tie takes the first
    same(oracles.best_of_n(scores, 5), [[4], [4]], torch.int64)
    assert oracles.best_of_n(scores, 6).shape == (2, 0)


def test_best_of_n_kl():
    # log 4 - 3/4 = 1.3862943611 - 0.75
    assert oracles.best_of_n_kl(4) == pytest.approx(0.6362943611, abs=1e-9)
    assert oracles.best_of_n_kl(1) == 0.0


# Lesson 9


def test_rloo_advantages():
    # 1 - (2 + 6) / 2, 2 - (1 + 6) / 2, 6 - (1 + 2) / 2; 0 - 1.5, 0 - 1.5, 3 - 0
    scores = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]])
    close(oracles.rloo_advantages(scores), [[-3.0, -1.5, 4.5], [-1.5, -1.5, 3.0]])
    with pytest.raises(ValueError, match="two"):
        oracles.rloo_advantages(scores[:, :1])


def test_grpo_advantages():
    # Row 0: mean 3, biased deviation 2, so 2 / 2.5; unbiased 2.3094010768, so 2 / 2.8094010768. Row 1 has no spread.
    scores = torch.tensor([[1.0, 5.0, 1.0, 5.0], [2.0, 2.0, 2.0, 2.0]])
    nothing, u = [0.0] * 4, 0.7118955056
    close(oracles.grpo_advantages(scores, eps=0.5), [[-0.8, 0.8, -0.8, 0.8], nothing])
    close(oracles.grpo_advantages(scores, eps=0.5, unbiased=True), [[-u, u, -u, u], nothing])
    close(oracles.grpo_advantages(scores, scale=False), [[-2.0, 2.0, -2.0, 2.0], nothing])


@pytest.mark.parametrize("unbiased", [False, True])
def test_grpo_advantages_of_one_sample(unbiased):
    close(oracles.grpo_advantages(torch.tensor([[7.0], [-3.0]]), unbiased=unbiased), [[0.0], [0.0]])


def test_dpo_loss():
    # Pair 0: beta * (4 log 3 - 2 log 3) = log 3, sigmoid 3/4; pair 1: -log 3, sigmoid 1/4. beta = 0.5.
    policy = [leaf([4 * LOG3 - 7, 2 * LOG3 - 1]), leaf([2 * LOG3 - 3, 4 * LOG3 - 2])]
    reference = [leaf([-7.0, -1.0]), leaf([-3.0, -2.0])]
    loss = oracles.dpo_loss(*policy, *reference, beta=0.5)
    close(loss, 0.8369882167858358)  # (0.2876820725 + 1.3862943611) / 2
    loss.backward()
    close(policy[0].grad, [-0.0625, -0.1875])  # -beta (1 - sigmoid) / 2
    close(policy[1].grad, [0.0625, 0.1875])
    assert reference[0].grad is None and reference[1].grad is None


def test_dpo_loss_at_extremes():
    loss = oracles.dpo_loss(f64([-1e4, 1e4]), f64([0.0, 0.0]), f64([0.0, 0.0]), f64([0.0, 0.0]), beta=0.5)
    close(loss, 2500.0)  # (5000 + 0) / 2
