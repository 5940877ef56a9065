"""What tuning minimises: every answer at once, and the order of answers inside each person's window.

    loss = mean BCE(z, y)  +  within * mean over windows of mean over pairs (like i, dislike j) of softplus(z_j - z_i)

z is the difference of the answers' logits. The first term is the one of spec `recicl` section 2 with all answers
supervised. The second is ours: a running like rate helps between people and hurts within one (the rate before a like
is low *because* the like is not in it yet), which is why label-only predictors have a UAUC below one half; pairs
inside a window weigh against that. Every window with both labels counts the same, as every user does in the UAUC.

Dimension letters: S slots, W windows, M slots of the largest window.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus


def answer_loss(score: Float[Tensor, " S"], label: Bool[Tensor, " S"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of the answers; a batch of one class has a gradient like any other."""
    return binary_cross_entropy_with_logits(score, label.float())


def within_loss(score: Float[Tensor, " S"], label: Bool[Tensor, " S"], window: Int[Tensor, " S"]) -> Float[Tensor, ""]:
    """Return the mean pairwise loss of likes against dislikes of the same window; 0 if no window has both.

    Parameters
    ----------
    score
        Difference of answer logits.
    label
        Whether each slot's answer is a like.
    window
        Number of each slot's window, ascending from 0.
    """
    counts = torch.bincount(window)
    place = torch.arange(len(window), device=window.device) - (counts.cumsum(0) - counts)[window]
    shape = (len(counts), int(counts.max()))
    scores = score.new_zeros(shape).index_put((window, place), score)
    likes = score.new_zeros(shape).index_put((window, place), label.to(score.dtype))
    dislikes = score.new_zeros(shape).index_put((window, place), (~label).to(score.dtype))
    pairs = likes[:, :, None] * dislikes[:, None, :]
    loss = (softplus(scores[:, None, :] - scores[:, :, None]) * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)
    weight = (torch.minimum(likes.sum(1), dislikes.sum(1)) > 0).to(score.dtype)
    return (loss * weight).sum() / weight.sum().clamp(min=1)
