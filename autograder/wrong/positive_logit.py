"""Mistakes in positive_logit."""

import torch

from ..bank import wrong


def index_of(id2label, matches=lambda label: label.lower() == "positive"):
    """The index of the first class whose label matches; a ValueError where there is none."""
    for index, label in id2label.items():
        if matches(label):
            return int(index)
    raise ValueError(f"no positive label among {list(id2label.values())}")


def by_index(logits, id2label, index):
    index_of(id2label)
    return logits[:, index]


@wrong(about="reading", read="labels", hint="Which index would be right for labels in the other order?")
def label_by_index(logits, id2label):
    """The logit is read at a fixed index, but only the label says which class is positive, and classifiers differ there."""
    return logits[:, 1]


@label_by_index.also
def _(logits, id2label):
    return by_index(logits, id2label, 1)


@label_by_index.also
def _(logits, id2label):
    return by_index(logits, id2label, 0)


@label_by_index.also
def _(logits, id2label):
    return logits[:, 0]


@label_by_index.also
def _(logits, id2label):
    return by_index(logits, id2label, -1)


@label_by_index.also
def _(logits, id2label):
    return logits[:, -1]


@wrong(about="formula", read="labels", hint="Is a probability of 0.999 or one of 0.9999 much of a difference to learn from?")
def probability_for_logit(logits, id2label):
    """The result is the probability of the positive class, which saturates at 1; asked for is its logit."""
    return logits.softmax(-1)[:, index_of(id2label)]


@probability_for_logit.also
def _(logits, id2label):
    return logits[:, index_of(id2label)].sigmoid()


@probability_for_logit.also
def _(logits, id2label):
    return logits.softmax(-1)[:, 1]


@probability_for_logit.also
def _(logits, id2label):
    return logits.softmax(-1)[:, -1]


@wrong(about="formula", read="labels", hint="What does log_softmax subtract from every logit?")
def log_probability_for_logit(logits, id2label):
    """The result is the log-probability of the positive class, which can never exceed 0; asked for is the logit itself."""
    return logits.log_softmax(-1)[:, index_of(id2label)]


@log_probability_for_logit.also
def _(logits, id2label):
    return torch.nn.functional.logsigmoid(logits[:, index_of(id2label)])


@wrong(about="formula", read="labels", hint="Do the other classes have a part in the logit of this one?")
def margin_for_logit(logits, id2label):
    """The result is the positive logit minus those of the other classes, a margin; asked for is the logit itself."""
    positive = logits[:, index_of(id2label)]
    return positive - (logits.sum(-1) - positive)


@margin_for_logit.also
def _(logits, id2label):
    index = index_of(id2label)
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], 1)
    return logits[:, index] - others.mean(1)


@margin_for_logit.also
def _(logits, id2label):
    index = index_of(id2label)
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], 1)
    return logits[:, index] - others.max(1).values


@margin_for_logit.also
def _(logits, id2label):
    index = index_of(id2label)
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], 1)
    return logits[:, index] - others.logsumexp(1)


@margin_for_logit.also
def _(logits, id2label):
    return logits[:, index_of(id2label)] - logits[:, index_of(id2label, lambda label: label.lower() == "negative")]


@margin_for_logit.also
def _(logits, id2label):
    index = index_of(id2label)
    return logits[:, index] - logits[:, 1 - index]


@margin_for_logit.also
def _(logits, id2label):
    return logits[:, index_of(id2label)] - logits.mean(-1)


@wrong(about="reading", read="labels", hint="Would your comparison take 'not positive' for positive?")
def label_by_substring(logits, id2label):
    """Any label with "positive" in it is taken, so that "not positive" counts as positive; the label has to equal the word."""
    return logits[:, index_of(id2label, lambda label: "positive" in label.lower())]


@label_by_substring.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: label.lower().startswith("positive"))]


@label_by_substring.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: label.lower().endswith("positive"))]


@label_by_substring.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: label.lower().startswith("pos"))]


@label_by_substring.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: "pos" in label.lower())]


@label_by_substring.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: "positive" in label.lower().split())]


@label_by_substring.also
def _(logits, id2label):
    found = [int(index) for index, label in id2label.items() if "positive" in label.lower()]
    if not found:
        raise ValueError(f"no positive label among {list(id2label.values())}")
    return logits[:, found[-1]]


