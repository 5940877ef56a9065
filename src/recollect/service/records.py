"""What the store takes and gives: plain values, the same for every database.

It decides that what comes from outside has no sequence number yet, and what comes from the store always has one: the
order in which it was made durable, from 1, without gaps but those of erased users. Moments are unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it comes in.

    Parameters
    ----------
    id : str
        Chosen by the sender; the same id again is the same event.
    user, item : str
        Ids.
    value : float
        Feedback in the unit of the log.
    time : int or None
        Unix seconds; None for the moment of its arrival, or right after what its user did last.
    """

    id: str
    user: str
    item: str
    value: float
    time: int | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the store holds it, durable.

    Parameters
    ----------
    seq : int
        Place in the order of arrival, from 1.
    id, user, item : str
        As they came in.
    value : float
        Feedback in the unit of the log.
    liked : bool
        Its label, by the rule that held when it arrived.
    time : int
        Unix seconds.
    """

    seq: int
    id: str
    user: str
    item: str
    value: float
    liked: bool
    time: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch of events.

    Parameters
    ----------
    accepted : sequence of StoredEvent
        Those that were new, in order of their sequence numbers.
    duplicates : sequence of str
        Ids of those that the store, or this batch before them, held already.
    """

    accepted: Sequence[StoredEvent]
    duplicates: Sequence[str]


@dataclass(frozen=True, slots=True)
class Item:
    """An item that came after the catalog was imported.

    Parameters
    ----------
    id, title : str
        Its id and its text.
    genres : tuple of str
        Genres or categories.
    attributes : mapping
        Whatever else is known of it, as JSON values.
    added : int
        Unix seconds of its arrival.
    """

    id: str
    title: str
    genres: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    added: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """A user that came, with a profile, after the log was imported.

    Parameters
    ----------
    id : str
        Its id.
    profile : mapping of str to str
        Attributes such as gender or age.
    added : int
        Unix seconds of its arrival.
    """

    id: str
    profile: Mapping[str, str] = field(default_factory=dict[str, str])
    added: int = 0


@dataclass(frozen=True, slots=True)
class Added:
    """What became of items or users: ids of the new ones in order, and of those that were there, the same, already."""

    accepted: Sequence[str]
    duplicates: Sequence[str]


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased of a user: how many events, how many kept requests, and whether there was a profile."""

    events: int
    requests: int
    profile: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was answered, kept for a while so that it can be explained.

    Parameters
    ----------
    id : str
        Id of the request.
    user : str or None
        Who asked; None for an anonymous history.
    arm, ranker : str
        Which model answered, and which way.
    payload : mapping
        Whatever explains the answer, as JSON values.
    made : int
        Unix seconds.
    """

    id: str
    user: str | None
    arm: str
    ranker: str
    payload: Mapping[str, Any]
    made: int
