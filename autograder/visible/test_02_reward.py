"""Lesson 2, the reward wrapper: what a learner sees."""

from dataclasses import dataclass, replace

import pytest
import torch

from autograder import compare, oracles
from autograder.answer import EndOfCheck, kind

pytestmark = pytest.mark.visible

AMPLE = 256  # tokens: nothing is cut
POSITIVE_FIRST = {0: "POSITIVE", 1: "NEGATIVE"}
POSITIVE_LAST = {0: "NEGATIVE", 1: "POSITIVE"}
KNOWN = {}  # what follows from a classifier and a text, by both


@pytest.mark.exercise("positive_logit")
@pytest.mark.points(2)
def test_positive_logit_by_its_label(answer, draw):
    """The logit of the class that is called positive, at whatever index and in whatever case."""
    answer.agrees(draw.normal(5, 2, scale=3), POSITIVE_LAST)
    answer.agrees(draw.normal(5, 2, scale=3), {0: "positive", 1: "negative"})
    answer.agrees(draw.normal(5, 3, scale=3), {0: "Negative", 1: "Positive", 2: "Neutral"})


@pytest.mark.exercise("positive_logit")
def test_positive_logit_any_order_of_keys(answer, draw):
    """The keys say which class is meant, not the order of the dict; they may be numeric strings."""
    answer.agrees(draw.normal(4, 3), {2: "negative", 0: "neutral", 1: "positive"})
    answer.agrees(draw.normal(4, 2), {"0": "NEGATIVE", "1": "POSITIVE"})
    answer.agrees(draw.normal(4, 3), {"2": "positive", "1": "neutral", "0": "negative"})
    twelve = {str(i): "positive" if i == 10 else f"star {i}" for i in range(12)}
    answer.agrees(draw.normal(3, 12), twelve)


@pytest.mark.exercise("positive_logit")
def test_positive_logit_the_whole_label(answer, draw):
    """A label that only has "positive" in it is another label."""
    answer.agrees(draw.normal(4, 3), {0: "not positive", 1: "POSITIVE", 2: "positively bad"})
    answer.agrees(draw.normal(4, 3), {0: "positive, mostly", 1: "NEUTRAL/POSITIVE mix", 2: "positive"})
    answer.agrees(draw.normal(4, 3), {0: "non-positive", 1: "positive", 2: "very positive"})


@pytest.mark.exercise("positive_logit")
def test_positive_logit_no_such_label(answer, draw):
    """No label is "positive": a ValueError that names the labels."""
    answer.raises(ValueError, draw.normal(2, 2), {0: "toxic", 1: "harmless"}, mentions=["toxic", "harmless"])
    answer.raises(ValueError, draw.normal(2, 3), {0: "not positive", 1: "neutral", 2: "positive/neutral mix"})
    answer.raises(ValueError, draw.normal(2, 2), {"0": "LABEL_0", "1": "LABEL_1"})
    answer.says_more(draw.normal(2, 2), POSITIVE_LAST)


@pytest.mark.exercise("positive_logit")
def test_positive_logit_a_batch_of_one(answer, draw):
    """One text gives one score; large logits come out as they are."""
    answer.agrees(draw.normal(1, 2), POSITIVE_LAST)
    answer.agrees(draw.normal(3, 2, scale=4) * 1e4, POSITIVE_FIRST, coarse=True)


# RewardWrapper.  The scenario puts a wrapper to work on a small classifier; what it returns is judged here.


