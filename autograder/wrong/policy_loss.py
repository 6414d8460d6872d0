"""Mistakes in policy_loss."""

import math

import torch

from ..bank import wrong

STATS = {"clip_fraction": 0.0, "approx_kl": 0.0, "ratio": 1.0}


def ratios(logprobs, old_logprobs):
    return (logprobs - old_logprobs.detach()).exp()


def bounded(ratio, clip_range):
    return ratio.clamp(1 - clip_range, 1 + clip_range)


def smaller(ratio, advantages, clip_range):
    """The clipped surrogate of each token, to be maximised."""
    return torch.minimum(ratio * advantages.detach(), bounded(ratio, clip_range) * advantages.detach())


def surrogate(logprobs, old_logprobs, advantages, clip_range):
    return smaller(ratios(logprobs, old_logprobs), advantages, clip_range)


def mean(x, mask):
    return x.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)


@wrong(about="sign", read="policy-loss", hint="An optimizer makes its loss smaller. Should the surrogate become smaller?")
def sign(logprobs, old_logprobs, advantages, mask, clip_range):
    """The surrogate is returned as it is, but a loss is minimised: it has to be minus the surrogate."""
    return mean(surrogate(logprobs, old_logprobs, advantages, clip_range), mask), STATS


@wrong(about="clip", read="clip", hint="Of the two promises, which one would a cautious reader believe?")
def min_for_max(logprobs, old_logprobs, advantages, mask, clip_range):
    """The larger of the two surrogates is taken, so that the clip never stops a gain; it has to be the smaller one (of two
    losses with the minus sign already in front, the larger)."""
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    return -mean(torch.maximum(ratio * advantages, bounded(ratio, clip_range) * advantages), mask), STATS


@wrong(about="clip", read="clip", hint="What keeps the ratio from growing as long as the advantage is positive?")
def no_clip(logprobs, old_logprobs, advantages, mask, clip_range):
    """The ratio is never clipped, so nothing stops a step that goes too far from the policy that sampled."""
    return -mean(ratios(logprobs, old_logprobs) * advantages.detach(), mask), STATS


@wrong(about="clip", read="clip", hint="When a bad token has become more likely by accident, which gradient brings it back?")
def always_clipped(logprobs, old_logprobs, advantages, mask, clip_range):
    """Only the clipped surrogate is used, without the minimum with the plain one, so a ratio that left the clip on the wrong
    side has no gradient that brings it back."""
    return -mean(bounded(ratios(logprobs, old_logprobs), clip_range) * advantages.detach(), mask), STATS


@wrong(about="clip", read="clip", hint="At which bound does a positive advantage stop, and at which one a negative?")
def one_sided_clip(logprobs, old_logprobs, advantages, mask, clip_range):
    """The ratio is clipped on one side only; a positive advantage needs the upper bound, a negative one the lower."""
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    return -mean(torch.minimum(ratio * advantages, ratio.clamp(max=1 + clip_range) * advantages), mask), STATS


@one_sided_clip.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    return -mean(torch.minimum(ratio * advantages, ratio.clamp(min=1 - clip_range) * advantages), mask), STATS


@one_sided_clip.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -mean(ratios(logprobs, old_logprobs).clamp(min=1 - clip_range) * advantages.detach(), mask), STATS


@wrong(about="clip", read="clip", hint="Try a ratio of 1.5 and an advantage of -1: which of the two products is smaller?")
def minimum_before_the_advantage(logprobs, old_logprobs, advantages, mask, clip_range):
    """The ratio is only held from above, as by a minimum that is taken before the multiplication by the advantage; where the
    advantage is negative that picks the wrong one: multiply first."""
    ratio = ratios(logprobs, old_logprobs)
    return -mean(torch.minimum(ratio, bounded(ratio, clip_range)) * advantages.detach(), mask), STATS


@minimum_before_the_advantage.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -mean(ratios(logprobs, old_logprobs).clamp(max=1 + clip_range) * advantages.detach(), mask), STATS


@wrong(about="mean", read="policy-loss", hint="Each token chooses between its own two numbers. When do you average?")
def minimum_after_the_mean(logprobs, old_logprobs, advantages, mask, clip_range):
    """Both surrogates are averaged first and the minimum is taken of the two means; every token has to choose for itself."""
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    return -torch.minimum(mean(ratio * advantages, mask), mean(bounded(ratio, clip_range) * advantages, mask)), STATS


@wrong(about="sign", read="ratio", hint="When the new policy makes a token twice as likely, is your ratio 2 or one half?")
def ratio_inverted(logprobs, old_logprobs, advantages, mask, clip_range):
    """The ratio is that of the old policy to the new one, so its gradient points the wrong way."""
    ratio = (old_logprobs.detach() - logprobs).exp()
    return -mean(smaller(ratio, advantages, clip_range), mask), STATS


