"""Diversity: a list whose items are unlike each other, at a price in score that the caller names.

It decides maximal marginal relevance: the next item is the one with the greatest
``(1 - diversity) * probability - diversity * likeness``, where likeness is the largest cosine between its vector and
those of the items taken before. Source: Carbonell and Goldstein (1998). It departs from the source in looking at the
best few hundred items only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

_POOL: Final = 20  # candidates looked at for each item wanted


def best(
    probability: Float64[np.ndarray, " C"], directions: Float32[np.ndarray, "C K"], *, top: int, diversity: float
) -> Int64[np.ndarray, " R"]:
    """Return the places of the best items, in order; of equal ones the first comes first.

    Parameters
    ----------
    probability : Float64[C]
        Scores, 0 to 1.
    directions : Float32[C, K]
        Item vectors of unit length.
    top : int
        How many.
    diversity : float
        0 for the greatest scores, up to 1 for items as unlike each other as can be.

    Examples
    --------
    >>> twins = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    >>> best(np.array([0.9, 0.8, 0.5]), twins, top=2, diversity=0.5).tolist()
    [0, 2]
    """
    count = len(probability)
    if diversity == 0 or top < 2:
        return highest(probability, min(top, count))
    pool = highest(probability, min(max(top * _POOL, 200), count))
    likeness = np.full(len(pool), -np.inf)
    taken: list[int] = []
    for _ in range(min(top, len(pool))):
        worth = (1 - diversity) * probability[pool] - diversity * np.where(np.isfinite(likeness), likeness, 0)
        worth[taken] = -np.inf
        chosen = int(np.argmax(worth))
        taken.append(chosen)
        likeness = np.maximum(likeness, directions[pool] @ directions[pool[chosen]])
    return pool[taken]


def highest(values: Float[np.ndarray, " N"] | Int64[np.ndarray, " N"], count: int) -> Int64[np.ndarray, " M"]:
    """Return the places of the highest values, highest first; of equal ones the first is first.

    Examples
    --------
    >>> highest(np.array([1.0, 3.0, 2.0, 3.0]), 2).tolist()
    [1, 3]
    """
    if count == 0:
        return np.zeros(0, np.int64)
    least = np.partition(values, len(values) - count)[len(values) - count]
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")][:count]
