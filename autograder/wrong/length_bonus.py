"""Mistakes in length_bonus."""

import re

import torch

from ..bank import wrong


def counts(texts, words=lambda text: text.split()):
    return torch.tensor([float(len(words(text))) for text in texts])


@wrong(about="reading", read="bonus", hint="What does len of a string count, and what does len of text.split()?")
def characters_for_words(texts, target_words=50, weight=0.5):
    """The characters of a text are counted, not its words, so that nearly every text gets the full bonus."""
    return weight * (counts(texts, words=str) / target_words).clamp(max=1)


@characters_for_words.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: text.replace(" ", "")) / target_words).clamp(max=1)


@characters_for_words.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=str.strip) / target_words).clamp(max=1)


@wrong(about="clip", read="bonus", hint="What does a text of a thousand words get?")
def uncapped(texts, target_words=50, weight=0.5):
    """The bonus goes on growing beyond the target, so that a model learns to ramble: the share has to stop at 1."""
    return weight * counts(texts) / target_words


@wrong(about="clip", read="bonus", hint="What is the largest bonus that yours can give: 1, or the weight?")
def weight_inside_the_cap(texts, target_words=50, weight=0.5):
    """The weight is multiplied in before the cap, so that the bonus stops at 1 and not at the weight."""
    return (weight * counts(texts) / target_words).clamp(max=1)


@wrong(about="clip", read="bonus", hint="At how many words does your bonus stop growing?")
def capped_at_the_weight(texts, target_words=50, weight=0.5):
    """The share of the target is capped at the weight and not multiplied by it: the bonus is full before the target is met."""
    return (counts(texts) / target_words).clamp(max=weight)


@wrong(about="clip", read="bonus", hint="Of a share of 0.3 and 1, which one does your function keep?")
def max_for_min(texts, target_words=50, weight=0.5):
    """The larger of the share and 1 is taken and not the smaller: short texts get the full bonus, and long ones more."""
    return weight * (counts(texts) / target_words).clamp(min=1)


@wrong(about="scale", read="bonus", hint="Compare the largest bonus you give with the weight.")
def weight_forgotten(texts, target_words=50, weight=0.5):
    """The share of the target is returned without the weight."""
    return (counts(texts) / target_words).clamp(max=1)


@wrong(about="scale", read="bonus", hint="Call your function with two different weights: does it notice?")
def weight_fixed(texts, target_words=50, weight=0.5):
    """The default weight of 0.5 stands in the code, and the argument is ignored."""
    return 0.5 * (counts(texts) / target_words).clamp(max=1)


@wrong(about="scale", read="bonus", hint="Call your function with two different targets: does it notice?")
def target_fixed(texts, target_words=50, weight=0.5):
    """The default target of 50 words stands in the code, and the argument is ignored."""
    return weight * (counts(texts) / 50).clamp(max=1)


@wrong(about="formula", read="bonus", hint="What is the share of a text with half of the target's words?")
def share_upside_down(texts, target_words=50, weight=0.5):
    """The target is divided by the words and not the words by the target, so the bonus falls with the length."""
    return weight * (target_words / counts(texts)).clamp(max=1)


@share_upside_down.also
def _(texts, target_words=50, weight=0.5):
    return torch.tensor([weight * min(target_words / len(text.split()), 1) for text in texts])


@share_upside_down.also
def _(texts, target_words=50, weight=0.5):
    return weight * (target_words / counts(texts).clamp(min=1)).clamp(max=1)


@share_upside_down.also
def _(texts, target_words=50, weight=0.5):
    return torch.tensor([weight * min(target_words / max(len(text.split()), 1), 1) for text in texts])


@wrong(about="reading", read="bonus", hint='What does "two  words".split(" ") give, with two spaces?')
def split_at_single_spaces(texts, target_words=50, weight=0.5):
    """The text is split at every single space: an empty text has one word, two spaces make one more, a line end makes none."""
    return weight * (counts(texts, words=lambda text: text.split(" ")) / target_words).clamp(max=1)


@split_at_single_spaces.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: [w for w in text.split(" ") if w]) / target_words).clamp(max=1)


@split_at_single_spaces.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: text.strip().split(" ")) / target_words).clamp(max=1)


@split_at_single_spaces.also
def _(texts, target_words=50, weight=0.5):
    return weight * (torch.tensor([float(text.count(" ") + 1) for text in texts]) / target_words).clamp(max=1)


@wrong(about="reading", read="bonus", hint="How many spaces are there in a text of one word?")
def spaces_for_words(texts, target_words=50, weight=0.5):
    """The spaces are counted, which are one fewer than the words, and more where there are several in a row."""
    return weight * (torch.tensor([float(text.count(" ")) for text in texts]) / target_words).clamp(max=1)


@wrong(about="reading", read="bonus", hint='How many words are "isn\'t" and "well-made" by text.split()?')
def punctuation_splits_words(texts, target_words=50, weight=0.5):
    """Words are taken to be runs of letters, so "isn't" counts twice and "!" not at all; a word ends at white space only."""
    return weight * (counts(texts, words=lambda text: re.findall(r"\w+", text)) / target_words).clamp(max=1)