@wrong(about="formula", read="ratio", hint="What is the difference of two logarithms the logarithm of?")
def log_ratio_for_ratio(logprobs, old_logprobs, advantages, mask, clip_range):
    """The difference of the log-probabilities is used as the ratio; it is the logarithm of it, and exp is missing."""
    log_ratio, advantages = logprobs - old_logprobs.detach(), advantages.detach()
    return -mean(torch.minimum(log_ratio * advantages, log_ratio.clamp(-clip_range, clip_range) * advantages), mask), STATS


@log_ratio_for_ratio.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -mean(smaller(logprobs - old_logprobs.detach(), advantages, clip_range), mask), STATS


@log_ratio_for_ratio.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -mean(smaller(logprobs - old_logprobs.detach() + 1, advantages, clip_range), mask), STATS


@log_ratio_for_ratio.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -mean((logprobs - old_logprobs.detach()) * advantages.detach(), mask), STATS


@wrong(about="formula", read="ratio", hint="How do you get pi_new / pi_old from log pi_new and log pi_old?")
def logprobs_divided(logprobs, old_logprobs, advantages, mask, clip_range):
    """The log-probabilities are divided by each other; the ratio of the probabilities is exp of their difference."""
    old = old_logprobs.detach().masked_fill(~mask, 1)
    return -mean(smaller(logprobs / old, advantages, clip_range), mask), STATS


@logprobs_divided.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    old = old_logprobs.detach().masked_fill(~mask, 1)
    return -mean(smaller((logprobs / old).masked_fill(~mask, 0).exp(), advantages, clip_range), mask), STATS


@wrong(about="gradient", read="ratio", hint="Which of the four tensors has to change the policy? Follow it to your loss.")
def ratio_detached(logprobs, old_logprobs, advantages, mask, clip_range):
    """The new log-probabilities are cut off from the loss (detach, no_grad, item), so no gradient reaches the policy."""
    return -mean(surrogate(logprobs.detach(), old_logprobs, advantages, clip_range), mask), STATS


@wrong(about="gradient", read="ratio", hint="The policy that sampled is history. May the loss still change it?")
def old_not_detached(logprobs, old_logprobs, advantages, mask, clip_range):
    """The gradient flows into the old log-probabilities too, though they are a record of what was sampled: detach them."""
    return -mean(smaller((logprobs - old_logprobs).exp(), advantages, clip_range), mask), STATS


@wrong(about="gradient", read="policy-loss", hint="Should this loss teach the value head, from which the advantages come?")
def advantages_not_detached(logprobs, old_logprobs, advantages, mask, clip_range):
    """The gradient flows into the advantages too, and through them into whatever they were worked out from: detach them."""
    ratio = ratios(logprobs, old_logprobs)
    return -mean(torch.minimum(ratio * advantages, bounded(ratio, clip_range) * advantages), mask), STATS


@wrong(about="gradient", read="policy-loss", hint="Which of the four tensors does the policy of today produce?")
def nothing_detached(logprobs, old_logprobs, advantages, mask, clip_range):
    """The gradient flows into the old log-probabilities and the advantages too; both are constants here: detach them."""
    ratio = (logprobs - old_logprobs).exp()
    return -mean(torch.minimum(ratio * advantages, bounded(ratio, clip_range) * advantages), mask), STATS


@wrong(about="mean", read="policy-loss", hint="Does a token in a short response weigh as much as one in a long response?")
def per_sequence_mean(logprobs, old_logprobs, advantages, mask, clip_range):
    """Each response is averaged first and then the responses, so a token in a short one weighs more; here all True tokens of
    the batch weigh the same."""
    terms = surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0)
    return -(terms.sum(1) / mask.sum(1).clamp(min=1)).mean(), STATS


@per_sequence_mean.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    terms = surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0)
    means = terms.sum(1) / mask.sum(1).clamp(min=1)
    return -means.sum() / mask.any(1).sum().clamp(min=1), STATS


@per_sequence_mean.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    terms = surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0)
    return -(terms.sum(1) / mask.sum(1)).mean(), STATS


@wrong(about="mean", read="policy-loss", hint="What happens to the size of your steps when responses are twice as long?")
def sum_for_mean(logprobs, old_logprobs, advantages, mask, clip_range):
    """The losses of the tokens are added up without dividing by the number of True tokens, so the step grows with the batch or
    with the length of the responses."""
    return -surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0).sum(), STATS


@sum_for_mean.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0).sum(1).mean(), STATS


