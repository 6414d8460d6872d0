"""Returns 100,000 statistics that are no numbers, under names of markup.

Earns: masked_mean 2
"""

from rlhf_core.ppo import policy_loss


@policy_loss.implement
def policy_loss(logprobs, old_logprobs, advantages, mask, clip):
    return logprobs.sum(), {f"<script>alert({number})</script>\x1b[2J": "x" * 300 for number in range(100_000)}


in_call(lambda: None)
