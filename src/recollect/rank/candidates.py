"""Candidates: which items of the catalog are scored for a query.

It decides: all items that the user has no event with, up to `everything` items. In a larger catalog three sources are
joined in turn until `limit` is reached: items that users of the same recent likes rated too (co-visited), items near
those likes in the item vectors (similar), and the items with the most ratings (popular). Who rated the same is looked
up among a few hundred people, those of the latest likes first, so that a choice costs milliseconds in any catalog.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Bool, Float32, Int32, Int64

from recollect.context.budgeted import Budgeted
from recollect.context.evidence import Timeline
from recollect.data.log import EventLog
from recollect.rank.diversity import highest

_RECENT_LIKES = 20
_RATERS = 400  # people whose ratings are looked at
_NEAR = 100  # least number of nearest items that are held of an item
_NEAR_BYTES = 32 << 20


class _Near(NamedTuple):
    """Hold the items nearest to one item, and their cosines."""

    places: Int32[np.ndarray, " M"]
    cosines: Float32[np.ndarray, " M"]

    @property
    def nbytes(self) -> int:
        return self.places.nbytes + self.cosines.nbytes


def _no_neighbours() -> Budgeted[int, _Near]:
    return Budgeted(budget=_NEAR_BYTES)


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
    near : Budgeted
        The nearest items of liked ones, once they were looked for.
    """

    popular: Int64[np.ndarray, " I"]
    directions: Float32[np.ndarray, "I K"]
    rated: sparse.csr_matrix | None
    raters: sparse.csc_matrix | None
    everything: int = 50_000
    limit: int = 5_000
    near: Budgeted[int, _Near] = field(init=False, default_factory=_no_neighbours)

    @classmethod
    def of(
        cls, log: EventLog, vectors: Float32[np.ndarray, "I K"], *, everything: int = 50_000, limit: int = 5_000
    ) -> Candidates:
        """Index a log and its item vectors."""
        popular = np.argsort(-np.bincount(log.item, minlength=len(vectors)), kind="stable")
        rated, raters = None, None
        if len(vectors) > everything:
            ones = np.ones(len(log), np.float32)
            rated = sparse.csr_matrix((ones, (log.user, log.item)), (log.user_count, log.item_count))
            raters = sparse.csc_matrix(rated)
        return cls(popular, _unit(vectors), rated, raters, everything, limit)

    def extended(self, vectors: Float32[np.ndarray, "M K"]) -> Candidates:
        """Return the candidates of a catalog with M more items, whom nobody has rated yet."""
        count = len(self.directions)
        more = np.arange(count, count + len(vectors))
        return replace(
            self,
            popular=np.concatenate([self.popular, more]),
            directions=np.concatenate([self.directions, _unit(vectors)]),
        )

    def with_vectors(self, vectors: Float32[np.ndarray, "M K"]) -> Candidates:
        """Return the candidates of the same items, and perhaps more, after their vectors changed."""
        grown = self.extended(vectors[len(self.directions) :])
        return replace(grown, directions=_unit(vectors))

    def choose(
        self, line: Timeline, *, allowed: Bool[np.ndarray, " I"] | None = None, least: int = 0
    ) -> tuple[Int32[np.ndarray, " C"], str]:
        """Return the codes of the candidates, and in words how they were chosen.

        Parameters
        ----------
        line : Timeline
            What is known of the user at the moment of the query.
        allowed : Bool[I], optional
            Which items may be candidates; all by default.
        least : int
            How many are wanted at least, also beyond the limit.
        """
        count, limit = len(self.directions), max(self.limit, least)
        open_ = np.ones(count, np.bool_) if allowed is None else allowed.copy()
        open_[line.items[line.items < count]] = False
        found = np.flatnonzero(open_).astype(np.int32)
        if len(found) <= self.everything and (allowed is not None or count <= self.everything):
            return found, "all items without an event of the user" if allowed is None else "all items that fit"
        likes = line.items[line.labels & (line.items < count)][-_RECENT_LIKES:]
        share = limit if not len(likes) else -(-limit // 3)
        sources = [self._co_visited(likes, open_, share), self._similar(likes, open_, share)] if len(likes) else []
        popular = self.popular[open_[self.popular]][:limit]
        chosen = np.concatenate([*sources, popular[:share], popular])
        _, first = np.unique(chosen, return_index=True)
        how = "co-visited, similar and popular items" if allowed is None else "co-visited, similar and popular that fit"
        return chosen[np.sort(first)[:limit]].astype(np.int32), how

    def _co_visited(
        self, likes: Int32[np.ndarray, " K"], open_: Bool[np.ndarray, " I"], count: int
    ) -> Int64[np.ndarray, " M"]:
        """Return items by how many users rated them who rated one of the likes, most first."""
        if self.rated is None or self.raters is None:
            return self.popular[:0]
        rated, raters = cast(Any, self.rated), cast(Any, self.raters)  # scipy says little about its arrays
        users = _entries(raters, likes[likes < raters.shape[1]][::-1])
        _, first = np.unique(users, return_index=True)
        items = _entries(rated, users[np.sort(first)[:_RATERS]])
        ratings = np.bincount(items, minlength=len(open_))
        ratings[~open_] = 0
        return highest(ratings, min(count, int((ratings > 0).sum())))

    def _similar(
        self, likes: Int32[np.ndarray, " K"], open_: Bool[np.ndarray, " I"], count: int
    ) -> Int64[np.ndarray, " M"]:
        """Return items by the cosine to the nearest like, nearest first."""
        if open_.sum() < len(open_) // 2:  # the nearest of all would hardly be among those asked for
            nearest = np.where(open_, (self.directions @ self.directions[likes].T).max(axis=1), -np.inf)
            return highest(nearest, min(count, int(open_.sum())))
        nearest = np.full(len(open_), -np.inf, np.float32)
        for places, cosines in self._near(likes):
            nearest[places] = np.maximum(nearest[places], cosines)
        nearest[~open_] = -np.inf
        return highest(nearest, min(count, int(np.isfinite(nearest).sum())))

    def _near(self, likes: Int32[np.ndarray, " K"]) -> list[_Near]:
        """Return the items nearest to each of some items; what was found before is looked up."""
        lacking = [like for like in dict.fromkeys(likes.tolist()) if like not in self.near]
        found = [self.near.get(like) for like in likes.tolist()]
        known = [one for one in found if one is not None]
        if lacking:
            cosines = self.directions[lacking] @ self.directions.T
            for like, row in zip(lacking, cosines, strict=True):
                places = highest(row, min(max(_NEAR, self.limit), len(row))).astype(np.int32)
                known.append(_Near(places, row[places]))
                self.near.put(like, known[-1], nbytes=known[-1].nbytes)
        return known


def _unit(vectors: Float32[np.ndarray, "I K"]) -> Float32[np.ndarray, "I K"]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-9)).astype(np.float32)


def _entries(matrix: Any, lines: np.ndarray) -> Int32[np.ndarray, " N"]:
    """Return the indices of the entries of some rows (or columns) of a sparse matrix, line by line."""
    spans = [matrix.indices[matrix.indptr[line] : matrix.indptr[line + 1]] for line in lines.tolist()]
    return np.concatenate([np.zeros(0, np.int32), *spans]).astype(np.int32)
