"""Mistakes in bradley_terry_loss."""

import math

import torch
import torch.nn.functional as F

from ..bank import WrongAnswer, wrong


class Draft:
    in_two_steps = False


def log_sigmoid(x):
    """The logarithm of a sigmoid: well, or as a first draft has it."""
    return torch.log(torch.sigmoid(x)) if Draft.in_two_steps else F.logsigmoid(x)


@wrong(about="sign", read="pairs", hint="If the chosen text gets a higher score, should the loss rise or fall?")
def sign_swapped(chosen, rejected):
    """The difference is rejected minus chosen, so the loss teaches the model to prefer the text that was not chosen."""
    return -log_sigmoid(rejected - chosen).mean()


@wrong(about="sign", read="pairs", hint="A log-probability is never positive: what sign has a loss that is to be minimised?")
def minus_forgotten(chosen, rejected):
    """This is the mean log-likelihood itself: a loss is its negative, or minimising makes the preferences less likely."""
    return log_sigmoid(chosen - rejected).mean()


@wrong(about="sign", read="pairs", hint="Compute it for a difference of 0: is a loss of -log 2 possible?")
def minus_inside(chosen, rejected):
    """The minus stands inside, log sigmoid(rejected - chosen), and not in front: a loss that is always negative."""
    return log_sigmoid(rejected - chosen).mean()


@wrong(
    about="formula", read="pairs", hint="Which loss belongs to a probability of winning, and what do you take its logarithm of?"
)
def squared_error(chosen, rejected):
    """The squared distance of the difference from 1 is minimised, but preferences have a likelihood, not a target score."""
    return (chosen - rejected - 1).square().mean()


@squared_error.also
def _(chosen, rejected):
    return (chosen - rejected).square().mean()


@squared_error.also
def _(chosen, rejected):
    return -(chosen - rejected).square().mean()


@squared_error.also
def _(chosen, rejected):
    return (1 - torch.sigmoid(chosen - rejected)).square().mean()


@squared_error.also
def _(chosen, rejected):
    return (1 - chosen).square().mean() + rejected.square().mean()


@squared_error.also
def _(chosen, rejected):
    return 0.5 * (chosen - rejected - 1).square().mean()


@wrong(about="numerics", read="stable", hint="What is sigmoid(-1e4) in floating point, and what is its logarithm?")
def unstable_log(chosen, rejected):
    """The sigmoid is computed first and its logarithm then: far below zero it underflows to 0, whose logarithm is infinite."""
    return -torch.log(torch.sigmoid(chosen - rejected)).mean()


@unstable_log.also
def _(chosen, rejected):
    return torch.log(1 + torch.exp(rejected - chosen)).mean()


@unstable_log.also
def _(chosen, rejected):
    return -torch.log(1 / (1 + torch.exp(rejected - chosen))).mean()


@unstable_log.also
def _(chosen, rejected):
    return -torch.log(chosen.exp() / (chosen.exp() + rejected.exp())).mean()


@unstable_log.also
def _(chosen, rejected):
    return (torch.log(chosen.exp() + rejected.exp()) - chosen).mean()


@unstable_log.also
def _(chosen, rejected):
    return -torch.stack([chosen, rejected], -1).softmax(-1)[:, 0].log().mean()


@unstable_log.also
def _(chosen, rejected):
    d = chosen - rejected
    return -torch.log(d.exp() / (1 + d.exp())).mean()


@unstable_log.also
def _(chosen, rejected):
    d = chosen - rejected
    return (torch.log1p(d.exp()) - d).mean()


@unstable_log.also
def _(chosen, rejected):
    d = chosen - rejected
    return torch.where(d > 0, torch.log1p(torch.exp(-d)), torch.log1p(torch.exp(d)) - d).mean()  # 0 * inf in the gradient


@wrong(about="numerics", read="stable", hint="Which loss, and which gradient, does your code give for a difference of -1e4?")
def clipped_probability(chosen, rejected):
    """The probability is kept away from 0 before the logarithm: it stays finite, but at large differences it is wrong."""
    return -torch.log(torch.sigmoid(chosen - rejected) + 1e-8).mean()


@clipped_probability.also
def _(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected).clamp(min=1e-8)).mean()


@clipped_probability.also
def _(chosen, rejected):
    probability = torch.sigmoid(chosen - rejected)
    return F.binary_cross_entropy(probability, torch.ones_like(probability))


@clipped_probability.also
def _(chosen, rejected):
    return -log_sigmoid((chosen - rejected).clamp(-50, 50)).mean()


@clipped_probability.also
def _(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected).clamp(1e-7, 1 - 1e-7)).mean()


@wrong(about="mean", read="pairs", hint="Give the same pair twice: should the loss double?")
def sum_for_mean(chosen, rejected):
    """The losses of the pairs are summed, so the step grows with the batch; the loss is their mean."""
    return -log_sigmoid(chosen - rejected).sum()


@wrong(about="shape", read="pairs", hint="What shape has a loss that can be minimised?")
def no_reduction(chosen, rejected):
    """One loss for each pair is returned; the mean over pairs is missing."""
    return -log_sigmoid(chosen - rejected)


@wrong(about="mean", read="pairs", hint="Is the logarithm of a mean the mean of the logarithms?")
def mean_before_the_log(chosen, rejected):
    """The mean is taken before the logarithm, over differences or probabilities; each pair has a log-likelihood of its own."""
    return -log_sigmoid((chosen - rejected).mean())


@mean_before_the_log.also
def _(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected).mean())


