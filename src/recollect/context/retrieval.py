"""Semantic user behaviour retrieval: which events of a person's own past lie nearest to an item.

Source: ReLLa (arXiv 2308.11131), section on SUBR (spec `rella`, section 3). It decides:

- vectors are centred over the items that have one, then brought to unit length; an item without a vector keeps zeros,
  and is as far from everything as two unrelated items are;
- an item with several events counts once, as the latest of them; of equally near events the later one comes first;
- entries lie on a grid of 2^-24 and products are summed in float64, where they are exact. So a similarity is one and
  the same number in whatever batch it is computed, equal vectors tie exactly, and replay agrees with serving.

It departs from the source in searching the person's past alone, all of it, where the releases walk a precomputed list
of the catalog's nearest and may find fewer; and in the `collaborative` and `hybrid` similarities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from recollect.context.evidence import HistoryView
from recollect.errors import UsageError

_GRID: Final = 2.0**24  # finer than float32 tells apart at 1; products on its square fit a float64
_NOTHING: Final = 1e-6  # what centring leaves of equal vectors, relative to the longest


@dataclass(frozen=True, eq=False, slots=True)
class Neighbours:
    """Measure how near items are, and find a past's nearest events.

    Parameters
    ----------
    directions : Float32[I, K]
        A row per item, of unit length, or shorter where the item lacks a part; the product of two is their similarity.
        Items with codes beyond I are near to nothing.
    """

    directions: Float32[np.ndarray, "I K"]

    @classmethod
    def of(cls, static: Float32[np.ndarray, "I W"], *, collaborative: int, view: HistoryView) -> Neighbours:
        """Prepare item vectors for one kind of similarity.

        Parameters
        ----------
        static : Float32[I, W]
            Item vectors, as `ItemVectors.static`: text columns, then collaborative ones.
        collaborative : int
            How many of the last columns are collaborative.
        view : HistoryView
            Its `similarity` and, for a hybrid, the text's share of it.

        Raises
        ------
        UsageError
            If the similarity needs columns that are not there.
        """
        text = static.shape[1] - collaborative
        parts = [(view.text_share, static[:, :text]), (1 - view.text_share, static[:, text:])]
        used = [(weight, part) for weight, part in parts if weight > 0]
        if not all(part.shape[1] for _, part in used):
            raise UsageError(
                "a similarity without item vectors",
                got=f"similarity {view.similarity!r}, {text} text and {collaborative} collaborative columns",
                expected="columns of every part that the similarity weighs",
                do="widen vectors.text_width or vectors.collaborative_width, or take another history.similarity",
            )
        # the roots of the shares make the product of two rows the weighted sum of the two cosines
        rows = np.concatenate([np.sqrt(weight) * _unit(part) for weight, part in used], axis=1)
        return cls((np.rint(rows * _GRID) / _GRID).astype(np.float32))

    def similarity(self, past: Int32[np.ndarray, " N"], targets: Int32[np.ndarray, " C"]) -> Float64[np.ndarray, "C N"]:
        """Return the similarity of each target to each event's item, between -1 and 1."""
        return self._rows(targets) @ self._rows(past).T

    def closeness(self, past: Int32[np.ndarray, " N"], targets: Int32[np.ndarray, " C"]) -> Float64[np.ndarray, " N"]:
        """Return for each event the similarity to the target that it is nearest to (minus infinity without targets)."""
        return self.similarity(past, targets).max(axis=0, initial=-np.inf)

    def nearest(
        self,
        past: Int32[np.ndarray, " N"],
        targets: Int32[np.ndarray, " C"],
        *,
        count: int,
        before: int | None = None,
    ) -> Int64[np.ndarray, "C M"]:
        """Return where in the past the events nearest to each target are, nearest first.

        Parameters
        ----------
        past : Int32[N]
            Items of the events, oldest first.
        targets : Int32[C]
            Items to come near to.
        count : int
            Most events for each; M is this, or the number of distinct items if that is less.
        before : int, optional
            Leave out items whose latest event stands at this place or later.
        """
        places = _latest(past)
        places = places[: None if before is None else np.searchsorted(places, before)]
        return places[_highest(self.similarity(past[places], targets), count)]

    def nearest_to_any(
        self, past: Int32[np.ndarray, " N"], targets: Int32[np.ndarray, " C"], *, count: int
    ) -> Int64[np.ndarray, " M"]:
        """Return where the events are that come nearest to one of the targets, at most `count`, nearest first."""
        places = _latest(past)
        return places[_highest(self.closeness(past[places], targets)[None], count)[0]]

    def _rows(self, items: Int32[np.ndarray, " N"]) -> Float64[np.ndarray, "N K"]:
        inside = items < len(self.directions)
        if inside.all():
            return self.directions[items].astype(np.float64)
        rows = np.zeros((len(items), self.directions.shape[1]))
        rows[inside] = self.directions[items[inside]]
        return rows


def _unit(part: Float32[np.ndarray, "I W"]) -> Float64[np.ndarray, "I W"]:
    """Centre the rows that are not zero and bring them to unit length; what is zero before or after stays zero."""
    wide = part.astype(np.float64)
    present = wide.any(axis=1)
    if not present.any():
        return wide
    longest = np.linalg.norm(wide, axis=1).max()
    wide[present] -= wide[present].mean(axis=0)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > _NOTHING * longest, lengths, np.inf)


def _latest(past: Int32[np.ndarray, " N"]) -> Int64[np.ndarray, " D"]:
    """Return the places of the latest event of each distinct item, ascending."""
    places = np.arange(len(past))
    last = np.empty(int(past.max(initial=0)) + 1, np.int64)
    last[past] = places  # of several places given to one item the last stays
    return np.flatnonzero(last[past] == places)


def _highest(scores: Float64[np.ndarray, "C N"], count: int) -> Int64[np.ndarray, "C M"]:
    """Return the columns of each row's highest scores, highest first; of equal scores the later column is first."""
    targets, columns = scores.shape
    kept = min(count, columns)
    if kept == 0 or targets == 0:
        return np.zeros((targets, kept), np.int64)
    least = np.partition(scores, columns - kept, axis=1)[:, columns - kept, None]
    row, column = np.nonzero(scores >= least)  # more than `kept` of a row where several equal the least
    order = np.lexsort((column, scores[row, column], row))
    ends = np.cumsum(np.bincount(row, minlength=targets))
    return column[order][ends[:, None] - 1 - np.arange(kept)]
