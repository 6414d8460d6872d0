"""Mistakes in RewardWrapper: each changes one step of a wrapper that is right."""

import copy

import torch

from ..bank import wrong


class Wrapper:
    """Right, and cut into steps."""

    side = {"padding": "right", "truncation": "right"}  # noqa: RUF012
    encoding = {}  # noqa: RUF012

    def __init__(self, model, tokenizer, batch_size, max_length):
        self.model, self.tokenizer, self.batch_size, self.max_length = model, copy.copy(tokenizer), batch_size, max_length
        for what, side in self.side.items():
            setattr(self.tokenizer, f"{what}_side", side)
        self.prepare()

    def prepare(self): ...

    @torch.no_grad()
    def __call__(self, texts):
        self.model.eval()
        return self.join([self.score(batch) for batch in self.batches(texts)])

    def batches(self, texts):
        return [texts[start : start + self.batch_size] for start in range(0, len(texts), self.batch_size)]

    def score(self, texts):
        return self.pick(self.logits(self.encode([self.read(text) for text in texts])))

    def read(self, text):
        return text

    def encode(self, texts):
        settings = {"padding": True, "truncation": True, "max_length": self.max_length} | self.encoding
        return self.tokenizer(texts, return_tensors="pt", **settings)

    def logits(self, inputs):
        return self.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits

    def index(self, name="positive"):
        return next(int(index) for index, label in self.model.config.id2label.items() if label.lower() == name)

    def pick(self, logits):
        return logits[:, self.index()]

    def join(self, scores):
        return torch.cat(scores).float() if scores else torch.zeros(0)


# What is read from the logits


@wrong(about="reading", read="labels", hint="Which index would be right for labels in the other order?")
class label_by_index(Wrapper):
    """The logit is read at a fixed index, but only the label says which class is positive, and classifiers differ there."""

    def pick(self, logits):
        return logits[:, 1]


@label_by_index.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, 0]


@label_by_index.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, -1]


@wrong(about="reading", read="labels", hint="Published classifiers write POSITIVE, Positive and positive: what do you compare?")
class case_matters(Wrapper):
    """The label is found in one spelling only, but case is to be ignored: "POSITIVE", "Positive" and "positive" are one."""

    def pick(self, logits):
        return logits[:, {label: index for index, label in self.model.config.id2label.items()}["POSITIVE"]]


@case_matters.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, {label: index for index, label in self.model.config.id2label.items()}["positive"]]


@case_matters.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, list(self.model.config.id2label.values()).index("POSITIVE")]


@case_matters.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, [index for index, label in self.model.config.id2label.items() if label == "POSITIVE"][0]]  # noqa: RUF015


@case_matters.also
class _(Wrapper):
    def prepare(self):
        self.found = next(index for index, label in self.model.config.id2label.items() if label == "POSITIVE")

    def pick(self, logits):
        return logits[:, self.found]


@case_matters.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, self.model.config.label2id.get("POSITIVE", 1)]


@case_matters.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, self.model.config.label2id.get("POSITIVE", 0)]


@wrong(about="reading", read="labels", hint="Which class does your index belong to when the labels are POSITIVE and NEGATIVE?")
class negative_logit(Wrapper):
    """The logit of the negative class is returned, so that bad reviews are rewarded."""

    def pick(self, logits):
        return logits[:, self.index("negative")]


@negative_logit.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, 1 - self.index()]


@wrong(about="sign", read="labels", hint="Should a better review have the higher or the lower score?")
class sign_swapped(Wrapper):
    """The scores come with their sign swapped, so that bad reviews are rewarded."""

    def pick(self, logits):
        return -super().pick(logits)


@wrong(about="formula", read="labels", hint="Is a probability of 0.999 or one of 0.9999 much of a difference to learn from?")
class probability_for_logit(Wrapper):
    """The score is the probability of the positive class, which saturates at 1; asked for is its logit."""

    def pick(self, logits):
        return logits.softmax(-1)[:, self.index()]


@probability_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return super().pick(logits).sigmoid()


@probability_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return logits.softmax(-1)[:, 1]


@probability_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return logits.softmax(-1)[:, 0]


@wrong(about="formula", read="labels", hint="Along which dimension does your softmax add up to 1?")
class softmax_over_the_batch(Wrapper):
    """A softmax runs over the texts of a batch, so that a text's score depends on its batch-mates; asked for is the logit."""

    def pick(self, logits):
        return logits.softmax(0)[:, self.index()]


