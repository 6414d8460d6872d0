"""Mistakes in kl_exact."""

import math

import torch
import torch.nn.functional as F

from ..bank import wrong


def logs(logits, ref_logits, dim=-1):
    return logits.log_softmax(dim), ref_logits.log_softmax(dim)


@wrong(about="sign", read="direction", hint="Under which of the two distributions is the mean of the log-ratio taken?")
def reversed_direction(logits, ref_logits):
    """This is KL(reference || policy): the reference weights the log-ratio, where the policy's own probabilities belong."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_q.exp() * (log_q - log_p)).sum(-1)


@reversed_direction.also
def _(logits, ref_logits):
    return F.kl_div(logits.log_softmax(-1), ref_logits.softmax(-1), reduction="none").sum(-1)


@reversed_direction.also
def _(logits, ref_logits):
    q = ref_logits.softmax(-1)
    return (q * (q / logits.softmax(-1)).log()).sum(-1)


@wrong(about="mean", read="exact", hint="The probabilities are the weights of this mean already: what is left to divide by?")
def mean_over_the_vocabulary(logits, ref_logits):
    """The terms are averaged over the vocabulary; the probabilities are the weights already, so the terms are summed."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).mean(-1)


@mean_over_the_vocabulary.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p.log() - q.log())).mean(-1)


@mean_over_the_vocabulary.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p - log_q).mean(-1)


@wrong(about="formula", read="exact", hint="What does your code give for two equal policies?")
def cross_entropy(logits, ref_logits):
    """This is the cross-entropy: the policy's own entropy is not taken away, so two equal policies are not at distance 0."""
    log_p, log_q = logs(logits, ref_logits)
    return -(log_p.exp() * log_q).sum(-1)


@cross_entropy.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return -(log_q.exp() * log_p).sum(-1)


@cross_entropy.also
def _(logits, ref_logits):
    return -(logits.softmax(-1) * ref_logits.softmax(-1).log()).sum(-1)


@cross_entropy.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * log_q).sum(-1)


@wrong(about="formula", read="exact", hint="Where does the reference come into your result?")
def entropy_alone(logits, ref_logits):
    """Only the policy's own entropy is computed: the reference does not take part."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


@entropy_alone.also
def _(logits, ref_logits):
    log_p = logits.log_softmax(-1)
    return (log_p.exp() * log_p).sum(-1)


@wrong(about="formula", read="exact", hint="What do your weights add up to at one place?")
def probabilities_unnormalised(logits, ref_logits):
    """The weights are not probabilities: the exponential of a logit has to be divided by the sum over the vocabulary."""
    log_p, log_q = logs(logits, ref_logits)
    return (logits.exp() * (log_p - log_q)).sum(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    return (logits.exp() * (logits - ref_logits)).sum(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    return (logits * (logits - ref_logits)).sum(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    p, q = logits.sigmoid(), ref_logits.sigmoid()
    return (p * (p / q).log()).sum(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    p, q = logits.sigmoid(), ref_logits.sigmoid()
    return (p * (p.log() - q.log())).sum(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    return (logits.sigmoid() * (F.logsigmoid(logits) - F.logsigmoid(ref_logits))).sum(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p * (log_p - log_q)).sum(-1)


@wrong(about="formula", read="exact", hint="Add 1 to every logit of the reference: does your result change, and should it?")
def logits_for_logarithms(logits, ref_logits):
    """The logits themselves are subtracted: they are log-probabilities only up to a constant, another one for each policy."""
    return (logits.softmax(-1) * (logits - ref_logits)).sum(-1)


@logits_for_logarithms.also
def _(logits, ref_logits):
    return (logits.softmax(-1) * (logits.log_softmax(-1) - ref_logits)).sum(-1)


@logits_for_logarithms.also
def _(logits, ref_logits):
    return (logits.softmax(-1) * (logits - ref_logits.log_softmax(-1))).sum(-1)


@wrong(about="formula", read="exact", hint="Of what is the difference taken: of probabilities, or of their logarithms?")
def probabilities_for_logarithms(logits, ref_logits):
    """Probabilities are subtracted, or passed to kl_div, where their logarithms belong."""
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p - q)).sum(-1)


@probabilities_for_logarithms.also
def _(logits, ref_logits):
    return F.kl_div(ref_logits.softmax(-1), logits.softmax(-1), reduction="none").sum(-1)


@probabilities_for_logarithms.also
def _(logits, ref_logits):
    return F.kl_div(logits.softmax(-1), ref_logits.softmax(-1), reduction="none").sum(-1)


@probabilities_for_logarithms.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p / q)).sum(-1)


@wrong(about="formula", read="exact", hint="In which argument does kl_div want logarithms, and in which probabilities?")
def logarithms_for_probabilities(logits, ref_logits):
    """kl_div is given logarithms as its target without `log_target=True`, so it takes the logarithm of negative numbers."""
    log_p, log_q = logs(logits, ref_logits)
    return F.kl_div(log_q, log_p, reduction="none").sum(-1)


@logarithms_for_probabilities.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return F.kl_div(log_p, log_q, reduction="none").sum(-1)


@wrong(about="sign", read="direction", hint="A KL is never negative: is yours?")
def negated(logits, ref_logits):
    """The logarithms are subtracted the other way round, so the result is minus the KL."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_q - log_p)).sum(-1)


