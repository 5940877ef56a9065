"""What each event may see of its user's past.

It decides what *earlier* means, for every part of recollect. Half of the public logs' rows share their second with
another row of the same user, so ties matter (spec `recicl`, section 2):

- ``ties="exclude"`` (default): a query at time t sees events with time < t.
- ``ties="order"``: it also sees the events of its own instant that stand before it in the log.
- ``delay=g``: labels arrive g seconds late, so it sees only events with time <= t - g. A history entry tells its
  label too, so the same holds for histories and demonstrations.

In all cases what a row may see is a *prefix* of its user's rows, so one number per row says it all. Building is
linear in the log: a counting sort, then one search per row among its own user's times, in the order of those times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int32, Int64

from recollect.data.log import EventLog
from recollect.data.order import stable_order
from recollect.errors import LeakError, UsageError


@dataclass(frozen=True, slots=True)
class PastRule:
    """Say which earlier events count as known.

    Parameters
    ----------
    ties : {"exclude", "order"}
        Whether events of the query's own instant are out, or count if they stand before it in the log.
    delay : int
        Seconds until a label is known, 0 or more.

    Raises
    ------
    UsageError
        If ties is another word or the delay is negative.
    """

    ties: Literal["exclude", "order"] = "exclude"
    delay: int = 0

    def __post_init__(self) -> None:
        if self.ties not in {"exclude", "order"}:
            raise UsageError("an unknown rule for ties", got=self.ties, expected='"exclude" or "order"', do="take one")
        if self.delay < 0:
            raise UsageError(
                "a negative label delay", got=self.delay, expected="seconds, 0 or more", do="give 0 for no delay"
            )

    @property
    def gap(self) -> int:
        """Least age in seconds of a visible event; 0 means that the order within an instant decides."""
        return self.delay if self.ties == "order" else max(self.delay, 1)


class Past:
    """Index a log by user, and hold for each event how much of its user's past it may see.

    Parameters
    ----------
    log : EventLog
        N events.
    rule : PastRule
        What counts as known.

    Attributes
    ----------
    visible : Int32[N]
        How many of its user's events each row may see: the first ones of ``rows(user)``.
    rank : Int32[N]
        Place of each row in ``rows(user)``.
    """

    visible: Int32[np.ndarray, "N"]
    rank: Int32[np.ndarray, "N"]

    def __init__(self, log: EventLog, rule: PastRule | None = None) -> None:
        self.log = log
        self.rule = rule or PastRule()
        self._order = stable_order(log.user)
        counts = np.bincount(log.user, minlength=log.user_count)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self.rank = _scatter(np.arange(len(log)) - np.repeat(self._starts[:-1], counts), self._order)
        self.visible = self.rank if self.rule.gap == 0 else _scatter(self._older(), self._order)

    def rows(self, user: int) -> Int64[np.ndarray, "K"]:
        """Return the rows of one user, in log order; none for a user without events."""
        return self._order[self._starts[user] : self._starts[user + 1]].astype(np.int64)

    def visible_at(self, user: int, time: int) -> int:
        """Return how many of a user's events a query from outside the log may see at a time (unix seconds).

        Such a query has no place in the log, so events of its own instant are out, whatever the rule for ties.
        """
        times = self.log.time[self.rows(user)]
        return int(np.searchsorted(times, time - max(self.rule.gap, 1), side="right"))

    def check(self, rows: int | Int64[np.ndarray, "K"], shown: Int64[np.ndarray, "K"]) -> None:
        """Hold that nothing shown to a row is of its own instant or later: the assertion in the flow.

        Parameters
        ----------
        rows : int or Int64[K]
            The row (or, pair by pair, the rows) of the log that must be answered.
        shown : Int64[K]
            Rows of the log that are shown to them, of any user.

        Raises
        ------
        LeakError
            If a shown event is not yet known at its query, under the rule of this past.
        """
        late = self.log.time[shown] > self.log.time[rows] - self.rule.gap
        if self.rule.gap == 0:
            late |= shown >= rows
        self._refuse(late, shown, self.log.time[np.broadcast_to(rows, shown.shape)])

    def check_at(self, time: int, shown: Int64[np.ndarray, "K"]) -> None:
        """Hold the same for a query from outside the log, at a time in unix seconds.

        Raises
        ------
        LeakError
            If a shown event is not yet known at that time.
        """
        late = self.log.time[shown] > time - max(self.rule.gap, 1)
        self._refuse(late, shown, np.full(shown.shape, time))

    def _refuse(self, late: np.ndarray, shown: np.ndarray, times: np.ndarray) -> None:
        if not bool(np.any(late)):
            return
        first = int(np.argmax(late))
        raise LeakError(
            "an event would be shown before it is known",
            got=f"row {shown[first]} of time {self.log.time[shown[first]]} for a query at {times[first]}",
            expected=f"events at least {self.rule.gap} s older (ties: {self.rule.ties}, delay: {self.rule.delay} s)",
            do="cut the shown events to what Past allows",
        )

    def _older(self) -> Int64[np.ndarray, "N"]:
        """Count, in user order, the events of the same user that are at least `gap` seconds older."""
        if len(self.log) == 0:
            return np.zeros(0, dtype=np.int64)
        first, last = int(self.log.time[0]), int(self.log.time[-1])
        # One ascending key for all users: user * width + time since the first event. A bound before the first event
        # becomes that user's zero, so that no bound reaches into another user's keys.
        width = last - first + 2
        user = np.repeat(np.arange(self.log.user_count), np.diff(self._starts))
        lift = user * width
        keys = lift + (self.log.time[self._order] - first + 1)
        bounds = np.maximum(keys - self.rule.gap, lift)
        return np.searchsorted(keys, bounds, side="right") - self._starts[user]


def _scatter(values: np.ndarray, order: np.ndarray) -> Int32[np.ndarray, "N"]:
    placed = np.empty(len(order), dtype=np.int32)
    placed[order] = values
    placed.flags.writeable = False
    return placed
