"""Events into the store: batches, each whole or not at all, with numbers in the order of arrival.

It decides what the same event is: the same id with the same user, item and value, and the same time where the sender
gives one. The same id with anything else is refused, with its whole batch: one of the two would be lost silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from recollect.errors import Conflict, DataError
from recollect.service.fields import check_id
from recollect.service.moments import Moments
from recollect.service.records import Appended, NewEvent, StoredEvent
from recollect.service.tables import EVENTS, META

_FARTHEST: Final = 2**40  # seconds from 1970
_ASKED_AT_ONCE: Final = 1_000

EVENT_COLUMNS: Final = (
    EVENTS.c.seq,
    EVENTS.c.id,
    EVENTS.c.user,
    EVENTS.c.item,
    EVENTS.c.value,
    EVENTS.c.liked,
    EVENTS.c.time,
)
"""The columns of a `StoredEvent`, in its order."""

# Made once, not at every use: a good part of the time of a small query goes into building it.
_STORED: Final = select(*EVENT_COLUMNS).where(EVENTS.c.id.in_(bindparam("ids", expanding=True)))
_LAST: Final = select(META.c.value).where(META.c.key == "last_seq")
_ADDED: Final = insert(EVENTS)
_COUNTED: Final = update(META).where(META.c.key == "last_seq").values(value=bindparam("last"))


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are stored together or not at all, each with its label, and the moment of their arrival."""

    events: tuple[NewEvent, ...]
    likes: tuple[bool, ...]
    now: int

    @classmethod
    def of(cls, events: Sequence[NewEvent], *, liked: Callable[[float], bool], now: int) -> Batch:
        """Check and label events.

        Parameters
        ----------
        events : sequence of NewEvent
            As they came in.
        liked : callable
            The label rule: of a value, whether it is a like.
        now : int
            Unix seconds.

        Raises
        ------
        DataError
            If one of them cannot be stored.
        """
        for event in events:
            _check(event)
        return cls(tuple(events), tuple(bool(liked(event.value)) for event in events), now)


def append(connection: Connection, batches: Sequence[Batch], *, moments: Moments) -> list[Appended | DataError]:
    """Store batches within a transaction; for each, what became of it, or the conflict that refuses it.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    batches : sequence of Batch
        In order of arrival.
    moments : Moments
        Tells the times of events that bring none.
    """
    known = _known(connection, sorted({event.id for batch in batches for event in batch.events}))
    first = last = last_seq(connection)
    outcomes: list[Appended | DataError] = []
    for batch in batches:
        moments.move(batch.now, connection)
        outcome = _outcome(batch, known, last, moments=moments)
        outcomes.append(outcome)
        if isinstance(outcome, Appended):
            known.update((event.id, event) for event in outcome.accepted)
            last += len(outcome.accepted)
    if last > first:
        rows = [row for outcome, batch in zip(outcomes, batches, strict=True) for row in _rows(outcome, batch.now)]
        connection.execute(_ADDED, rows)
        connection.execute(_COUNTED, {"last": str(last)})
    return outcomes


def last_seq(connection: Connection) -> int:
    """Return the sequence number that was given out last, 0 if none was."""
    return int(connection.execute(_LAST).scalar_one())


def _check(event: NewEvent) -> None:
    """See that an event can be stored.

    Raises
    ------
    DataError
        If not.
    """
    check_id("an event's id", event.id)
    check_id("a user's id", event.user)
    check_id("an item's id", event.item)
    if not math.isfinite(event.value):
        raise DataError(
            "a value that is no number", got=event.value, expected="a finite number", do="correct the value"
        )
    if event.time is not None and abs(event.time) > _FARTHEST:
        raise DataError(
            "a time far from ours",
            got=event.time,
            expected="unix seconds",
            do="divide by 1,000 if it is in milliseconds",
        )


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, StoredEvent]:
    """Look up which of these events are stored."""
    found: dict[str, StoredEvent] = {}
    for some in _pieces(ids):
        rows = connection.execute(_STORED, {"ids": some})
        found.update((row.id, StoredEvent(*row)) for row in rows)
    return found


def _pieces(ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while piece := list(islice(rest, _ASKED_AT_ONCE)):
        yield piece


def _outcome(batch: Batch, known: dict[str, StoredEvent], last: int, *, moments: Moments) -> Appended | DataError:
    """Tell what is new in a batch from what is known."""
    accepted: dict[str, StoredEvent] = {}
    duplicates: list[str] = []
    for event, liked in zip(batch.events, batch.likes, strict=True):
        stored = accepted.get(event.id) or known.get(event.id)
        if stored is None:
            accepted[event.id] = _numbered(event, seq=last + len(accepted) + 1, liked=liked, time=moments.of(event))
        elif _is_same(event, stored):
            duplicates.append(event.id)
        else:
            return _conflict(event)
    return Appended(tuple(accepted.values()), tuple(duplicates))


def _numbered(event: NewEvent, *, seq: int, liked: bool, time: int) -> StoredEvent:
    return StoredEvent(seq, event.id, event.user, event.item, float(event.value), liked, time)


def _is_same(event: NewEvent, stored: StoredEvent) -> bool:
    if event.time is not None and event.time != stored.time:
        return False
    return (event.user, event.item, float(event.value)) == (stored.user, stored.item, stored.value)


def _conflict(event: NewEvent) -> Conflict:
    # What is stored is not shown: it may be another person's.
    return Conflict(
        "an event id that another event has",
        got=repr(event.id),
        expected="the same user, item, value and time as before, or a new id",
        do="give every event an id of its own; nothing of this batch was stored",
    )


def _rows(outcome: Appended | DataError, received: int) -> list[dict[str, object]]:
    if isinstance(outcome, DataError):
        return []
    # Written out: `asdict` copies deeply, which costs more than all the rest.
    return [
        {
            "seq": event.seq,
            "id": event.id,
            "user": event.user,
            "item": event.item,
            "value": event.value,
            "liked": event.liked,
            "time": event.time,
            "received": received,
        }
        for event in outcome.accepted
    ]