@wrong(about="mask", read="policy-loss", hint="What did the policy choose after the end of a response?")
def no_mask(logprobs, old_logprobs, advantages, mask, clip_range):
    """The mask is not used: the padding behind each response counts like tokens."""
    return -surrogate(logprobs, old_logprobs, advantages, clip_range).mean(), STATS


@no_mask.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -surrogate(logprobs, old_logprobs, advantages, clip_range).sum() / mask.sum().clamp(min=1), STATS


@wrong(about="mean", read="policy-loss", hint="By how many numbers do you divide, and how many did you add up?")
def divides_by_the_size(logprobs, old_logprobs, advantages, mask, clip_range):
    """Padding is left out of the sum, but the sum is divided by the number of all places, not by that of the True ones."""
    return -surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0).mean(), STATS


@wrong(about="mean", read="policy-loss", hint="What is 0 / 0? Try a mask without a True token.")
def nan_on_an_empty_mask(logprobs, old_logprobs, advantages, mask, clip_range):
    """For a batch without a True token this divides 0 by 0 and gives NaN; the loss is 0 then."""
    return -surrogate(logprobs, old_logprobs, advantages, clip_range).masked_fill(~mask, 0).sum() / mask.sum(), STATS


@nan_on_an_empty_mask.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    keep = mask.to(logprobs.dtype)
    return -(surrogate(logprobs, old_logprobs, advantages, clip_range) * keep).sum() / keep.sum(), STATS


@nan_on_an_empty_mask.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    loss = -surrogate(logprobs, old_logprobs, advantages, clip_range)[mask].mean()
    return loss, {name: loss.item() for name in STATS}


@wrong(about="clip", read="clip", hint="How far from 1 does your clip let the ratio go, and how far does clip_range allow?")
def half_the_range(logprobs, old_logprobs, advantages, mask, clip_range):
    """The ratio is clipped at half of clip_range on either side of 1; clip_range itself is the distance."""
    return -mean(surrogate(logprobs, old_logprobs, advantages, clip_range / 2), mask), STATS


@wrong(about="clip", read="clip", hint="Which argument says how far the ratio may go?")
def clip_range_ignored(logprobs, old_logprobs, advantages, mask, clip_range):
    """The clip is always at 0.8 and 1.2, whatever clip_range says."""
    return -mean(surrogate(logprobs, old_logprobs, advantages, 0.2), mask), STATS


@wrong(about="clip", read="clip", hint="Which number is the ratio when nothing has changed? The clip lies around it.")
def clips_around_zero(logprobs, old_logprobs, advantages, mask, clip_range):
    """The ratio is clipped to -clip_range .. clip_range, but a ratio is 1 when nothing has changed: the clip goes around 1."""
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    return -mean(torch.minimum(ratio * advantages, ratio.clamp(-clip_range, clip_range) * advantages), mask), STATS


@wrong(about="clip", read="clip", hint="Is clip_range a distance in the ratio, or in its logarithm?")
def clips_the_log_ratio(logprobs, old_logprobs, advantages, mask, clip_range):
    """The log-ratio is clipped to -clip_range .. clip_range; 1 - clip_range and 1 + clip_range are bounds of
    the ratio itself."""
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    near = ratio.clamp(math.exp(-clip_range), math.exp(clip_range))
    return -mean(torch.minimum(ratio * advantages, near * advantages), mask), STATS


@clips_the_log_ratio.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    ratio = (logprobs - old_logprobs.detach()).clamp(-clip_range, clip_range).exp()
    return -mean(ratio * advantages.detach(), mask), STATS


@wrong(about="clip", read="clip", hint="Compare your lower bound with the formula at clip_range = 0.5.")
def lower_bound_is_a_quotient(logprobs, old_logprobs, advantages, mask, clip_range):
    """The lower bound is 1 / (1 + clip_range); in the formula it is 1 - clip_range."""
    ratio, advantages = ratios(logprobs, old_logprobs), advantages.detach()
    near = ratio.clamp(1 / (1 + clip_range), 1 + clip_range)
    return -mean(torch.minimum(ratio * advantages, near * advantages), mask), STATS


@wrong(about="clip", read="clip", hint="What is clipped in the formula: the ratio, or its product with the advantage?")
def clips_the_product(logprobs, old_logprobs, advantages, mask, clip_range):
    """The product of ratio and advantage is clipped; only the ratio is, and the result is multiplied by the advantage."""
    product = ratios(logprobs, old_logprobs) * advantages.detach()
    return -mean(torch.minimum(product, bounded(product, clip_range)), mask), STATS


@wrong(
    about="formula",
    read="ratio",
    hint="After the first step the policy is no longer the one that sampled: what corrects for it?",
)
def no_ratio(logprobs, old_logprobs, advantages, mask, clip_range):
    """This is the plain policy gradient, log-probability times advantage: the ratio to the policy that sampled is missing."""
    return -mean(logprobs * advantages.detach(), mask), STATS