@dataclass
class Task:
    """A classifier, and how a wrapper around it is set up."""

    weights: dict
    labels: dict
    batch_size: int = 16
    max_length: int = AMPLE

    @classmethod
    def draw(cls, draw, labels, **settings):
        width, classes = 8, len(labels)
        weights = {
            "embedding": draw.normal(64, width),
            "position": draw.normal(260, width, scale=0.7),
            "head": draw.normal(width, classes),
            "bias": draw.normal(classes),
        }
        return cls({name: x.float() for name, x in weights.items()}, labels, **settings)

    def run(self, answer, *calls, **options):
        """What the wrapper made of each list of texts, and the gradients it left."""
        return answer.run(
            "score", labels=self.labels, calls=[list(texts) for texts in calls], batch_size=self.batch_size,
            max_length=self.max_length, **self.weights, **options,
        )  # fmt: skip

    def truth(self, texts, tokenizer):
        """The positive logit of each text, one at a time, in float64."""
        model = _toys().Classifier(self.weights, self.labels)
        return oracles.reward_scores(model, tokenizer, texts, self.max_length)

    def truths(self, texts):
        """The right scores, in each of the ways to cut on the right: the closing [SEP] kept, or cut off with the rest."""
        return self.remembered(("truths", *texts), lambda: [self.truth(texts, tokenizer) for tokenizer in self.tokenizers()])

    def tokenizers(self):
        tokenizer = _toys().tokenizer()
        return [tokenizer, SlicingTokenizer(tokenizer)] if self.max_length < AMPLE else [tokenizer]

    def of_beginnings(self, text):
        """What the classifier says of everything that the text, as far as it is kept, begins with."""
        return self.remembered(("beginnings", text), lambda: self._of_beginnings(text))

    def _of_beginnings(self, text):
        tokenizer, model = _toys().tokenizer(), _toys().Classifier(self.weights, self.labels).eval()
        whole = tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"]
        parts = [text[:end] for end in range(len(text))]
        rows = tokenizer(parts, truncation=True, max_length=self.max_length)["input_ids"] if parts else []
        rows = sorted({tuple(row) for row in [*rows, *(row[:-1] for row in rows)] if row != whole})  # with and without [SEP]
        if not rows:
            return torch.zeros(0)
        inputs = tokenizer.pad({"input_ids": [list(row) for row in rows]}, return_tensors="pt")
        with torch.no_grad():
            return oracles.positive_logit(model(**inputs).logits, self.labels)

    def remembered(self, what, work):
        """The result of `work`, which follows from this task and `what`: a diagnosis asks for the same again and again."""
        key = (*what, self.max_length, *self.labels.values(), *(x.numpy().tobytes() for x in self.weights.values()))
        if key not in KNOWN:
            KNOWN[key] = work()
        return KNOWN[key]


class SlicingTokenizer:
    """Cuts after the special tokens are there, so that the closing one is cut off."""

    truncation_side = "right"

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, text, truncation, max_length, return_tensors):
        encoded = self.tokenizer(text, return_tensors=return_tensors)
        return {name: x[:, :max_length] for name, x in encoded.items()}


def _toys():
    """Imported when needed: it takes transformers a second to come."""
    from autograder.driver.scenarios import RewardWrapper

    return RewardWrapper


def texts_of(draw, *lengths):
    """Texts of so many words, lower case, with a stop behind every few words and a line break after the first stop."""
    toys = _toys()
    texts = []
    for length in lengths:
        words = [toys.WORDS[i] for i in draw.integers(0, len(toys.WORDS), length).tolist()]
        for place in range(3, length - 1, 5):
            words[place] += "." if place > 3 else ".\n"
        texts.append(" ".join(words))
    return texts


LONG = 32  # words of the longest text


def result_of(answer, call, count):
    """The scores of one call, float64 (count,); ends the check where there are none."""
    scores = call["scores"]
    if scores is None:
        problem, what = "returns_nothing", "The wrapper returned None: does every path of __call__ end in a return?"
    elif not isinstance(scores, torch.Tensor):
        problem, what = "wrong_type", f"The scores have to be a torch tensor; yours is {kind(scores)}."
    elif scores.shape != (count,):
        problem, what = "wrong_shape", f"The scores of {count} texts have shape {tuple(scores.shape)}, expected ({count},)."
    elif not scores.is_floating_point():
        problem, what = "wrong_dtype", f"The scores are {scores.dtype}, expected torch.float32."
    else:
        problem, what = None, "The scores are a tensor of the right shape."
    if not answer.expect(problem is None, what, kind=problem, evidence=what):
        raise EndOfCheck
    what = f"The scores are {scores.dtype}, expected torch.float32, whatever the model's dtype is."
    answer.expect(scores.dtype == torch.float32, what, kind="wrong_dtype", minor=True)
    what = "The list of texts was changed: work on a copy, the caller still needs it."
    answer.expect(call["unchanged"], what, kind="changes_its_inputs", minor=True)
    return scores.double()