@wrong(about="formula", read="labels", hint="What does log_softmax subtract from every logit?")
class log_probability_for_logit(Wrapper):
    """The score is the log-probability of the positive class, which can never exceed 0; asked for is the logit itself."""

    def pick(self, logits):
        return logits.log_softmax(-1)[:, self.index()]


@log_probability_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return torch.nn.functional.logsigmoid(logits[:, self.index()])


@wrong(about="formula", read="labels", hint="Do the other classes have a part in the logit of this one?")
class margin_for_logit(Wrapper):
    """The score is the positive logit minus those of the other classes, a margin; asked for is the logit itself."""

    def pick(self, logits):
        return logits[:, self.index()] - logits[:, self.index("negative")]


@margin_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return 2 * logits[:, self.index()] - logits.sum(-1)


@margin_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, self.index()] - logits[:, 1 - self.index()]


@margin_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, self.index()] - logits.mean(-1)


@margin_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        others = logits.clone()
        others[:, self.index()] = -torch.inf
        return logits[:, self.index()] - others.max(-1).values


@margin_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        others = logits.clone()
        others[:, self.index()] = -torch.inf
        return logits[:, self.index()] - others.logsumexp(-1)


@wrong(about="formula", read="labels", hint="Does a review score high when the model is certain that it is bad?")
class largest_logit(Wrapper):
    """The largest logit of each text is returned, whatever its class: a review that is surely bad scores high too."""

    def pick(self, logits):
        return logits.max(-1).values


@wrong(about="formula", read="labels", hint="How many different scores can a text get from your wrapper?")
class class_for_logit(Wrapper):
    """The score says only whether the positive class wins, 0 or 1; asked for is its logit, which tells good from better."""

    def pick(self, logits):
        return (logits.argmax(-1) == self.index()).float()


@class_for_logit.also
class _(Wrapper):
    def pick(self, logits):
        return logits.argmax(-1).float()


@wrong(about="formula", read="labels", hint="How does a review score of which the model is certain that it is bad?")
class winning_probability(Wrapper):
    """The score is the probability of whichever class wins, as a pipeline reports it; asked for is the positive logit."""

    def pick(self, logits):
        return logits.softmax(-1).max(-1).values


@winning_probability.also
class _(Wrapper):
    def pick(self, logits):
        best, winner = logits.softmax(-1).max(-1)
        return torch.where(winner == self.index(), best, -best)


@wrong(about="numerics", read="wrapper", hint="How many digits does a half-precision number have?")
class half_precision(Wrapper):
    """The scores have been through half precision, which keeps three digits; they have to be float32."""

    def pick(self, logits):
        return super().pick(logits).half()


@half_precision.also
class _(Wrapper):
    def pick(self, logits):
        return super().pick(logits).bfloat16()


