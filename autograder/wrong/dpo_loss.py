"""Mistakes in dpo_loss."""

import torch
import torch.nn.functional as F

from ..bank import wrong


def margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected):
    return (policy_chosen - ref_chosen.detach()) - (policy_rejected - ref_rejected.detach())


CURVES = {"accuracy": 0.0, "reward_margin": 0.0}


def result(losses):
    """The loss, from one number a pair, and the names of the curves."""
    return losses.mean(), dict(CURVES)


@wrong(about="mean", read="dpo", hint="What would twice as many pairs do to your loss?")
def sum_for_mean(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The losses of the pairs are summed, where their mean is asked for."""
    return -F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)).sum(), dict(CURVES)


@wrong(about="mean", read="dpo", hint="Is the log-sigmoid of a mean the mean of the log-sigmoids?")
def mean_before_the_sigmoid(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The margins of all pairs are averaged or summed first and then put into one log-sigmoid: every pair has its own."""
    return -F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected).mean()), dict(CURVES)


@mean_before_the_sigmoid.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected).sum()), dict(CURVES)


@mean_before_the_sigmoid.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    margin = beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return -torch.sigmoid(margin).mean().log(), dict(CURVES)


@wrong(about="shape", read="dpo", hint="A loss for an optimizer is how many numbers?")
def mean_missing(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """One loss for each pair is returned, where their mean is asked for."""
    return -F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)), dict(CURVES)


@wrong(about="formula", read="dpo", hint="What keeps the policy near the model it started as?")
def no_reference(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The reference is left out: the margin compares how far the policy has moved, not what it says itself."""
    return result(-F.logsigmoid(beta * (policy_chosen - policy_rejected)))


@wrong(about="formula", read="dpo", hint="Both responses have a reference. Where does each of them enter?")
def half_a_reference(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Only one of the two responses is compared with its reference."""
    return result(-F.logsigmoid(beta * (policy_chosen - ref_chosen.detach() - policy_rejected)))


@half_a_reference.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(beta * (policy_chosen - policy_rejected + ref_rejected.detach())))


@wrong(about="sign", read="dpo", hint="Does your loss fall or rise as the policy comes to prefer the chosen response?")
def sign_of_the_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The minus before the mean is missing: minimising this drives the chosen responses down."""
    return result(F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="sign", read="dpo", hint="The reference's own preference: is it added to the policy's, or taken off?")
def reference_added(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The margin of the reference is added to the policy's (or the references are crossed), where it has to be taken off."""
    reference = ref_chosen.detach() - ref_rejected.detach()
    return result(-F.logsigmoid(beta * (policy_chosen - policy_rejected + reference)))


@reference_added.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    sums = (policy_chosen + ref_chosen.detach()) + (policy_rejected + ref_rejected.detach())
    return result(-F.logsigmoid(beta * sums))