@wrong(about="reading", read="labels", hint="Published classifiers write POSITIVE, Positive and positive: what do you compare?")
def case_matters(logits, id2label):
    """The label is found in one spelling only, but case is to be ignored: "POSITIVE", "Positive" and "positive" are one."""
    return logits[:, index_of(id2label, lambda label: label == "POSITIVE")]


@case_matters.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: label == "positive")]


@case_matters.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: label == "Positive")]


@case_matters.also
def _(logits, id2label):
    return logits[:, index_of(id2label, lambda label: label in ("POSITIVE", "positive"))]


@case_matters.also
def _(logits, id2label):
    return logits[:, {label: int(index) for index, label in id2label.items()}["POSITIVE"]]


@case_matters.also
def _(logits, id2label):
    return logits[:, {label: int(index) for index, label in id2label.items()}["positive"]]


@wrong(about="reading", read="labels", hint="What do the keys of id2label say, and do you use them?")
def place_in_the_dict(logits, id2label):
    """The place of the label in the dict is taken for the class; the class is its key, and a dict may be in any order."""
    names = [label.lower() for label in id2label.values()]
    if "positive" not in names:
        raise ValueError(f"no positive label among {list(id2label.values())}")
    return logits[:, names.index("positive")]


@place_in_the_dict.also
def _(logits, id2label):
    return logits[:, [label.lower() for label in id2label.values()].index("positive")]


@wrong(about="reading", read="labels", hint="In which order do '2' and '10' come when they are text?")
def keys_sorted_as_text(logits, id2label):
    """The classes are ordered by their keys as text, where "10" comes before "2": turn the keys into numbers first."""
    names = [id2label[key].lower() for key in sorted(id2label)]
    if "positive" not in names:
        raise ValueError(f"no positive label among {names}")
    return logits[:, names.index("positive")]


@wrong(about="reading", read="labels", hint="What is logits[:, '1'], with a string for an index?")
def string_keys_forgotten(logits, id2label):
    """The key is used as an index as it is, but keys may be numeric strings, as in a file: turn them into an int."""
    for index, label in id2label.items():
        if label.lower() == "positive":
            return logits[:, index]
    raise ValueError(f"no positive label among {list(id2label.values())}")


@string_keys_forgotten.also
def _(logits, id2label):
    for index in range(len(id2label)):
        if id2label[index].lower() == "positive":
            return logits[:, index]
    raise ValueError(f"no positive label among {list(id2label.values())}")


@string_keys_forgotten.also
def _(logits, id2label):
    for index in range(logits.shape[1]):
        if id2label.get(index, "").lower() == "positive":
            return logits[:, index]
    raise ValueError(f"no positive label among {list(id2label.values())}")


@string_keys_forgotten.also
def _(logits, id2label):
    for index, label in id2label.items():
        if label.lower() == "positive":
            return logits.select(1, index)
    raise ValueError(f"no positive label among {list(id2label.values())}")


@wrong(about="reading", read="labels", hint="What does your function do after a loop that has found nothing?")
def no_error_without_the_label(logits, id2label):
    """Where no label is positive, something is returned all the same; a ValueError would tell that it is the wrong model."""
    try:
        return logits[:, index_of(id2label)]
    except ValueError:
        return logits[:, -1]


@no_error_without_the_label.also
def _(logits, id2label):
    for index, label in id2label.items():
        if label.lower() == "positive":
            return logits[:, int(index)]


@wrong(
    about="reading", read="labels", hint="Which error would tell the reader that the labels are the trouble, and which labels?"
)
def another_error_without_the_label(logits, id2label):
    """Where no label is positive, the error is no ValueError: its reader sees a failed look-up, not what is missing."""
    return logits[:, {label.lower(): int(index) for index, label in id2label.items()}["positive"]]


@another_error_without_the_label.also
def _(logits, id2label):
    return logits[:, next(int(index) for index, label in id2label.items() if label.lower() == "positive")]


@another_error_without_the_label.also
def _(logits, id2label):
    return logits[:, [int(index) for index, label in id2label.items() if label.lower() == "positive"][0]]  # noqa: RUF015


@another_error_without_the_label.also
def _(logits, id2label):
    found = None
    for index, label in id2label.items():
        if label.lower() == "positive":
            found = int(index)
    return logits[:, int(found)]


@another_error_without_the_label.also
def _(logits, id2label):
    found = [int(index) for index, label in id2label.items() if label.lower() == "positive"]
    assert found, f"no positive label among {list(id2label.values())}"
    return logits[:, found[0]]