@half_precision.also
class _(Wrapper):
    def logits(self, inputs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().logits(inputs)


# The attention mask, and padding


@wrong(about="mask", read="batch", hint="How does the classifier know which tokens are padding?")
class no_attention_mask(Wrapper):
    """The attention mask is not passed on: the classifier reads the padding, and a text's score depends on its mates."""

    def logits(self, inputs):
        return self.model(input_ids=inputs["input_ids"]).logits


@no_attention_mask.also
class _(Wrapper):
    encoding = {"padding": "max_length"}  # noqa: RUF012

    def logits(self, inputs):
        return self.model(input_ids=inputs["input_ids"]).logits


@no_attention_mask.also
class _(Wrapper):
    side = {"padding": "left", "truncation": "right"}  # noqa: RUF012

    def logits(self, inputs):
        return self.model(input_ids=inputs["input_ids"]).logits


@wrong(
    about="mask",
    read="batch",
    hint="In which order do the values of the tokenizer's result come, and the arguments of the model?",
)
class mask_and_types_exchanged(Wrapper):
    """The token types, all 0, are handed over as the attention mask, so that every token is ignored: pass arguments by name."""

    def logits(self, inputs):
        return self.model(*inputs.values()).logits


@mask_and_types_exchanged.also
class _(Wrapper):
    def logits(self, inputs):
        return self.model(input_ids=inputs["input_ids"], attention_mask=torch.zeros_like(inputs["attention_mask"])).logits


@wrong(about="mask", read="batch", hint="Does a 1 in the mask mean that a token is read, or that it is ignored?")
class attention_mask_inverted(Wrapper):
    """The attention mask is 1 on padding and 0 on the text, so that the classifier reads the padding alone."""

    def logits(self, inputs):
        return self.model(input_ids=inputs["input_ids"], attention_mask=1 - inputs["attention_mask"]).logits


@wrong(about="mask", read="batch", hint="At which position does a short text begin when it is padded on the left?")
class pads_on_the_left(Wrapper):
    """Texts are padded on the left, so that a short text stands at other positions beside a long one and scores differently."""

    side = {"padding": "left", "truncation": "right"}  # noqa: RUF012


@pads_on_the_left.also
class _(Wrapper):
    side = {"padding": "left", "truncation": "right"}  # noqa: RUF012
    encoding = {"padding": "max_length"}  # noqa: RUF012


@wrong(
    about="mask",
    read="batch",
    hint="What does your wrapper do if the tokenizer was used for a policy before, with padding on the left?",
)
class trusts_the_padding_side(Wrapper):
    """Padding stands on whichever side the tokenizer was set to; on the left it moves short texts to other positions."""

    side = {"truncation": "right"}  # noqa: RUF012


@wrong(about="reading", read="wrapper", hint="Which end of a long text is lost if the tokenizer was set to cut on the left?")
class trusts_the_truncation_side(Wrapper):
    """Long texts are cut on whichever side the tokenizer was set to; they have to be cut on the right: set truncation_side."""

    side = {"padding": "right"}  # noqa: RUF012


@wrong(about="reading", read="wrapper", hint="Which attributes of a tokenizer say where it pads and where it cuts?")
class trusts_the_tokenizers_sides(Wrapper):
    """Texts are padded and cut on whichever side the tokenizer was set to; both have to happen on the right: set the sides."""

    side = {}  # noqa: RUF012


@wrong(about="shape", read="batch", hint="Can rows of different lengths be one tensor?")
class no_padding(Wrapper):
    """Nothing is padded, so that texts of different lengths do not fit into one tensor: ask the tokenizer for padding."""

    encoding = {"padding": False}  # noqa: RUF012


# What is read of a text


class WithoutASpecialToken(Wrapper):
    encoding = {"add_special_tokens": False}  # noqa: RUF012


@wrong(
    about="reading",
    read="wrapper",
    hint="What stands before and behind a text when the classifier's tokenizer is left to itself?",
)
class no_special_tokens(WithoutASpecialToken):
    """The text is encoded without the special tokens around it, [CLS] and [SEP], which the classifier was trained with."""


@wrong(about="reading", read="wrapper", hint="Does the end of a text have any influence on your score?")
class prompt_only(Wrapper):
    """Only the beginning of a text is scored, where the prompt stands; the reward is for all of it, response included."""

    def read(self, text):
        return " ".join(text.split()[:4])


@prompt_only.also
class _(Wrapper):
    def read(self, text):
        return " ".join(text.split()[:10])


@prompt_only.also
class _(Wrapper):
    def read(self, text):
        return text.split(".")[0]


@prompt_only.also
class _(Wrapper):
    def read(self, text):
        return " ".join(text.split()[: len(text.split()) // 2])


@prompt_only.also
class _(Wrapper):
    def read(self, text):
        return text[:40]


@prompt_only.also
class _(Wrapper):
    def read(self, text):
        return text[:100]


@wrong(about="reading", read="wrapper", hint="Does the beginning of a text have any influence on your score?")
class end_only(Wrapper):
    """Only the end of a text is scored; the reward is for the whole text."""

    def read(self, text):
        return text.split(".")[-1]


@end_only.also
class _(Wrapper):
    def read(self, text):
        return text.split("\n")[-1]


@end_only.also
class _(Wrapper):
    def read(self, text):
        return " ".join(text.split()[-10:])


@end_only.also
class _(Wrapper):
    def read(self, text):
        return " ".join(text.split()[-5:])


@end_only.also
class _(Wrapper):
    def read(self, text):
        return " ".join(text.split()[len(text.split()) // 2 :])


@wrong(about="reading", read="wrapper", hint="Of a long text, which tokens are left: the first or the last?")
class cut_on_the_left(Wrapper):
    """A long text loses its beginning; it has to be cut on the right."""

    side = {"padding": "right", "truncation": "left"}  # noqa: RUF012


@cut_on_the_left.also
class _(Wrapper):
    def encode(self, texts):
        rows = [self.tokenizer(text)["input_ids"][-self.max_length :] for text in texts]
        return self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")


@cut_on_the_left.also
class _(Wrapper):
    encoding = {"truncation": False, "max_length": None}  # noqa: RUF012

    def encode(self, texts):
        return {name: x[:, -self.max_length :] for name, x in super().encode(texts).items()}


@wrong(about="reading", read="wrapper", hint="What does your wrapper do with a text of more than max_length tokens?")
class max_length_ignored(Wrapper):
    """Long texts are not cut at max_length tokens; a classifier has only so many positions, and time grows with the length."""

    encoding = {"max_length": None}  # noqa: RUF012


@max_length_ignored.also
class _(Wrapper):
    encoding = {"truncation": False, "padding": "max_length"}  # noqa: RUF012


@wrong(about="reading", read="wrapper", hint="Is max_length a number of words, of characters or of tokens?")
class cut_by_characters(Wrapper):
    """max_length is taken for a number of characters; it is one of tokens, and the tokenizer can cut."""

    encoding = {"truncation": False, "max_length": None}  # noqa: RUF012

    def read(self, text):
        return text[: self.max_length]


@wrong(
    about="reading", read="wrapper", hint="Which tokens does the tokenizer add to the words, and does max_length count them?"
)
class cut_by_words(Wrapper):
    """max_length is taken for a number of words; it is one of tokens, [CLS], [SEP] and punctuation included."""

    encoding = {"truncation": False, "max_length": None}  # noqa: RUF012

    def read(self, text):
        return " ".join(text.split()[: self.max_length])


@cut_by_words.also
class _(Wrapper):
    def encode(self, texts):
        return self.tokenizer(texts, padding=True, truncation=True, max_length=self.max_length + 2, return_tensors="pt")


@wrong(about="reading", read="wrapper", hint="How many tokens are left of a long text, and how many should be?")
class cut_too_short(Wrapper):
    """Fewer than max_length tokens are kept: the special tokens are subtracted, which the tokenizer takes care of already."""

    def encode(self, texts):
        return self.tokenizer(texts, padding=True, truncation=True, max_length=self.max_length - 2, return_tensors="pt")


@cut_too_short.also
class _(Wrapper):
    def encode(self, texts):
        return self.tokenizer(texts, padding=True, truncation=True, max_length=self.max_length - 1, return_tensors="pt")


@cut_too_short.also
class _(Wrapper):
    def encode(self, texts):
        return self.tokenizer(texts, padding=True, truncation=True, max_length=self.max_length // 2, return_tensors="pt")


@wrong(about="reading", read="wrapper", hint="What does the classifier say of an empty text, and do you ask it?")
class empty_texts_not_scored(Wrapper):
    """An empty text is passed over or given a score by hand; the classifier has a score for it like for any other."""

    def score(self, texts):
        scores = super().score(texts)
        return torch.where(torch.tensor([bool(text) for text in texts]), scores, torch.zeros_like(scores))


@empty_texts_not_scored.also
class _(Wrapper):
    def batches(self, texts):
        return super().batches([text for text in texts if text])


# Modes and gradients


class NeverEvaluated(Wrapper):
    @torch.no_grad()
    def __call__(self, texts):
        return self.join([self.score(batch) for batch in self.batches(texts)])


@wrong(about="state", read="modes", hint="What does dropout do to a score, and who switches it off?")
class train_mode(NeverEvaluated):
    """The classifier is never put into evaluation mode, so dropout is on and the same text scores differently each time."""


@train_mode.also
class _(NeverEvaluated):
    def score(self, texts):
        self.model.train()
        return super().score(texts)


@train_mode.also
class _(NeverEvaluated):
    def __call__(self, texts):
        scores = super().__call__(texts)
        self.model.eval()
        return scores


@wrong(
    about="state",
    read="modes",
    hint="Somebody calls model.train() after your first call: which mode is the next text scored in?",
)
class eval_set_only_once(NeverEvaluated):
    """Evaluation mode is set once, when the wrapper is made or first called, and lost when the model is trained again."""

    def prepare(self):
        self.model.eval()


@eval_set_only_once.also
class _(NeverEvaluated):
    fresh = True

    def score(self, texts):
        if self.fresh:
            self.model.eval()
            self.fresh = False
        return super().score(texts)


@wrong(about="gradient", read="modes", hint="Is anything ever differentiated through a reward?")
class gradient_leak(Wrapper):
    """The scores carry the classifier's graph along, which costs memory and lets gradients into it: use torch.no_grad()."""

    def __call__(self, texts):
        self.model.eval()
        return self.join([self.score(batch) for batch in self.batches(texts)])


@gradient_leak.also
class _(Wrapper):
    def join(self, scores):
        return super().join(scores).requires_grad_()


# Order and batches


class Sorted(Wrapper):
    """Scores the texts in another order, and leaves the scores in it."""

    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: len(texts[i]))

    def batches(self, texts):
        return super().batches([texts[i] for i in self.order(texts)])


@wrong(about="shape", read="batch", hint="Which text does the first score belong to after the sort?")
class order_by_length(Sorted):
    """The texts are sorted, by length for instance, and the scores are not put back: scores[i] belongs to another text."""


@order_by_length.also
class _(Sorted):
    def order(self, texts):
        return super().order(texts)[::-1]


@order_by_length.also
class _(Sorted):
    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: len(texts[i].split()))


@order_by_length.also
class _(Sorted):
    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: -len(texts[i].split()))


@order_by_length.also
class _(Sorted):
    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: -len(texts[i]))


@order_by_length.also
class _(Sorted):
    def order(self, texts):
        return sorted(range(len(texts)), key=texts.__getitem__)


@order_by_length.also
class _(Wrapper):
    def batches(self, texts):
        return [sorted(batch, key=len) for batch in super().batches(texts)]


@order_by_length.also
class _(Wrapper):
    def batches(self, texts):
        return [sorted(batch, key=len, reverse=True) for batch in super().batches(texts)]


@order_by_length.also
class _(Wrapper):
    def batches(self, texts):
        texts.sort(key=len)
        return super().batches(texts)


class PutBackWrongly(Sorted):
    @torch.no_grad()
    def __call__(self, texts):
        scores = super().__call__(texts)
        return scores[self.order(texts)] if len(texts) else scores


@wrong(about="shape", read="batch", hint="Three texts, sorted into the order [2, 0, 1]: write down where each score has to go.")
class put_back_the_wrong_way(PutBackWrongly):
    """After a sort the scores are indexed by the order, which sorts them once more; `result[order] = scores` puts them back."""


@put_back_the_wrong_way.also
class _(PutBackWrongly):
    def order(self, texts):
        return super().order(texts)[::-1]


@put_back_the_wrong_way.also
class _(PutBackWrongly):
    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: len(texts[i].split()))


@put_back_the_wrong_way.also
class _(PutBackWrongly):
    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: -len(texts[i].split()))


