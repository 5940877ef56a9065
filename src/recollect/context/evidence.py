"""Which past events are shown: a person's timeline, and the windows of it that make evidence.

A `Timeline` is everything known of one user, oldest first. An `Evidence` is a window of it: the events shown, how many
of them each event (or a query) may see, and which events are themselves questions. Tuning, replay and serving all cut
their windows here, by one rule, so they cannot differ.

It decides how a long past is cut (`HistoryView`): when more than `shown` events are visible, the oldest leave in
chunks of `evict`, so that the start of a window, and with it every cached key, stays put for `evict` events. The start
is a function of the number of visible events alone. Source: spec `recicl`, section 9, point 2 (our reading).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recollect.context.statistics import ItemStatistics
from recollect.data.log import EventLog
from recollect.data.past import Past, PastRule

PERSON_FEATURES: Final = ("person residual", "person log-count")
"""Names of what `Evidence.person` says."""

_PERSON_SHRINK: Final = 20.0

TIMELINE_ARRAYS: Final = ("rows", "items", "labels", "values", "times", "features", "visible")
"""The arrays of a `Timeline`, all over the same events."""

LIVE: Final = -1
"""Row of an event that has come in since the log was read."""


class HistoryView(BaseModel):
    """Choose which past events are shown, and in which order.

    `choice` takes the most recent events, those nearest to the item asked (`retrieved`), or half of each (`both`).
    `order` is that of time, or of nearness. `feedback` keeps all events or likes alone. `similarity` says which item
    vectors measure nearness; of a `hybrid`, `semantic_share` is the text's part. `per` retrieves for each candidate
    alone, or once for the whole `set` of candidates, whose union then makes one trunk. `evict` is how many events the
    stream drops at a time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shown: int = Field(default=160, ge=0)
    evict: int = Field(default=1, ge=1)
    choice: Literal["recent", "retrieved", "both"] = "recent"
    order: Literal["time", "similar-first", "similar-last"] = "time"
    feedback: Literal["all", "likes"] = "all"
    similarity: Literal["semantic", "collaborative", "hybrid"] = "semantic"
    semantic_share: float = Field(default=0.5, ge=0, le=1)
    per: Literal["candidate", "set"] = "candidate"

    @model_validator(mode="after")
    def _fits(self) -> HistoryView:
        if self.evict > max(self.shown, 1):
            raise ValueError(f"evict={self.evict} drops more than the shown={self.shown} events; make it smaller")
        return self

    @property
    def text_share(self) -> float:
        """The text's part in measuring nearness, from 0 to 1; the rest is that of the collaborative vectors."""
        return {"semantic": 1.0, "collaborative": 0.0, "hybrid": self.semantic_share}[self.similarity]

    def starts(self, visible: Int32[np.ndarray, " K"]) -> Int64[np.ndarray, " K"]:
        """Return where the window starts when so many events are visible.

        Examples
        --------
        >>> HistoryView(shown=4, evict=2).starts(np.array([0, 4, 5, 6, 7], np.int32)).tolist()
        [0, 0, 2, 2, 4]
        """
        over = np.maximum(visible.astype(np.int64) - self.shown, 0)
        return -(-over // self.evict) * self.evict


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """Hold the K events shown of one user, and which of them are asked.

    Parameters
    ----------
    user : int
        Code of the user.
    rows : Int64[K]
        Rows of the log, `LIVE` for events that came later.
    items : Int32[K]
        Item codes.
    labels : Bool[K]
        Whether each was a like.
    features : Float32[K, 4]
        Causal item statistics at the moment of each event, answers filled in.
    sees : Int32[K]
        How many of the shown events each event may see: the first ones.
    asked : Bool[K]
        Which events are answer slots.
    """

    user: int
    rows: Int64[np.ndarray, " K"]
    items: Int32[np.ndarray, " K"]
    labels: Bool[np.ndarray, " K"]
    features: Float32[np.ndarray, "K F"]
    sees: Int32[np.ndarray, " K"]
    asked: Bool[np.ndarray, " K"]

    def __len__(self) -> int:
        return len(self.items)

    def person(self, seen: Int32[np.ndarray, " Q"]) -> Float32[np.ndarray, "Q 2"]:
        """Sum up the person as far as the first `seen` shown events tell: mean residual, shrunk, and log-count.

        The mean moves slowly on purpose: the fast part is left to attention. `PERSON_FEATURES` names the columns.
        """
        residual = np.concatenate([[0.0], np.cumsum(self.features[:, 2], dtype=np.float64)])
        mean = 4 * residual[seen] / (seen + _PERSON_SHRINK)
        return np.stack([mean, np.log1p(seen) / 4], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class Timeline:
    """Hold all N events of one user in log order.

    Arrays as in `Evidence`; `values` are the feedback in the unit of the log, `visible` counts from the first event.
    """

    user: int
    rows: Int64[np.ndarray, " N"]
    items: Int32[np.ndarray, " N"]
    labels: Bool[np.ndarray, " N"]
    values: Float32[np.ndarray, " N"]
    times: Int64[np.ndarray, " N"]
    features: Float32[np.ndarray, "N F"]
    visible: Int32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.items)

    def visible_at(self, time: int, *, gap: int) -> int:
        """Return how many events a query at a time may see, those at least `gap` seconds older (1 or more)."""
        return int(np.searchsorted(self.times, time - max(gap, 1), side="right"))

    def until(self, count: int) -> Timeline:
        """Return the first `count` events."""
        return replace(self, **{name: getattr(self, name)[:count] for name in TIMELINE_ARRAYS})

    def window(self, start: int, end: int, *, asked: Bool[np.ndarray, " K"] | None = None) -> Evidence:
        """Cut the events from `start` up to `end`; what lies before `start` is seen by none of them."""
        part = slice(start, end)
        return Evidence(
            user=self.user,
            rows=self.rows[part],
            items=self.items[part],
            labels=self.labels[part],
            features=self.features[part],
            sees=np.clip(self.visible[part] - start, 0, None).astype(np.int32),
            asked=np.zeros(end - start, np.bool_) if asked is None else asked,
        )

    def append(self, event: Timeline) -> Timeline:
        """Return the timeline with later events of the same user behind it; their `visible` is kept as given."""
        joined = {name: np.concatenate([getattr(self, name), getattr(event, name)]) for name in TIMELINE_ARRAYS}
        return replace(self, **joined)


class Context:
    """Index a log for showing: who may see what, and the causal statistics of every event.

    Parameters
    ----------
    log : EventLog
        N events.
    rule : PastRule
        What counts as known.
    prior : float
        Like share given to unknown items, measured on the tuning part.
    """

    def __init__(self, log: EventLog, *, rule: PastRule, prior: float) -> None:
        self.log = log
        self.past = Past(log, rule)
        self.statistics = ItemStatistics.of(log, prior=prior, gap=rule.gap)
        self.features = self.statistics.events(log)

    def timeline(self, user: int) -> Timeline:
        """Return all events of one user; an unknown user has none."""
        rows = self.past.rows(user) if user < self.log.user_count else np.zeros(0, np.int64)
        return Timeline(
            user=user,
            rows=rows,
            items=self.log.item[rows],
            labels=self.log.label[rows],
            values=self.log.value[rows],
            times=self.log.time[rows],
            features=self.features[rows],
            visible=self.past.visible[rows],
        )

    def replay_windows(self, rows: Int64[np.ndarray, " K"], view: HistoryView) -> Iterator[Evidence]:
        """Yield windows in which every given row is asked exactly once, each seeing what serving would show it.

        Parameters
        ----------
        rows : Int64[K]
            Rows of the log to answer.
        view : HistoryView
            How a long past is cut.

        Raises
        ------
        LeakError
            If a row would see an event of its own instant or later.
        """
        wanted = np.zeros(len(self.log), np.bool_)
        wanted[rows] = True
        for user in np.unique(self.log.user[rows]).tolist():
            line = self.timeline(user)
            asked = wanted[line.rows]
            starts = view.starts(line.visible)
            for start in np.unique(starts[asked]).tolist():
                here = asked & (starts == start)
                end = int(np.flatnonzero(here)[-1]) + 1
                evidence = line.window(start, end, asked=here[start:end])
                self.check(evidence)
                yield evidence

    def tuning_windows(
        self, rows: Int64[np.ndarray, " K"], view: HistoryView, *, random: np.random.Generator
    ) -> Iterator[Evidence]:
        """Yield windows over the events up to the last given row, cut at random places, the given rows asked.

        Every given row is asked once. A window shows nothing of what lies before it, so the model also meets people
        of whom little is known.

        Parameters
        ----------
        rows : Int64[K]
            Rows to learn from.
        view : HistoryView
            The longest window.
        random : Generator
            Chooses where the first cut falls.

        Raises
        ------
        LeakError
            If a row would see an event of its own instant or later.
        """
        wanted = np.zeros(len(self.log), np.bool_)
        wanted[rows] = True
        last = int(rows[-1])
        for user in np.unique(self.log.user[rows]).tolist():
            line = self.timeline(user)
            count = int(np.searchsorted(line.rows, last, side="right"))
            first = int(random.integers(1, view.shown + 1)) if count > view.shown else count
            cuts = [0, *range(first, count, view.shown), count]
            for start, end in pairwise(cuts):
                asked = wanted[line.rows[start:end]]
                if asked.any():
                    evidence = line.window(start, end, asked=asked)
                    self.check(evidence)
                    yield evidence

    def check(self, evidence: Evidence) -> None:
        """Hold the promise of the flow: what a row is shown was known before its instant.

        Raises
        ------
        LeakError
            If an event sees one that was not known yet.
        """
        seeing = np.flatnonzero(evidence.sees > 0)
        latest = evidence.rows[evidence.sees[seeing] - 1]
        self.past.check(evidence.rows[seeing], latest)