@wrong(about="sign", read="dpo", hint="An advantage of chosen over rejected: what connects the two halves of the margin?")
def halves_added(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The rejected response's log-ratio is added to the chosen one's, where it has to be taken off."""
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-F.logsigmoid(beta * (chosen + rejected)))


@wrong(
    about="sign",
    read="dpo",
    hint="A policy that likes the chosen response more than the reference does: is its margin above or below 0?",
)
def policy_and_reference_swapped(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The margin has the opposite sign: policy and reference are exchanged, or chosen and rejected, which is the same."""
    return result(-F.logsigmoid(-beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="scale", read="dpo", hint="Is beta part of the margin, or a weight of the loss?")
def beta_outside(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """beta multiplies the loss, where it should multiply the margin inside the sigmoid."""
    return result(-beta * F.logsigmoid(margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@beta_outside.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-beta * F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="formula", read="dpo", hint="Where in your code does beta appear?")
def beta_ignored(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """beta does not appear: it multiplies the margin."""
    return result(-F.logsigmoid(margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@beta_ignored.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(0.1 * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="scale", read="dpo", hint="A larger beta: does your margin grow or shrink?")
def divides_by_beta(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Something is divided by beta (the margin, or the loss), where the margin is multiplied by it."""
    return result(-F.logsigmoid(margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected) / beta))


@divides_by_beta.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)) / beta)


@wrong(about="scale", read="dpo", hint="Which terms of the margin does beta multiply?")
def beta_on_a_part(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """beta multiplies only a part of the margin: all four terms have to be inside its parentheses."""
    reference = ref_chosen.detach() - ref_rejected.detach()
    return result(-F.logsigmoid(beta * (policy_chosen - policy_rejected) - reference))


@beta_on_a_part.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    reference = ref_chosen.detach() - ref_rejected.detach()
    return result(-F.logsigmoid(policy_chosen - policy_rejected - beta * reference))


@beta_on_a_part.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-F.logsigmoid(beta * chosen - rejected))


@beta_on_a_part.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-F.logsigmoid(chosen - beta * rejected))


@beta_on_a_part.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(beta * policy_chosen - ref_chosen.detach() - (policy_rejected - ref_rejected.detach())))


@wrong(about="formula", read="dpo", hint="Which function does the docstring put between sigmoid and mean?")
def logarithm_missing(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The sigmoid itself is averaged, without its logarithm."""
    return result(-torch.sigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@logarithm_missing.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(1 - torch.sigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="formula", read="dpo", hint="What turns a margin into the probability of a preference?")
def sigmoid_missing(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Minus the margin itself is the loss: without the log-sigmoid it falls without end."""
    return result(-beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected))


@sigmoid_missing.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected))


@wrong(about="formula", read="dpo", hint="Is the loss of the docstring a square, a hinge, or a logarithm?")
def another_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """This is the loss of a relative of DPO (hinge, or the square of IPO), not minus the log-sigmoid."""
    return result(torch.relu(1 - beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@another_loss.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result((margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)).square())


@another_loss.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result((beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected) - 1).square())


@wrong(about="formula", read="dpo", hint="What does your loss say about the rejected response?")
def chosen_alone(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Only the chosen response enters the loss: the margin is chosen minus rejected."""
    return result(-F.logsigmoid(beta * (policy_chosen - ref_chosen.detach())))


@chosen_alone.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(-beta * (policy_rejected - ref_rejected.detach())))


@wrong(about="formula", read="dpo", hint="How many sigmoids does a pair have?")
def each_response_by_itself(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Each response goes through a sigmoid of its own: a pair has one margin, chosen minus rejected, and one sigmoid."""
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-F.logsigmoid(beta * chosen) - F.logsigmoid(-beta * rejected))


@each_response_by_itself.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-(F.logsigmoid(beta * chosen) + F.logsigmoid(-beta * rejected)) / 2)


@each_response_by_itself.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-(F.logsigmoid(beta * chosen) - F.logsigmoid(beta * rejected)))


@wrong(about="formula", read="dpo", hint="Are the four numbers probabilities, or already their logarithms?")
def ratio_for_log_ratio(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The differences of log-probabilities are put through the exponential: the margin is made of log-ratios, not of ratios."""
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    return result(-F.logsigmoid(beta * (chosen.exp() - rejected.exp())))


@wrong(about="formula", read="dpo", hint="The logarithm of a ratio is what, in terms of two logarithms?")
def quotient_for_difference(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """Log-probabilities are divided by one another: the logarithm of a ratio is the difference of the logarithms."""
    chosen, rejected = policy_chosen / ref_chosen.detach(), policy_rejected / ref_rejected.detach()
    return result(-F.logsigmoid(beta * (chosen - rejected)))


@wrong(about="numerics", read="dpo", hint="What is sigmoid(-1000) in float32, and what is its logarithm?")
def unstable(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The logarithm of a sigmoid that has rounded to 0 (or of an exponential that overflows) is infinite at large margins."""
    return result(-torch.sigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)).log())


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(torch.log1p(torch.exp(-beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected))))


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-torch.log(1 / (1 + torch.exp(-beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))))


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-torch.log(torch.sigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)) + 1e-8))


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    probability = torch.sigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected))
    return result(-torch.log(probability.clamp(min=1e-8)))


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    chosen, rejected = policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()
    won, lost = torch.exp(beta * chosen), torch.exp(beta * rejected)
    return result(-torch.log(won / (won + lost)))


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    margin = beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return result(
        torch.where(margin > 0, torch.log1p(torch.exp(-margin)), torch.log1p(torch.exp(margin)) - margin)
    )  # NaN gradient


def undetached(policy_chosen, policy_rejected, ref_chosen, ref_rejected):
    return (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-torch.sigmoid(beta * undetached(policy_chosen, policy_rejected, ref_chosen, ref_rejected)).log())


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(torch.log1p(torch.exp(-beta * undetached(policy_chosen, policy_rejected, ref_chosen, ref_rejected))))


@unstable.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-torch.log(torch.sigmoid(beta * undetached(policy_chosen, policy_rejected, ref_chosen, ref_rejected)) + 1e-8))


@wrong(about="gradient", read="dpo", hint="Which of the two models is trained?")
def gradient_to_the_reference(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """A gradient flows to the reference's log-probabilities, which are constants: detach them."""
    return result(-F.logsigmoid(beta * undetached(policy_chosen, policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="gradient", read="dpo", hint="Can an optimizer still reach the policy from your loss?")
def policy_detached(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The loss, or one of the policy's two log-probabilities, is cut off (detach, no_grad), so that part trains nothing."""
    return result(-F.logsigmoid(beta * margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)).detach())


@policy_detached.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(beta * margins(policy_chosen, policy_rejected.detach(), ref_chosen, ref_rejected)))


@policy_detached.also
def _(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    return result(-F.logsigmoid(beta * margins(policy_chosen.detach(), policy_rejected, ref_chosen, ref_rejected)))


@wrong(about="gradient", read="dpo", hint="Which two of the four come from the model that is trained?")
def gradients_exchanged(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The policy's log-probabilities are detached and the reference's are not: the gradient goes to the wrong model."""
    margin = (policy_chosen.detach() - ref_chosen) - (policy_rejected.detach() - ref_rejected)
    return result(-F.logsigmoid(beta * margin))


@wrong(about="scale", read="dpo", hint="How often does beta stand in the formula, and how often in your code?")
def beta_twice(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The margin is multiplied by beta twice: once in the rewards of the two responses, and once more in the loss."""
    margin = beta * (policy_chosen - ref_chosen.detach()) - beta * (policy_rejected - ref_rejected.detach())
    return -F.logsigmoid(beta * margin).mean(), {"accuracy": 0.0, "reward_margin": 0.0}


@wrong(
    about="mean", read="dpo", hint="What do the four inputs hold already: a sum over tokens, or something still to be averaged?"
)
def mean_for_sum_upstream(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta):
    """The summed log-probabilities are divided by the number of pairs before the sigmoid, which shrinks every margin."""
    margin = (policy_chosen - ref_chosen.detach()) - (policy_rejected - ref_rejected.detach())
    return -F.logsigmoid(beta * margin / len(margin)).mean(), {"accuracy": 0.0, "reward_margin": 0.0}