@put_back_the_wrong_way.also
class _(PutBackWrongly):
    def order(self, texts):
        return sorted(range(len(texts)), key=lambda i: -len(texts[i]))


@wrong(about="shape", read="batch", hint="Do your batches follow one another in the list of texts?")
class interleaved_batches(Wrapper):
    """Each batch takes every n-th text, and the scores are joined batch by batch: they come in another order than the texts."""

    def batches(self, texts):
        count = -(-len(texts) // self.batch_size)
        return [texts[start::count] for start in range(count)]


@interleaved_batches.also
class _(Wrapper):
    def batches(self, texts):
        return super().batches(texts)[::-1]


@wrong(about="shape", read="batch", hint="How many scores come back for two texts that are equal?")
class duplicates_dropped(Wrapper):
    """A text that comes twice is scored once and has one score in the result; there is a score for each text of the list."""

    def batches(self, texts):
        return super().batches(list(dict.fromkeys(texts)))


@duplicates_dropped.also
class _(Wrapper):
    def batches(self, texts):
        return super().batches(sorted(set(texts)))


@wrong(about="shape", read="batch", hint="How many batches do seven texts make at three a batch?")
class drops_the_last_batch(Wrapper):
    """The last, smaller batch is left out, so that there are fewer scores than texts."""

    def batches(self, texts):
        return [texts[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(texts) // self.batch_size)]


@drops_the_last_batch.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(texts) // self.batch_size)]

    def join(self, scores):
        return torch.cat(scores)


@drops_the_last_batch.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[i * self.batch_size : (i + 1) * self.batch_size] for i in range(max(len(texts) // self.batch_size, 1))]


@drops_the_last_batch.also
class _(Wrapper):
    def batches(self, texts):
        bounds = range(0, len(texts) - self.batch_size, self.batch_size)
        return [texts[start : start + self.batch_size] for start in bounds]


@drops_the_last_batch.also
class _(Wrapper):
    def batches(self, texts):
        bounds = range(0, len(texts) - self.batch_size, self.batch_size)
        return [texts[start : start + self.batch_size] for start in bounds]

    def join(self, scores):
        return torch.cat(scores)


@wrong(about="shape", read="batch", hint="Where does the second batch begin and end, written out in numbers?")
class batches_cut_wrongly(Wrapper):
    """The batches overlap or end too early: each goes from `start` to `start + batch_size`, where the next one begins."""

    def batches(self, texts):
        return [texts[start : self.batch_size] for start in range(0, len(texts), self.batch_size)]


@batches_cut_wrongly.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[start : start + self.batch_size + 1] for start in range(0, len(texts), self.batch_size)]


@batches_cut_wrongly.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[start : start + self.batch_size - 1] for start in range(0, len(texts), self.batch_size)]


@batches_cut_wrongly.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[start : start + self.batch_size] for start in range(len(texts))]


@batches_cut_wrongly.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[start:] for start in range(0, len(texts), self.batch_size)]


@wrong(about="shape", read="batch", hint="What is the difference between torch.stack and torch.cat?")
class batches_stacked(Wrapper):
    """The batches are stacked, as rows of a matrix, which fails where the last one is smaller; torch.cat joins them."""

    def join(self, scores):
        return torch.stack(scores) if scores else torch.zeros(0)


@batches_stacked.also
class _(Wrapper):
    def join(self, scores):
        return torch.tensor([batch.tolist() for batch in scores])


@wrong(about="shape", read="batch", hint="How is your return indented?")
class first_batch_only(Wrapper):
    """The function returns after the first batch: the return stands inside the loop."""

    def batches(self, texts):
        return super().batches(texts)[:1]


@wrong(about="shape", read="batch", hint="What becomes of the scores of the first batch when the second one is scored?")
class last_batch_only(Wrapper):
    """Each batch overwrites the scores of the one before, so that those of the last batch are all there is."""

    def batches(self, texts):
        return super().batches(texts)[-1:]


@wrong(about="shape", read="batch", hint="How many texts does the classifier get at a time?")
class batch_size_ignored(Wrapper):
    """All texts go through the classifier at once, or a fixed number of them, so that a long list runs out of memory."""

    def batches(self, texts):
        return [texts] if texts else []


@batch_size_ignored.also
class _(Wrapper):
    def batches(self, texts):
        return [texts[start : start + 8] for start in range(0, len(texts), 8)]


@wrong(about="shape", read="batch", hint="What shape do the logits of one text have after squeeze()?")
class squeezed_batch_of_one(Wrapper):
    """A squeeze drops the batch dimension of a single text, also in a last batch of one: pick the column, squeeze nothing."""

    def pick(self, logits):
        return logits.squeeze()[:, self.index()]


@squeezed_batch_of_one.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, self.index()].squeeze()


