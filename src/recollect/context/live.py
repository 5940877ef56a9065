"""The log plus what has come in since: the context of serving.

It decides that an event that comes in is known to the next query, and that what is known of a person is a function of
the events alone, not of their order of arrival: a timeline is made of the imported events and the added ones, with the
statistics that the whole log, as it is by now, gives each of them. So a person's timeline may be forgotten and made
again, and equals that of a log which always had all events. An event that comes in late changes what later events know
of its item; timelines are then described again when they are asked for.

Timelines of people with added events are kept within a byte budget, and made again by a loader. Safe from many threads:
a lock is held while a timeline is read or events are taken in, never while a model computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from recollect.context.budgeted import Budgeted
from recollect.context.evidence import LIVE, TIMELINE_ARRAYS, Context, Timeline
from recollect.context.tally import Tally

NOBODY: Final = 2**31 - 1
"""Code of a person that the catalog of users does not hold."""

_SLOTS: Final = 1 << 20  # of the table that tells who has surely no added event
_ENTRY: Final = 1500  # bytes of an entry besides its events: seven arrays, two objects, a key


class Person(NamedTuple):
    """A user: the id, and the code among the users of the catalog, `NOBODY` for a new one."""

    id: str
    code: int


class LiveEvent(NamedTuple):
    """An event that came in: its place in the order of arrival, user, item code, feedback, label and unix seconds."""

    seq: int
    user: str
    item: int
    value: float
    liked: bool
    time: int


Loader = Callable[[str], Sequence[LiveEvent]]
"""Returns all added events of a user, in any order."""


@dataclass(slots=True)
class _Line:
    """What is kept of a person: the added events, those not joined yet, and the timeline made of the others."""

    code: int
    events: list[LiveEvent]
    joined: Timeline | None = None
    described: int = -1
    waiting: int = field(default=0)


class LiveContext:
    """Answer what is known of users and items, counting events that were added after the log was read.

    Parameters
    ----------
    context : Context
        The log as read.
    load : callable, optional
        Finds the added events of a user again; without it nothing is ever forgotten.
    budget : int, optional
        Bytes of timelines that are kept, if they can be loaded again.

    Attributes
    ----------
    gap : int
        Least age in seconds at which an event is known.
    seq : int
        Number of the last event taken in.
    """

    def __init__(self, context: Context, *, load: Loader | None = None, budget: int | None = None) -> None:
        self._context = context
        self._load = load
        log = context.log
        self._lines = Budgeted[str, _Line](budget=None if load is None else budget)
        self._tally = Tally(context.statistics, newest=int(log.time[-1]) if len(log) else 0)
        self._maybe = np.zeros(_SLOTS, np.bool_)
        self._changes = 0  # of what was known at earlier moments
        self._lock = RLock()
        self.gap = max(context.past.rule.gap, 1)
        self.seq = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the timelines that are kept."""
        return self._lines.nbytes

    def limit(self, budget: int) -> None:
        """Keep to another budget of bytes, if timelines can be loaded again."""
        with self._lock:
            self._lines.limit(None if self._load is None else budget)

    def now(self) -> int:
        """Return the first moment (unix seconds) at which every event so far is known."""
        return self._tally.last + self.gap

    def has_events(self, person: Person) -> bool:
        """Return whether a person has added events."""
        with self._lock:
            line = self._line(person)
            return line is not None and bool(line.events)

    def timeline(self, person: Person) -> Timeline:
        """Return everything known of a person."""
        with self._lock:
            line = self._line(person)
            if line is None:
                return self._described(self._imported(person.code))
            if line.joined is None or line.waiting or line.described != self._changes:
                line.joined = self._join(line)
                line.waiting, line.described = 0, self._changes
                self._lines.put(person.id, line, nbytes=_size(line))
            return line.joined

    def features(self, items: Int32[np.ndarray, " K"], time: int) -> Float32[np.ndarray, "K 4"]:
        """Return the causal statistics of items at a moment, as not yet answered."""
        with self._lock:
            counts = self._tally.counts(items, time)
        return self._context.statistics.describe(*counts)

    def anonymous(
        self, items: Int32[np.ndarray, " N"], *, values: Float32[np.ndarray, " N"], labels: Bool[np.ndarray, " N"]
    ) -> Timeline:
        """Make a timeline of somebody of whom nothing is kept: events of the last moments, oldest first."""
        count, now = len(items), self.now()
        return Timeline(
            user=NOBODY,
            rows=np.full(count, LIVE, np.int64),
            items=items,
            labels=labels,
            values=values,
            times=now - self.gap * np.arange(count, 0, -1, dtype=np.int64),
            features=self._context.statistics.answered(self.features(items, now), labels),
            visible=np.arange(count, dtype=np.int32),
        )

    def take(self, events: Iterable[LiveEvent]) -> None:
        """Take in events, in order of their numbers; one whose number was taken in before is left out."""
        with self._lock:
            for event in events:
                if event.seq > self.seq:
                    self._take(event)

    def forget(self, user: str, events: Sequence[LiveEvent] = ()) -> None:
        """Forget a user's timeline, and take events of that user back as if they had never come."""
        with self._lock:
            self._lines.drop(user)
            for event in events:
                self._tally.remove(event.item, liked=event.liked, time=event.time)
            self._changes += bool(events)

    def _take(self, event: LiveEvent) -> None:
        line = self._lines.get(event.user) if event.user in self._lines else None
        first = not self._maybe[_slot(event.user)]
        self._maybe[_slot(event.user)] = True
        self._changes += event.time <= self._tally.last - self.gap
        self._tally.add(event.item, liked=event.liked, time=event.time)
        self.seq = event.seq
        if line is not None:
            line.events.append(event)
            line.waiting += 1
            self._keep(event.user, line)
        elif self._load is None or first:  # what was never seen before needs no loading
            self._keep(event.user, _Line(-1, [event]))

    def _line(self, person: Person) -> _Line | None:
        """Find what is kept of a person, or load it; None for one who surely has no added event."""
        if not self._maybe[_slot(person.id)]:
            return None
        line = self._lines.get(person.id)
        if line is None and self._load is not None:
            line = _Line(person.code, [event for event in self._load(person.id) if event.seq <= self.seq])
            self._keep(person.id, line)
        if line is not None and line.code != person.code:
            line.code, line.joined = person.code, None
        return line

    def _keep(self, user: str, line: _Line) -> None:
        self._lines.put(user, line, nbytes=_size(line))

    def _imported(self, code: int) -> Timeline:
        """Return the imported events of a user, with what was known when they were read."""
        line = self._context.timeline(min(code, self._context.log.user_count))
        return line if line.user == code else replace(line, user=code)

    def _join(self, line: _Line) -> Timeline:
        """Put imported and added events in the order of the log: by time, then by item, then as they arrived."""
        imported, added = self._imported(line.code), sorted(line.events, key=_in_log)
        live = _timeline_of(added, code=line.code)
        joined = imported.append(live)
        if added and len(imported) and added[0].time <= imported.times[-1]:
            order = np.lexsort((joined.items, joined.times))
            joined = replace(joined, **{name: getattr(joined, name)[order] for name in TIMELINE_ARRAYS})
        gap = self._context.past.rule.gap
        older = np.searchsorted(joined.times, joined.times - gap, side="right") if gap else np.arange(len(joined))
        return self._described(replace(joined, visible=older.astype(np.int32)))

    def _described(self, line: Timeline) -> Timeline:
        """Say again what is known of the items of events that are added, or later than an added one."""
        again = (line.rows == LIVE) | (line.times - self.gap >= self._tally.first)
        if not again.any():
            return line
        statistics = self._context.statistics
        bare = statistics.describe(*self._tally.counts(line.items[again], line.times[again]))
        features = line.features.copy()
        features[again] = statistics.answered(bare, line.labels[again])
        return replace(line, features=features)


def _in_log(event: LiveEvent) -> tuple[int, int, int]:
    return event.time, event.item, event.seq


def _slot(user: str) -> int:
    return hash(user) & (_SLOTS - 1)


def _size(line: _Line) -> int:
    """Estimate the bytes of what is kept of a person."""
    joined = line.joined
    arrays = 0 if joined is None else sum(getattr(joined, name).nbytes for name in TIMELINE_ARRAYS)
    return _ENTRY + arrays + 200 * len(line.events)


def _timeline_of(events: Sequence[LiveEvent], *, code: int) -> Timeline:
    """Lay events out as arrays, not yet described."""
    count = len(events)
    return Timeline(
        user=code,
        rows=np.full(count, LIVE, np.int64),
        items=np.array([event.item for event in events], np.int32),
        labels=np.array([event.liked for event in events], np.bool_),
        values=np.array([event.value for event in events], np.float32),
        times=np.array([event.time for event in events], np.int64),
        features=np.zeros((count, 4), np.float32),
        visible=np.zeros(count, np.int32),
    )