def judge_scores(answer, task, texts, call, where="", exact=True, minor=False):
    """The scores of one call are right.

    The evidence is in words where the scores are explained by words: right, in another order, of beginnings of the texts.
    exact: else it is the scores themselves; without it, "other": where the scores of a mistake depend on how texts are batched.
    """
    got = result_of(answer, call, len(texts))
    expected, agree = None, None
    for truth in task.truths(texts):
        close = compare.close(got, truth)
        if expected is None or close.all():
            expected, agree = truth, close
    what, evidence, details = "", "right", ""
    if not agree.all():
        index = int((~agree).nonzero()[0])
        text = texts[index] if len(texts[index]) < 60 else f"{texts[index][:50]}..."
        details = f"{compare.first_difference('scores', got, expected, agree)}; that is {text!r}."
        if compare.close(got.sort().values, expected.sort().values).all():
            what, evidence = "The right scores come in the wrong order: scores[i] belongs to texts[i].", "in another order"
        elif all(_any_close(got[i], task.of_beginnings(texts[i])) for i in (~agree).nonzero().flatten().tolist()):
            what, evidence = "Some scores are those of the beginning of a text only.", "of beginnings"
        else:
            what, evidence = "The scores are not what they should be.", got if exact else "other"
            details += f" {compare.pattern(got, expected) or ''}"
    what = f"{where}: {what[0].lower()}{what[1:]}" if where and what else what
    answer.expect(agree.all(), what, details, kind="value", evidence=evidence, minor=minor)


def _any_close(score, candidates):
    return bool(((candidates - score).abs() <= 1e-5).any())


@pytest.mark.exercise("RewardWrapper")
@pytest.mark.points(2)
def test_wrapper_scores_whole_texts(answer, draw):
    """The positive logit of each whole text, long and short in one batch."""
    task = Task.draw(draw, POSITIVE_FIRST)
    texts = texts_of(draw, 9, LONG, 1, 12, 5, 20)
    judge_scores(answer, task, texts, task.run(answer, texts)["calls"][0])


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_reads_the_labels(answer, draw):
    """The positive class is found by its name, wherever it stands."""
    for labels in (POSITIVE_LAST, {0: "neutral", 1: "negative", 2: "positive"}):
        task = Task.draw(draw, labels)
        texts = texts_of(draw, 8, LONG, 3)
        judge_scores(answer, task, texts, task.run(answer, texts)["calls"][0], f"With the labels {list(labels.values())}")