@squeezed_batch_of_one.also
class _(Wrapper):
    def pick(self, logits):
        return logits[:, self.index()].squeeze().tolist()

    def join(self, scores):
        every = []
        for batch in scores:
            every.extend(batch)
        return torch.tensor(every)


@squeezed_batch_of_one.also
class _(Wrapper):
    def pick(self, logits):
        return list(logits[:, self.index()].squeeze())

    def join(self, scores):
        return torch.stack([score for batch in scores for score in batch])


@squeezed_batch_of_one.also
class _(Wrapper):
    def join(self, scores):
        return super().join(scores).squeeze()


@wrong(about="formula", read="batch", hint="Does your wrapper subtract a mean, and over what?")
class normalised_in_the_batch(Wrapper):
    """Scores of a batch are normalised against each other, so that a text's score depends on its mates: return the logits."""

    def pick(self, logits):
        scores = super().pick(logits)
        return (scores - scores.mean()) / (scores.std(unbiased=False) + 1e-8)


@normalised_in_the_batch.also
class _(Wrapper):
    def join(self, scores):
        scores = super().join(scores)
        return (scores - scores.mean()) / (scores.std(unbiased=False) + 1e-8) if len(scores) else scores


@normalised_in_the_batch.also
class _(Wrapper):
    def join(self, scores):
        scores = super().join(scores)
        return (scores - scores.mean()) / (scores.std() + 1e-8)


