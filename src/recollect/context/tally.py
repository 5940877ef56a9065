"""The live tally: how often items were rated and liked, by the log as read and by all events since.

It decides that a count is exact at every moment, also in the past and also after events came in late or were taken
back, so that serving and replay read the same numbers (`recollect.context.statistics`). At the newest moment, which
is asked nearly always, it is one look-up per item. An added event takes 16 bytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Int32, Int64

from recollect.context.statistics import ItemStatistics

_NEVER: Final = 1 << 62


@dataclass(slots=True)
class _Added:
    """Times of one item's added events, ascending, and the running count of likes."""

    times: MutableSequence[int] = field(default_factory=lambda: array("q"))
    likes: MutableSequence[int] = field(default_factory=lambda: array("q"))

    def add(self, time: int, *, liked: bool) -> None:
        place = bisect_right(self.times, time)
        before = self.likes[place - 1] if place else 0
        self.times.insert(place, time)
        self.likes.insert(place, before)
        self._shift(place, int(liked))

    def remove(self, time: int, *, liked: bool) -> bool:
        for place in range(bisect_left(self.times, time), bisect_right(self.times, time)):
            before = self.likes[place - 1] if place else 0
            if self.likes[place] - before == int(liked):
                self.times.pop(place)
                self.likes.pop(place)
                self._shift(place, -int(liked))
                return True
        return False

    def until(self, time: int) -> tuple[int, int]:
        count = bisect_right(self.times, time)
        return count, self.likes[count - 1] if count else 0

    def _shift(self, place: int, by: int) -> None:
        for later in range(place, len(self.likes) if by else place):
            self.likes[later] += by


class Tally:
    """Count ratings and likes of items.

    Parameters
    ----------
    statistics : ItemStatistics
        Those of the log as read.

    Attributes
    ----------
    first, last : int
        Time of the earliest and of the latest event that counts as added, unix seconds.
    """

    def __init__(self, statistics: ItemStatistics, *, newest: int) -> None:
        self.statistics = statistics
        self.first = _NEVER
        self.last = newest
        self._added: dict[int, _Added] = {}
        ends = statistics.starts
        self._count = np.diff(ends)
        self._likes = np.diff(statistics.likes[ends])

    def add(self, item: int, *, liked: bool, time: int) -> None:
        """Count an event."""
        self._grow(item + 1)
        self._count[item] += 1
        self._likes[item] += liked
        self._added.setdefault(item, _Added()).add(time, liked=liked)
        self.first, self.last = min(self.first, time), max(self.last, time)

    def remove(self, item: int, *, liked: bool, time: int) -> None:
        """Take an added event back; nothing happens if there is no such event."""
        if item in self._added and self._added[item].remove(time, liked=liked):
            self._count[item] -= 1
            self._likes[item] -= liked

    def counts(
        self, items: Int32[np.ndarray, " K"], times: int | Int64[np.ndarray, " K"]
    ) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
        """Count the ratings and likes of items that are known at moments."""
        gap = self.statistics.gap
        if isinstance(times, int) and times - gap >= self.last:
            return self._newest(items)
        count, likes = self.statistics.counts(items, times)
        bounds = np.broadcast_to(np.asarray(times, np.int64) - gap, items.shape)
        late = np.flatnonzero(bounds >= self.first)
        places: list[int] = late.tolist()
        for place, item, bound in zip(places, items[late].tolist(), bounds[late].tolist(), strict=True):
            if item in self._added:
                more, liked = self._added[item].until(bound)
                count[place] += more
                likes[place] += liked
        return count, likes

    def _newest(self, items: Int32[np.ndarray, " K"]) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
        known = items < len(self._count)
        if known.all():
            return self._count[items], self._likes[items]
        safe = np.where(known, items, 0)
        return np.where(known, self._count[safe], 0), np.where(known, self._likes[safe], 0)

    def _grow(self, items: int) -> None:
        if items > len(self._count):
            more = np.zeros(max(items - len(self._count), len(self._count) // 4), np.int64)
            self._count = np.concatenate([self._count, more])
            self._likes = np.concatenate([self._likes, more])