@pytest.mark.exercise("RewardWrapper")
@pytest.mark.points(2)
def test_wrapper_batches_in_order(answer, draw):
    """Several batches, the last one smaller: the scores are in the order of the texts."""
    for batch_size, lengths in ((3, (16, 4, 24, 9, LONG, 1, 12, 6)), (2, (11, LONG, 3, 7)), (50, (7, LONG, 2))):
        task = Task.draw(draw, POSITIVE_LAST, batch_size=batch_size)
        texts = texts_of(draw, *lengths)
        call = task.run(answer, texts)["calls"][0]
        judge_scores(answer, task, texts, call, f"With {len(texts)} texts and batch_size={batch_size}", exact=False)


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_keeps_to_the_batch_size(answer, draw):
    """Never more than batch_size texts at a time, however many there are."""
    task = Task.draw(draw, POSITIVE_FIRST, batch_size=4)
    texts = texts_of(draw, *[LONG] * 8)
    call = task.run(answer, texts)["calls"][0]
    judge_scores(answer, task, texts, call, exact=False)
    largest = max(call["sizes"], default=0)
    what = (
        f"The classifier was given {largest} texts at a time, with batch_size={task.batch_size}: memory will not do for many."
    )
    answer.expect(largest <= task.batch_size, what, kind="batch_size", minor=True)


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_a_batch_of_one(answer, draw):
    """One text gives a tensor of one score, and so does a last batch of one."""
    for labels, batch_size, count in ((POSITIVE_LAST, 4, 1), (POSITIVE_FIRST, 1, 2), (POSITIVE_LAST, 2, 3)):
        task = Task.draw(draw, labels, batch_size=batch_size)
        texts = texts_of(draw, *[LONG] * count)
        call = task.run(answer, texts)["calls"][0]
        judge_scores(answer, task, texts, call, f"With {count} texts and batch_size={batch_size}", exact=False)


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_odd_texts(answer, draw):
    """An empty text has a score like any other, and so has a text that comes twice."""
    task = Task.draw(draw, POSITIVE_LAST)
    task.weights["bias"] += (1.5 - task.truths([""])[0]).float()  # what an empty text scores is not 0 by chance
    long, short = texts_of(draw, LONG, 3)
    texts = ["", long, short, long, "", short]
    judge_scores(answer, task, texts, task.run(answer, texts)["calls"][0])


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_no_texts(answer, draw):
    """An empty list gives an empty float32 tensor."""
    task = Task.draw(draw, POSITIVE_LAST)
    call = task.run(answer, [], catch=True)["calls"][0]
    scores = call.get("scores")
    ok = isinstance(scores, torch.Tensor) and scores.shape == (0,) and scores.dtype == torch.float32
    what = f"An empty list of texts has to give an empty float32 tensor, of shape (0,). {_shown(call)}"
    answer.expect(ok, what, kind="empty_input", minor=True)
    ordinary = task.run(answer, texts_of(draw, 5, 9), catch=True)["calls"][0].get("scores")
    says_more = isinstance(ordinary, torch.Tensor) and bool(ordinary.any())
    what = "Ordinary texts get no scores but 0, too, so that this case shows nothing."
    answer.expect(says_more, what, kind="always_the_same", minor=True)


def _shown(call):
    if "raised" in call:
        return f"Your code raised {call['raised']}."
    scores = call["scores"]
    return (
        f"Yours gave {f'{scores.dtype} of shape {tuple(scores.shape)}' if isinstance(scores, torch.Tensor) else kind(scores)}."
    )


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_cuts_on_the_right(answer, draw):
    """Of a text longer than max_length tokens the beginning is scored."""
    for max_length, lengths in ((8, (LONG, 2, 11, 7)), (40, (13, 4))):
        task = Task.draw(draw, POSITIVE_FIRST, max_length=max_length)
        texts = texts_of(draw, *lengths)
        judge_scores(answer, task, texts, task.run(answer, texts)["calls"][0], f"With max_length={max_length}")


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_with_a_tokenizer_set_to_the_left(answer, draw):
    """A tokenizer may come set to pad or to cut on the left: scores are the same."""
    task = Task.draw(draw, POSITIVE_LAST)
    texts = texts_of(draw, 6, LONG, 2)
    call = task.run(answer, texts, padding_side="left")["calls"][0]
    judge_scores(answer, task, texts, call, "With tokenizer.padding_side at 'left'", minor=True)
    task = replace(task, max_length=8)
    call = task.run(answer, texts, truncation_side="left")["calls"][0]
    judge_scores(answer, task, texts, call, "With tokenizer.truncation_side at 'left'", minor=True)