@normalised_in_the_batch.also
class _(Wrapper):
    def pick(self, logits):
        scores = super().pick(logits)
        return scores - scores.mean()


@wrong(about="mean", read="wrapper", hint="How many numbers come back for three texts?")
class mean_of_the_texts(Wrapper):
    """One number comes back for the whole list; every text has a score of its own."""

    def join(self, scores):
        return super().join(scores).mean()


@mean_of_the_texts.also
class _(Wrapper):
    def join(self, scores):
        return super().join(scores).mean(0, keepdim=True)


@mean_of_the_texts.also
class _(Wrapper):
    def pick(self, logits):
        return super().pick(logits).mean(0, keepdim=True)


@wrong(about="state", read="wrapper", hint="Where does your list of scores begin, and is it empty at the second call?")
class keeps_the_scores_of_earlier_calls(Wrapper):
    """The list of scores lives in the wrapper and is never emptied: a second call returns those of the first as well."""

    def prepare(self):
        self.collected = []

    def join(self, scores):
        self.collected += scores
        return super().join(self.collected)


# What is returned


@wrong(about="shape", read="wrapper", hint="What does torch.cat say of an empty list?")
class empty_list_fails(Wrapper):
    """An empty list of texts is not provided for; it has to give an empty float32 tensor, of shape (0,)."""

    def join(self, scores):
        return torch.cat(scores).float()