@negated.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (q / p).log()).sum(-1)


@wrong(about="sign", read="direction", hint="The log-ratio and its weights: are both the policy's?")
def weighted_by_the_reference(logits, ref_logits):
    """The log-ratio is the right one, but the reference's probabilities weight it: the result is minus the reversed KL."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_q.exp() * (log_p - log_q)).sum(-1)


@wrong(about="mean", read="exact", hint="Does a token that is never sampled count as much as one that is certain?")
def not_weighted(logits, ref_logits):
    """The log-ratios are added up without their probabilities, so tokens that are never sampled count as much as others."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p - log_q).sum(-1)


@wrong(about="sign", read="exact", hint="Which terms of the sum are negative, and what do they do?")
def absolute_terms(logits, ref_logits):
    """The terms of the sum are made positive one by one; only their sum is never negative."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q).abs()).sum(-1)


@absolute_terms.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).clamp(min=0).sum(-1)


@wrong(about="formula", read="exact", hint="Is this the expected log-ratio, or the expected square of it?")
def squared_terms(logits, ref_logits):
    """The log-ratio is squared: that is k2's mean, not the KL."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q).square()).sum(-1) / 2


@squared_terms.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q).square()).sum(-1)


@wrong(about="formula", read="direction", hint="Exchange the two policies: the KL changes, does yours?")
def symmetrised(logits, ref_logits):
    """Both directions are added or averaged; the KL asked for has one direction."""
    log_p, log_q = logs(logits, ref_logits)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)


@symmetrised.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1) / 2


@symmetrised.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum(-1) / 2


@wrong(
    about="numerics", read="near-zero", hint="What is the softmax of [0, 1e4], and what are the logarithms of its two numbers?"
)
def unstable(logits, ref_logits):
    """Probabilities are computed first and their logarithms then: one that underflows to 0 gives infinities or NaN."""
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p.log() - q.log())).sum(-1)


@unstable.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p / q).log()).sum(-1)


@unstable.also
def _(logits, ref_logits):
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    q = ref_logits.exp() / ref_logits.exp().sum(-1, keepdim=True)
    return (p * (p.log() - q.log())).sum(-1)


@unstable.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


@unstable.also
def _(logits, ref_logits):
    policy, reference = (torch.distributions.Categorical(logits=x) for x in (logits, ref_logits))
    return torch.distributions.kl_divergence(policy, reference)


@unstable.also
def _(logits, ref_logits):
    policy, reference = (torch.distributions.Categorical(probs=x.softmax(-1)) for x in (logits, ref_logits))
    return torch.distributions.kl_divergence(policy, reference)


@unstable.also
def _(logits, ref_logits):
    return F.kl_div(ref_logits.log_softmax(-1), logits.softmax(-1), reduction="none").sum(-1)


@unstable.also
def _(logits, ref_logits):
    return F.kl_div(ref_logits.softmax(-1).log(), logits.softmax(-1), reduction="none").sum(-1)


@unstable.also
def _(logits, ref_logits):
    log_p = logits - logits.exp().sum(-1, keepdim=True).log()
    log_q = ref_logits - ref_logits.exp().sum(-1, keepdim=True).log()
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@wrong(
    about="numerics",
    read="exact",
    hint="How large can the logarithm of your ratio get, and how large is it really at logits of 1e4?",
)
def underflow_patched_over(logits, ref_logits):
    """A small number, a clamp or nan_to_num keeps the logarithm finite, but where a probability underflows it is then wrong."""
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * ((p + 1e-10).log() - (q + 1e-10).log())).sum(-1)