@pytest.mark.exercise("RewardWrapper")
@pytest.mark.points(2)
def test_wrapper_sets_evaluation_mode_at_each_call(answer, draw):
    """Trained between two calls, the classifier still scores without dropout."""
    task = Task.draw(draw, POSITIVE_LAST)
    calls = [texts_of(draw, 8, LONG, 3), texts_of(draw, LONG, 5)]
    seen = task.run(answer, *calls, training=True)["calls"]
    for texts, call, where in zip(calls, seen, ("The first call", "The second call"), strict=True):
        judge_scores(answer, task, texts, call, where)


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_keeps_no_gradient(answer, draw):
    """A reward is a number: nothing can be differentiated through it."""
    task = Task.draw(draw, POSITIVE_LAST)
    texts = texts_of(draw, LONG, 5)
    seen = task.run(answer, texts)
    judge_scores(answer, task, texts, seen["calls"][0])
    what = "The scores require a gradient: run the classifier under torch.no_grad()."
    answer.expect(not seen["calls"][0]["requires_grad"], what, kind="gradient")
    what = "The call left gradients on the classifier's parameters."
    answer.expect(all(g is None for g in seen["gradients"]), what, kind="gradient")


@pytest.mark.exercise("RewardWrapper")
def test_wrapper_returns_float32(answer, draw):
    """Scores are float32, also those of a classifier in float64."""
    judge_float64(answer, Task.draw(draw, POSITIVE_FIRST), texts_of(draw, 6, LONG))


def judge_float64(answer, task, texts):
    """Right scores, in float32, from a classifier in float64: one verdict, and a minor one."""
    task = replace(task, weights={name: x.double() for name, x in task.weights.items()})
    call = task.run(answer, texts, catch=True)["calls"][0]
    scores, expected = call.get("scores"), task.truths(texts)[0]
    ok = isinstance(scores, torch.Tensor) and scores.dtype == torch.float32 and scores.shape == expected.shape
    ok = ok and compare.close(scores, expected).all()
    what = f"A classifier in float64 has to give the right scores in float32 all the same. {_shown(call)}"
    answer.expect(ok, what, kind="wrong_dtype", minor=True)


@pytest.mark.exercise("length_bonus")
@pytest.mark.points(2)
def test_length_bonus_grows_and_stops(answer, draw):
    """Words over target words, at most 1, times the weight."""
    texts = [" ".join(["lovely", "film", "a", "it's"][i % 4] for i in range(n)) for n in (3, 1, 8, 10, 12, 40, 20)]
    answer.agrees(texts, target_words=10, weight=2.0)
    answer.agrees(texts, target_words=16, weight=0.3)


@pytest.mark.exercise("length_bonus")
def test_length_bonus_by_default(answer, draw):
    """50 words and a weight of one half."""
    answer.agrees(["good " * n for n in (25, 5, 49, 50, 80)])


@pytest.mark.exercise("length_bonus")
def test_length_bonus_what_a_word_is(answer, draw):
    """Whatever stands between white space: no text, line breaks, a word twice."""
    texts = ["", " ", "one", "  two   words ", "three\nlines\tof it", "well-made, isn't it?", "so so so so so", "!"]
    answer.agrees(texts, target_words=7, weight=3.0)


@pytest.mark.exercise("length_bonus")
def test_length_bonus_of_one_text(answer, draw):
    """One text gives a tensor of one bonus."""
    answer.agrees(["a short one"], target_words=4, weight=1.5)


@pytest.mark.exercise("normalize_scores")
@pytest.mark.points(2)
def test_normalize_scores_mean_and_deviation(answer, draw):
    """Mean 0 and deviation 1, by either of the two deviations."""
    answer.agrees(draw.normal(9, scale=3) + 4)
    answer.agrees(draw.normal(6, scale=0.3) - 2)


@pytest.mark.exercise("normalize_scores")
def test_normalize_scores_eps_outside_the_root(answer, draw):
    """A large eps and a small deviation show where eps stands."""
    answer.agrees(draw.normal(8, scale=2), eps=1.5)
    answer.agrees(draw.normal(8, scale=0.2) + 1, eps=0.5)


@pytest.mark.exercise("normalize_scores")
@pytest.mark.points(2)
def test_normalize_scores_that_are_equal(answer, draw):
    """Equal scores give 0, and so does a single one."""
    answer.agrees(torch.full((5,), 2.0, dtype=torch.float64))
    answer.agrees(torch.tensor([2.0], dtype=torch.float64))
    answer.agrees(torch.tensor([-3.5], dtype=torch.float64), eps=0.5)
    answer.says_more(draw.normal(5))