@wrong(about="shape", read="wrapper", hint="How does indexing with 1 differ from indexing with 1:2 or [1]?")
class column_kept(Wrapper):
    """The scores are a column of shape (B, 1); they have to be of shape (B,)."""

    def pick(self, logits):
        return logits[:, [self.index()]]


@wrong(about="shape", read="wrapper", hint="What shape are the logits, and what did you pick of them?")
class all_logits(Wrapper):
    """The logits of all classes come back; the reward is the one of the positive class."""

    def pick(self, logits):
        return logits


@wrong(about="shape", read="wrapper", hint="What type does your wrapper return?")
class list_for_tensor(Wrapper):
    """A Python list is returned; the scores have to be a float32 tensor."""

    def join(self, scores):
        return super().join(scores).tolist()


@list_for_tensor.also
class _(Wrapper):
    def join(self, scores):
        return scores


@list_for_tensor.also
class _(Wrapper):
    def join(self, scores):
        return super().join(scores).numpy()


@wrong(about="shape", read="wrapper", hint="Which dtype do the scores have if the model is in float64?")
class model_dtype_kept(Wrapper):
    """The scores come in the model's own dtype; rewards are float32 whatever the model computes in."""

    def join(self, scores):
        return torch.cat(scores) if scores else torch.zeros(0)


@model_dtype_kept.also
class _(Wrapper):
    def join(self, scores):
        return super().join(scores).double()


# Habits: small faults that come together


def with_habits(base, **habits):
    """`base` with sides of the tokenizer left to chance, no thought of an empty list, or the model's dtype."""

    def join(self, scores):
        joined = torch.cat(scores) if scores or "empty" in habits else torch.zeros(0)
        return joined if "dtype" in habits else joined.float()

    return type(base.__name__, (base,), {"side": habits.get("side", base.side), "join": join})


for mistake in (trusts_the_padding_side, trusts_the_truncation_side, trusts_the_tokenizers_sides, batch_size_ignored):
    for habits in ({"empty": True}, {"dtype": True}, {"empty": True, "dtype": True}):
        mistake.also(with_habits(mistake.forms[0], **habits))
for habits in ({}, {"empty": True}, {"dtype": True}, {"empty": True, "dtype": True}):
    batch_size_ignored.also(with_habits(batch_size_ignored.forms[0], side={}, **habits))
model_dtype_kept.also(with_habits(Wrapper, empty=True, dtype=True))