@another_error_without_the_label.also
def _(logits, id2label):
    for index, label in id2label.items():
        if label.lower() == "positive":
            found = int(index)
    return logits[:, found]


@another_error_without_the_label.also
def _(logits, id2label):
    for index, label in id2label.items():
        if label.lower() == "positive":
            return logits[:, int(index)]
    raise RuntimeError(f"no positive label among {list(id2label.values())}")


@wrong(about="reading", read="labels", hint="Somebody reads only your message: can they tell which labels the model has?")
def error_without_the_labels(logits, id2label):
    """The ValueError does not name the labels that there are, so its reader cannot see what is wrong with the model."""
    try:
        return logits[:, index_of(id2label)]
    except ValueError:
        raise ValueError("no positive label") from None


@wrong(about="shape", read="labels", hint="What shape do you get for one text, and is it (1,)?")
def squeezed(logits, id2label):
    """A batch of one loses its dimension, so that one text gives no vector of scores: index the column and squeeze nothing."""
    return logits[:, index_of(id2label)].squeeze()


@squeezed.also
def _(logits, id2label):
    return logits.squeeze()[..., index_of(id2label)]


@squeezed.also
def _(logits, id2label):
    return logits.squeeze()[:, index_of(id2label)]


@wrong(about="shape", read="labels", hint="How does indexing with 1 differ from indexing with 1:2 or [1]?")
def column_kept(logits, id2label):
    """The result is a column of shape (B, 1); a score for each text has shape (B,)."""
    index = index_of(id2label)
    return logits[:, index : index + 1]


@wrong(about="shape", read="labels", hint="Which dimension of the logits is the batch?")
def row_for_column(logits, id2label):
    """The index picks a row, all classes of one text; the positive class is a column, one number of every text."""
    return logits[index_of(id2label)]


@wrong(about="reading", read="labels", hint="Which class does your index belong to when the labels are POSITIVE and NEGATIVE?")
def negative_logit(logits, id2label):
    """The logit of the negative class is returned, so that bad reviews are rewarded."""
    index_of(id2label)
    return logits[:, index_of(id2label, lambda label: label.lower() == "negative")]


@negative_logit.also
def _(logits, id2label):
    index = index_of(id2label)
    return logits[:, 1 - index]


@wrong(about="sign", read="labels", hint="Should a better review have the higher or the lower score?")
def sign_swapped(logits, id2label):
    """The positive logit comes with its sign swapped, so that bad reviews are rewarded."""
    return -logits[:, index_of(id2label)]


@wrong(about="formula", read="labels", hint="Does a review score high when the model is certain that it is bad?")
def largest_logit(logits, id2label):
    """The largest logit of each text is returned, whatever its class: a review that is surely bad scores high too."""
    index_of(id2label)
    return logits.max(-1).values


@largest_logit.also
def _(logits, id2label):
    return logits.max(-1).values


@wrong(about="formula", read="labels", hint="How many different scores can your function give?")
def class_for_logit(logits, id2label):
    """The result says only whether the positive class wins, 0 or 1; asked for is its logit, which tells good from better."""
    return (logits.argmax(-1) == index_of(id2label)).to(logits.dtype)


@class_for_logit.also
def _(logits, id2label):
    index_of(id2label)
    return logits.argmax(-1).to(logits.dtype)


@wrong(about="shape", read="labels", hint="How many numbers are there for a batch of five texts?")
def mean_of_the_batch(logits, id2label):
    """One number comes back for the whole batch; every text has a score of its own."""
    return logits[:, index_of(id2label)].mean()


@wrong(about="scale", read="labels", hint="What happens to a logit of 40000, and should anything?")
def clamped(logits, id2label):
    """Large logits are cut off at a limit, though the logit itself is asked for, whatever its size."""
    return logits[:, index_of(id2label)].clamp(-10, 10)


@clamped.also
def _(logits, id2label):
    return logits[:, index_of(id2label)].clamp(-5, 5)


@clamped.also
def _(logits, id2label):
    return logits[:, index_of(id2label)].clamp(-100, 100)


@clamped.also
def _(logits, id2label):
    return logits[:, index_of(id2label)].tanh()


@clamped.also
def _(logits, id2label):
    return logits[:, index_of(id2label)].clamp(min=0)
