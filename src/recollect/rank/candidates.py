"""Candidates: which items of the catalog are scored for a query.

It decides: all items that the user has no event with, up to `everything` items. In a larger catalog three sources are
joined in turn until `limit` is reached: items that users of the same recent likes rated too (co-visited), items near
those likes in the item vectors (similar), and the items with the most ratings (popular).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float32, Int32, Int64

from recollect.context.evidence import Timeline
from recollect.data.log import EventLog

_RECENT_LIKES = 20


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Choose candidates.

    Parameters
    ----------
    popular : Int64[I]
        Item codes, most rated first.
    directions : Float32[I, K]
        Item vectors of unit length.
    rated, raters : csr_matrix, csc_matrix
        Users by items, 1 where an event is, by rows and by columns. Only built for large catalogs.
    everything : int
        Largest catalog of which all items are scored.
    limit : int
        Candidates from a larger one.
    """

    popular: Int64[np.ndarray, " I"]
    directions: Float32[np.ndarray, "I K"]
    rated: sparse.csr_matrix | None
    raters: sparse.csc_matrix | None
    everything: int = 50_000
    limit: int = 5_000

    @classmethod
    def of(
        cls, log: EventLog, vectors: Float32[np.ndarray, "I K"], *, everything: int = 50_000, limit: int = 5_000
    ) -> Candidates:
        """Index a log and its item vectors."""
        popular = np.argsort(-np.bincount(log.item, minlength=log.item_count), kind="stable")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        rated, raters = None, None
        if len(vectors) > everything:
            ones = np.ones(len(log), np.float32)
            rated = sparse.csr_matrix((ones, (log.user, log.item)), (log.user_count, log.item_count))
            raters = sparse.csc_matrix(rated)
        return cls(popular, (vectors / np.maximum(norms, 1e-9)).astype(np.float32), rated, raters, everything, limit)

    def choose(self, line: Timeline) -> tuple[Int32[np.ndarray, " C"], str]:
        """Return the codes of the candidates, and in words how they were chosen.

        Parameters
        ----------
        line : Timeline
            What is known of the user at the moment of the query.
        """
        count = len(self.directions)
        open_ = np.ones(count, np.bool_)
        open_[line.items[line.items < count]] = False
        if count <= self.everything or self.rated is None:
            return np.flatnonzero(open_).astype(np.int32), "all items without an event of the user"
        likes = line.items[line.labels][-_RECENT_LIKES:]
        sources = [self._co_visited(likes), self._similar(likes), self.popular] if len(likes) else [self.popular]
        share = -(-self.limit // len(sources))
        chosen = np.concatenate([source[open_[source]][:share] for source in sources])
        filler = self.popular[open_[self.popular]][: self.limit]
        unique = list(dict.fromkeys(np.concatenate([chosen, filler]).tolist()))
        return np.array(unique[: self.limit], np.int32), "co-visited, similar and popular items"

    def _co_visited(self, likes: Int32[np.ndarray, " K"]) -> Int64[np.ndarray, " M"]:
        """Return items by how many users rated them who rated one of the likes, most first."""
        if self.rated is None or self.raters is None:
            return self.popular[:0]
        rated, raters = cast(Any, self.rated), cast(Any, self.raters)  # scipy says little about what indexing returns
        users = np.unique(raters[:, likes].indices)
        counts: Float32[np.ndarray, " I"] = np.asarray(rated[users].sum(axis=0)).ravel()
        found = np.flatnonzero(counts)
        return found[np.argsort(-counts[found], kind="stable")]

    def _similar(self, likes: Int32[np.ndarray, " K"]) -> Int64[np.ndarray, " I"]:
        """Return items by the cosine to the nearest like, nearest first."""
        nearest = (self.directions @ self.directions[likes].T).max(axis=1)
        return np.argsort(-nearest, kind="stable")