@underflow_patched_over.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1).clamp(min=1e-10), ref_logits.softmax(-1).clamp(min=1e-10)
    return (p * (p / q).log()).sum(-1)


@underflow_patched_over.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * ((p + 1e-8) / (q + 1e-8)).log()).sum(-1)


@underflow_patched_over.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p.clamp(min=-100) - log_q.clamp(min=-100))).sum(-1)


@underflow_patched_over.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p / q).log()).nan_to_num().sum(-1)


@underflow_patched_over.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p / q).log()).nan_to_num(0, 0, 0).sum(-1)


@underflow_patched_over.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p.log() - q.log())).sum(-1).nan_to_num()


@wrong(about="shape", read="exact", hint="Which of the three axes are the tokens that could have been said?")
def softmax_over_another_axis(logits, ref_logits):
    """The softmax runs over time or over the batch: probabilities have to add up to 1 over the vocabulary, the last axis."""
    log_p, log_q = logs(logits, ref_logits, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@softmax_over_another_axis.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits, dim=0)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@softmax_over_another_axis.also
def _(logits, ref_logits):
    log_p = logits.flatten(1).log_softmax(-1).view_as(logits)
    log_q = ref_logits.flatten(1).log_softmax(-1).view_as(logits)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@wrong(about="shape", read="exact", hint="One number for each place: which axis is summed away?")
def not_summed(logits, ref_logits):
    """The terms of the sum over the vocabulary are returned, not their sum."""
    log_p, log_q = logs(logits, ref_logits)
    return log_p.exp() * (log_p - log_q)


@wrong(about="shape", read="exact", hint="What shape does the docstring promise?")
def summed_over_places(logits, ref_logits):
    """The KL of different places is added up or averaged; one number for each place is asked for."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).sum()


@summed_over_places.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).sum((-2, -1))


@summed_over_places.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).sum(1)


@summed_over_places.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


@summed_over_places.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


@summed_over_places.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    return F.kl_div(log_p, log_q.exp(), reduction="batchmean")


@wrong(about="gradient", read="exact", hint="The policy moves the weights of the mean: may they be constants?")
def weights_detached(logits, ref_logits):
    """The probabilities in front are detached, and what is left has a gradient of mean 0: nothing pulls the policy back."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp().detach() * (log_p - log_q)).sum(-1)


@wrong(about="gradient", read="exact", hint="What does your result's `requires_grad` say when the logits require one?")
def detached(logits, ref_logits):
    """The result is cut off from the policy's logits (detach, no_grad), so it cannot be used as a penalty in a loss."""
    log_p, log_q = logs(logits.detach(), ref_logits)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@wrong(about="scale", read="exact", hint="To which base is your logarithm?")
def bits_for_nats(logits, ref_logits):
    """The logarithm is to base 2; the KL is asked for in nats, to base e."""
    log_p, log_q = logs(logits, ref_logits)
    return (log_p.exp() * (log_p - log_q)).sum(-1) / math.log(2)


@bits_for_nats.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p.log2() - q.log2())).sum(-1)


@bits_for_nats.also
def _(logits, ref_logits):
    p, q = logits.softmax(-1), ref_logits.softmax(-1)
    return (p * (p / q).log2()).sum(-1)


@wrong(about="formula", read="exact", hint="Is the KL an estimate from the likeliest token, or a sum over all?")
def likeliest_token_alone(logits, ref_logits):
    """Only the likeliest token is looked at; the exact KL is a sum over the whole vocabulary."""
    log_p, log_q = logs(logits, ref_logits)
    best = log_p.argmax(-1, keepdim=True)
    return (log_p - log_q).gather(-1, best).squeeze(-1)


@likeliest_token_alone.also
def _(logits, ref_logits):
    log_p, log_q = logs(logits, ref_logits)
    best = log_p.argmax(-1, keepdim=True)
    return (log_p.exp() * (log_p - log_q)).gather(-1, best).squeeze(-1)


@probabilities_unnormalised.also
def _(logits, ref_logits):
    weights = (logits - logits.max(-1, keepdim=True).values).exp()
    return (weights * (logits.log_softmax(-1) - ref_logits.log_softmax(-1))).sum(-1)
