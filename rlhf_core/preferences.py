"""Lesson 3. A reward model from preferences: people cannot score a text, but they can say which of two is better."""

from .exercise import exercise


@exercise
def last_token_index(attention_mask):
    """Index of the last real token of each row, where a reward model reads its score.

    attention_mask: int64 or bool (B, L), zeros on either side or both, at least one 1 in each row.
    Returns int64 (B,).
    """


@exercise
def bradley_terry_loss(chosen, rejected):
    """Negative log-likelihood of the preferences under the Bradley-Terry model, mean over pairs.

        P(chosen > rejected) = sigmoid(r_chosen - r_rejected)
        loss = -mean log sigmoid(r_chosen - r_rejected)

    chosen, rejected: scores (B,) of the preferred and the other text of each pair.
    Returns a scalar in nats, finite at differences of 1e4; the gradient flows to both.
    Source: Stiennon et al. 2020 (arXiv 2009.01325), section 3.4; Ouyang et al. 2022 (arXiv 2203.02155), equation 1.
    """


@exercise
def pairwise_accuracy(chosen, rejected):
    """Share of pairs in which the chosen text scores higher; a tie is half.

    chosen, rejected: (B,).  Returns a scalar between 0 and 1.
    """