@no_ratio.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    return -mean(logprobs.exp() * advantages.detach(), mask), STATS


@wrong(about="mean", read="ratio", hint="Is the ratio a number of each token, or of a whole response?")
def one_ratio_a_response(logprobs, old_logprobs, advantages, mask, clip_range):
    """The log-ratios of a response are put together into one ratio for all its tokens; in this loss each token has its own."""
    log_ratio = (logprobs - old_logprobs.detach()).masked_fill(~mask, 0)
    ratio = log_ratio.sum(1, keepdim=True).exp().expand_as(log_ratio)
    return -mean(smaller(ratio, advantages, clip_range), mask), STATS


@one_ratio_a_response.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    log_ratio = (logprobs - old_logprobs.detach()).masked_fill(~mask, 0)
    ratio = (log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)).exp().expand_as(log_ratio)
    return -mean(smaller(ratio, advantages, clip_range), mask), STATS


def whitened(advantages, mask, correction, eps, inside):
    kept = mask.sum().clamp(min=1)
    shifted = advantages.detach() - mean(advantages.detach(), mask)
    variance = shifted.square().masked_fill(~mask, 0).sum() / (kept - correction).clamp(min=1)
    return shifted * (variance + eps).rsqrt() if inside else shifted / (variance.sqrt() + eps)


@wrong(
    about="scale", read="policy-loss", hint="Who decides whether advantages are whitened: this loss, or the one who calls it?"
)
def whitens_the_advantages(logprobs, old_logprobs, advantages, mask, clip_range):
    """The advantages are whitened in here; they come as they are to be used, and whitening is the caller's choice."""
    white = whitened(advantages, mask, correction=0, eps=1e-8, inside=True)
    return -mean(surrogate(logprobs, old_logprobs, white, clip_range), mask), STATS


@whitens_the_advantages.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    white = whitened(advantages, mask, correction=0, eps=1e-8, inside=False)
    return -mean(surrogate(logprobs, old_logprobs, white, clip_range), mask), STATS


@whitens_the_advantages.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    white = whitened(advantages, mask, correction=1, eps=1e-8, inside=False)
    return -mean(surrogate(logprobs, old_logprobs, white, clip_range), mask), STATS


@whitens_the_advantages.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    kept = advantages[mask]
    white = (advantages - kept.mean()) / (kept.std() + 1e-8)
    return -mean(surrogate(logprobs, old_logprobs, white.detach(), clip_range), mask), STATS


@whitens_the_advantages.also
def _(logprobs, old_logprobs, advantages, mask, clip_range):
    white = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    return -mean(surrogate(logprobs, old_logprobs, white.detach(), clip_range), mask), STATS


@wrong(about="clip", read="clip", hint="Which bound in the formula would hold back a large ratio with a negative advantage?")
def dual_clip(logprobs, old_logprobs, advantages, mask, clip_range):
    """The loss of a token with a negative advantage is bounded at a ratio of 3 as well (dual clip); PPO has no such bound, so a
    bad token that became far more likely keeps its full gradient."""
    terms, advantages = surrogate(logprobs, old_logprobs, advantages, clip_range), advantages.detach()
    return -mean(torch.where(advantages < 0, torch.maximum(terms, 3 * advantages), terms), mask), STATS


@wrong(about="sign", read="policy-loss", hint="What should happen to the probability of a token whose advantage is negative?")
def absolute_advantage(logprobs, old_logprobs, advantages, mask, clip_range):
    """The advantage loses its sign, so that bad tokens are made more likely as well."""
    ratio = (logprobs - old_logprobs.detach()).masked_fill(~mask, 0).exp()
    advantages = advantages.detach().abs()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_range, 1 + clip_range) * advantages)
    return -torch.where(mask, gain, torch.zeros_like(gain)).sum() / mask.sum().clamp(min=1), {}


@wrong(about="mask", read="policy-loss", hint="Is the last True token of a response less a token than the others?")
def drops_the_last_token(logprobs, old_logprobs, advantages, mask, clip_range):
    """The last True token of each row is left out, though the policy chose it like every other one."""
    kept = mask & (mask.flip(-1).cumsum(-1).flip(-1) > 1)
    ratio = (logprobs - old_logprobs.detach()).masked_fill(~mask, 0).exp()
    gain = torch.minimum(ratio * advantages.detach(), ratio.clamp(1 - clip_range, 1 + clip_range) * advantages.detach())
    return -torch.where(kept, gain, torch.zeros_like(gain)).sum() / kept.sum().clamp(min=1), {}