@punctuation_splits_words.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: re.findall(r"[a-z]+", text.lower())) / target_words).clamp(max=1)


@punctuation_splits_words.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: re.findall(r"\b\w+\b", text)) / target_words).clamp(max=1)


@punctuation_splits_words.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: re.findall(r"\w+|[^\w\s]", text)) / target_words).clamp(max=1)


@punctuation_splits_words.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts, words=lambda text: re.findall(r"[\w']+", text)) / target_words).clamp(max=1)


@wrong(about="reading", read="bonus", hint="How many words has 'so so so'?")
def different_words_only(texts, target_words=50, weight=0.5):
    """Only different words are counted; a word that comes again counts again."""
    return weight * (counts(texts, words=lambda text: set(text.split())) / target_words).clamp(max=1)


@wrong(about="formula", read="bonus", hint="What does a text just one word short of the target get?")
def all_or_nothing(texts, target_words=50, weight=0.5):
    """The bonus is given whole or not at all (// drops a fraction); it has to grow with every word up to the target."""
    return weight * (counts(texts) >= target_words).float()


@all_or_nothing.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts) // target_words)


@all_or_nothing.also
def _(texts, target_words=50, weight=0.5):
    return weight * (counts(texts) > target_words).float()


@wrong(about="formula", read="bonus", hint="What happens to the bonus of a text longer than the target?")
def falls_beyond_the_target(texts, target_words=50, weight=0.5):
    """Beyond the target the bonus falls again or is lost; it has to stay at its full height."""
    return weight * (1 - (counts(texts) - target_words).abs() / target_words)


@falls_beyond_the_target.also
def _(texts, target_words=50, weight=0.5):
    return weight * (1 - (counts(texts) - target_words).abs() / target_words).clamp(min=0)


@falls_beyond_the_target.also
def _(texts, target_words=50, weight=0.5):
    words = counts(texts)
    return weight * torch.where(words <= target_words, words / target_words, torch.zeros_like(words))


@falls_beyond_the_target.also
def _(texts, target_words=50, weight=0.5):
    words = counts(texts)
    return weight * torch.minimum(words / target_words, target_words / words.clamp(min=1))


@wrong(about="scale", read="bonus", hint="What does a text of exactly the target's length get?")
def words_for_share(texts, target_words=50, weight=0.5):
    """The number of words is capped but never divided by the target, so that the bonus is far larger than the weight."""
    return weight * counts(texts).clamp(max=target_words)


@words_for_share.also
def _(texts, target_words=50, weight=0.5):
    return weight * counts(texts)


@wrong(about="clip", read="bonus", hint="Divide first, then cap: what does the cap of 1 mean for a number of words?")
def cap_on_the_words(texts, target_words=50, weight=0.5):
    """The number of words is capped at 1 before it is divided by the target, so that all texts get the same crumb."""
    return weight * counts(texts).clamp(max=1) / target_words


@wrong(about="formula", read="bonus", hint="Is the weight a factor or a summand?")
def weight_added(texts, target_words=50, weight=0.5):
    """The weight is added to the share and not multiplied with it."""
    return weight + (counts(texts) / target_words).clamp(max=1)


@wrong(about="sign", read="bonus", hint="Should a longer text gain or lose?")
def penalty_for_bonus(texts, target_words=50, weight=0.5):
    """The sign is swapped: longer texts lose."""
    return -weight * (counts(texts) / target_words).clamp(max=1)


@wrong(about="mean", read="bonus", hint="How many numbers are there for three texts?")
def one_bonus_for_all(texts, target_words=50, weight=0.5):
    """The texts are averaged; every text has a bonus of its own."""
    return (weight * (counts(texts) / target_words).clamp(max=1)).mean()


@one_bonus_for_all.also
def _(texts, target_words=50, weight=0.5):
    return weight * torch.tensor(min(sum(len(text.split()) for text in texts) / target_words, 1.0))


@wrong(about="shape", read="bonus", hint="What type does your function return?")
def list_for_tensor(texts, target_words=50, weight=0.5):
    """A Python list is returned; the scores it is added to are a tensor, so it has to be a float32 tensor."""
    return [weight * min(len(text.split()) / target_words, 1) for text in texts]


@wrong(about="shape", read="bonus", hint="Which dtype do rewards have?")
def float64_for_float32(texts, target_words=50, weight=0.5):
    """The result is float64; rewards are float32."""
    return weight * (counts(texts).double() / target_words).clamp(max=1)


@wrong(about="reading", read="bonus", hint="Which bonus does a target of 10 words and a weight of 2 give in your code?")
def arguments_ignored(texts, target_words=50, weight=0.5):
    """The default target and weight are written into the formula, so that the arguments of the caller change nothing."""
    return torch.tensor([0.5 * min(len(text.split()) / 50, 1) for text in texts], dtype=torch.float32)
