"""The log plus what has come in since: the context of serving.

It decides that an event that comes in is known to the next query: it is put on its user's timeline and counted for its
item at once, nothing is rebuilt. An event keeps the features that were known when it arrived; one that arrives late is
put where its time belongs, and its user's timeline is then another one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Int32

from recollect.context.evidence import LIVE, TIMELINE_ARRAYS, Context, Timeline


class LiveContext:
    """Answer what is known of users and items, counting events that were added after the log was read.

    Parameters
    ----------
    context : Context
        The log as read.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lines: dict[int, Timeline] = {}
        self._added: defaultdict[int, list[tuple[int, bool]]] = defaultdict(list)
        self.gap = max(context.past.rule.gap, 1)
        log = context.log
        self.newest = int(log.time[-1]) if len(log) else 0

    def now(self) -> int:
        """Return the first moment (unix seconds) at which every event so far is known."""
        return self.newest + self.gap

    def timeline(self, user: int) -> Timeline:
        """Return everything known of a user."""
        if user not in self._lines:
            return self._context.timeline(user)
        return self._lines[user]

    def features(self, items: Int32[np.ndarray, " K"], time: int) -> Float32[np.ndarray, "K 4"]:
        """Return the causal statistics of items at a moment, as not yet answered."""
        count, likes = self._context.statistics.counts(items, time)
        for item in self._added.keys() & set(items.tolist()):
            known = [liked for moment, liked in self._added[item] if moment <= time - self.gap]
            count[items == item] += len(known)
            likes[items == item] += sum(known)
        return self._context.statistics.describe(count, likes)

    def add(self, user: int, item: int, *, value: float, liked: bool, time: int) -> Timeline:
        """Take in an event, and return its user's timeline as it is now.

        Parameters
        ----------
        user, item : int
            Codes; those beyond the log are new ones.
        value : float
            Its feedback, in the unit of the log.
        liked : bool
            Its label.
        time : int
            Unix seconds.
        """
        line = self.timeline(user)
        items = np.array([item], np.int32)
        bare = self.features(items, time)
        event = Timeline(
            user=user,
            rows=np.array([LIVE], np.int64),
            items=items,
            labels=np.array([liked]),
            values=np.array([value], np.float32),
            times=np.array([time], np.int64),
            features=self._context.statistics.answered(bare, np.array([liked])),
            visible=np.array([line.visible_at(time, gap=self.gap)], np.int32),
        )
        joined = line.append(event)
        if len(line) and time < line.times[-1]:
            joined = _in_time_order(joined, gap=self.gap)
        self._lines[user] = joined
        self._added[item].append((time, liked))
        self.newest = max(self.newest, time)
        return joined


def _in_time_order(line: Timeline, *, gap: int) -> Timeline:
    order = np.argsort(line.times, kind="stable")
    moved: dict[str, np.ndarray] = {name: getattr(line, name)[order] for name in TIMELINE_ARRAYS}
    moved["visible"] = np.searchsorted(moved["times"], moved["times"] - gap, side="right").astype(np.int32)
    return replace(line, **moved)