@wrong(
    about="formula",
    read="pairs",
    hint="What is the likelihood of several independent pairs, and what turns that product into a mean?",
)
def probability_without_the_log(chosen, rejected):
    """The probability itself is used where its logarithm belongs, so a pair that is badly wrong has hardly any gradient."""
    return 1 - torch.sigmoid(chosen - rejected).mean()


@probability_without_the_log.also
def _(chosen, rejected):
    return -torch.sigmoid(chosen - rejected).mean()


@probability_without_the_log.also
def _(chosen, rejected):
    return torch.sigmoid(chosen - rejected).mean()


@wrong(about="formula", read="pairs", hint="Does a pair that is won by 2 still have a loss under the Bradley-Terry model?")
def hinge(chosen, rejected):
    """This is a margin loss, zero once the difference is large enough; the Bradley-Terry loss never reaches zero."""
    return F.relu(1 - (chosen - rejected)).mean()


@hinge.also
def _(chosen, rejected):
    return F.relu(rejected - chosen).mean()


@wrong(about="formula", read="pairs", hint="What keeps the model from pushing the scores apart without end?")
def difference_alone(chosen, rejected):
    """The difference of the scores is the loss, without the sigmoid and the logarithm that turn it into a likelihood."""
    return (rejected - chosen).mean()


@difference_alone.also
def _(chosen, rejected):
    return (chosen - rejected).mean()


@wrong(about="gradient", read="pairs", hint="Which of the two scores may move when the model learns from a pair?")
def one_side_detached(chosen, rejected):
    """One of the two scores is detached, but the model learns from both texts of a pair."""
    return -log_sigmoid(chosen - rejected.detach()).mean()


@one_side_detached.also
def _(chosen, rejected):
    return -log_sigmoid(chosen.detach() - rejected).mean()


@wrong(about="gradient", read="pairs", hint="What does your result's `requires_grad` say when the scores require one?")
def detached(chosen, rejected):
    """The result is cut off from the scores (no_grad, detach, item), so nothing can be learned from it."""
    return -log_sigmoid(chosen - rejected).mean().detach()


@wrong(about="formula", read="pairs", hint="Does adding a constant to every score change your loss?")
def each_score_alone(chosen, rejected):
    """Each text is classified as good or bad by its own score, but the click only says which of two is better."""
    return -(log_sigmoid(chosen) + log_sigmoid(-rejected)).mean()


@each_score_alone.also
def _(chosen, rejected):
    return -(log_sigmoid(chosen) + log_sigmoid(-rejected)).mean() / 2


@each_score_alone.also
def _(chosen, rejected):
    return -log_sigmoid(chosen).mean()


@each_score_alone.also
def _(chosen, rejected):
    return (log_sigmoid(rejected) - log_sigmoid(chosen)).mean()


@each_score_alone.also
def _(chosen, rejected):
    return -log_sigmoid(chosen.sigmoid() - rejected.sigmoid()).mean()


@wrong(about="formula", read="pairs", hint="A share of positive strengths: by which function does a score become a strength?")
def scores_as_strengths(chosen, rejected):
    """The raw scores are divided, chosen / (chosen + rejected), but a score is the logarithm of a strength."""
    return -torch.log(chosen / (chosen + rejected)).mean()


@scores_as_strengths.also
def _(chosen, rejected):
    return -torch.log(chosen.sigmoid() / (chosen.sigmoid() + rejected.sigmoid())).mean()


@scores_as_strengths.also
def _(chosen, rejected):
    return -log_sigmoid(chosen / rejected).mean()


@wrong(about="scale", read="pairs", hint="To which base is your logarithm?")
def bits_for_nats(chosen, rejected):
    """The logarithm is to base 2; log-probabilities and losses are in nats, to base e."""
    return -log_sigmoid(chosen - rejected).mean() / math.log(2)


@bits_for_nats.also
def _(chosen, rejected):
    return -torch.log2(torch.sigmoid(chosen - rejected)).mean()


@bits_for_nats.also
def _(chosen, rejected):
    return -log_sigmoid(chosen - rejected).mean() / math.log(10)


@wrong(about="scale", read="pairs", hint="What does your loss give for equal scores? It has to be log 2.")
def wrong_factor(chosen, rejected):
    """The loss is the right one times a constant: each pair counts twice, or half."""
    return -2 * log_sigmoid(chosen - rejected).mean()


@wrong_factor.also
def _(chosen, rejected):
    return -0.5 * log_sigmoid(chosen - rejected).mean()


@wrong(about="formula", read="pairs", hint="With which rejected text was the first chosen text compared?")
def across_pairs(chosen, rejected):
    """Every chosen text is compared with every rejected one, also with those it was never shown beside."""
    return -log_sigmoid(chosen.unsqueeze(1) - rejected.unsqueeze(0)).mean()


@wrong(about="sign", read="pairs", hint="What should the loss of a pair be in which the rejected text scores higher?")
def size_of_the_difference(chosen, rejected):
    """The absolute difference is used, so a pair that the model has the wrong way round costs as little as a right one."""
    return -log_sigmoid((chosen - rejected).abs()).mean()


def first_draft(form):
    """The same mistake, with the sigmoid first and its logarithm then."""

    def in_two_steps(chosen, rejected):
        Draft.in_two_steps = True
        try:
            return form(chosen, rejected)
        finally:
            Draft.in_two_steps = False

    return in_two_steps


def add_first_drafts():
    for name, mistake in list(globals().items()):
        if isinstance(mistake, WrongAnswer) and name not in ("_", "unstable_log", "clipped_probability"):
            for form in list(mistake.forms):
                if "log_sigmoid" in form.__code__.co_names:
                    mistake.also(first_draft(form))


add_first_drafts()
