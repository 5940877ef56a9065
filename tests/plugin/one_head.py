"""One attention head in closed form: a measure of demonstrations whose every value can be written down.

A query attends to a start of weight 1 and to each event that it sees, by the likeness of their items; an event's value
is for its own answer and against the other. What the head gives is the log-odds. This is the dual model of one softmax
head (spec `lrgd`, section 2) with nothing around it, so effects are exact derivatives.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from recollect.context.effects import Effects, Pool, losses
from recollect.context.evidence import Timeline


@dataclass(frozen=True, eq=False)
class OneHead:
    """Measure demonstrations with one head; satisfies `DemonstrationMeasure`.

    Parameters
    ----------
    likeness : Float64[I, I]
        Attention weight of an item's event for a question about another item, relative to the start.
    trust : float
        Log-odds that an answer gets where attention is all on events with it.
    length : Int64[I], optional
        Tokens of each item.
    """

    likeness: np.ndarray
    trust: float = 4.0
    length: np.ndarray | None = None

    def tokens(self, pool: Pool) -> Int64[np.ndarray, " N"]:
        """Return the tokens of the items, 10 unless said otherwise."""
        items = pool.line.items[pool.demonstrations]
        return np.full(len(items), 10) if self.length is None else self.length[items]

    def predictions(self, pool: Pool, gates: Float64[np.ndarray, "S N"]) -> Float64[np.ndarray, "S Q A"]:
        """Return log-probabilities of dislike and like."""
        odds = self._shares(pool, gates) @ self._values(pool)
        return -np.logaddexp(0.0, np.stack([odds, -odds], axis=2))

    def effects(self, pool: Pool, gates: Float64[np.ndarray, " N"]) -> Effects:
        """Return the derivatives of the losses by log gates, with the sign turned."""
        share = self._shares(pool, gates[None])[0]
        values = self._values(pool)
        moved = share * (values - (share @ values)[:, None])
        predictions = self.predictions(pool, gates[None])
        surprise = pool.labels - np.exp(predictions[0, :, 1])
        lengths = np.linalg.norm(moved, axis=0)
        cosine = moved.T @ moved / np.maximum(np.outer(lengths, lengths), 1e-300)
        np.fill_diagonal(cosine, 1.0)
        return Effects(losses(pool, predictions)[0], surprise[:, None] * moved, share, cosine)

    def _shares(self, pool: Pool, gates: np.ndarray) -> np.ndarray:
        items = pool.line.items
        weight = self.likeness[np.ix_(items[pool.support], items[pool.demonstrations])] * pool.visible
        weight = gates[:, None, :] * weight
        return weight / (1 + weight.sum(axis=2, keepdims=True))

    def _values(self, pool: Pool) -> np.ndarray:
        return self.trust * (2.0 * pool.line.labels[pool.demonstrations] - 1)


def line_of(items: list[int], labels: list[bool], *, user: int = 0) -> Timeline:
    """Make a timeline with an event per day, each visible to all later ones."""
    count = len(items)
    return Timeline(
        user=user,
        rows=np.arange(count),
        items=np.array(items, np.int32),
        labels=np.array(labels, np.bool_),
        values=np.array(labels, np.float32),
        times=np.arange(count) * 86_400,
        features=np.zeros((count, 4), np.float32),
        visible=np.arange(count, dtype=np.int32),
    )


def genre_head(*, items: int = 24, genres: int = 4, near: float = 2.0, far: float = 0.2, trust: float = 4.0) -> OneHead:
    """Make a head that attends to events of the same genre (item modulo `genres`) more than to others."""
    genre = np.arange(items) % genres
    return OneHead(np.where(genre[:, None] == genre, near, far), trust)
