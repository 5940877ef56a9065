"""The ranking and its trace: what is answered, and what every station on the way decided."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """A past event that carried weight.

    `weight` is how much the log-odds of a like would fall if the answer did not see this event: its direct effect, in
    nats. Negative weights speak against the item.
    """

    item: str
    title: str
    liked: bool
    weight: float
    time: int


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item in its place; `score` is the probability of a like."""

    rank: int
    item: str
    title: str
    score: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What each station decided.

    Parameters
    ----------
    user : str
        Id of the user.
    time : int
        Moment of the query, unix seconds: what happened before it was known.
    known : int
        Events of the user known at that moment.
    shown : int
        How many of them the prompt of any candidate held.
    dropped : int
        How many events and demonstrations the token budget left out.
    demonstrations : str
        How solved examples were chosen, where a model chose them.
    candidates : int
        Items that were scored.
    chosen : str
        How the candidates were chosen.
    tokens_reused, tokens_new : int
        Tokens of the trunk that were cached, and that this query had to encode.
    trunk_bytes : int
        What the cached trunk of the user takes in memory.
    milliseconds : float
        From query to ranking.
    """

    user: str
    time: int
    known: int
    shown: int
    dropped: int
    demonstrations: str
    candidates: int
    chosen: str
    tokens_reused: int
    tokens_new: int
    trunk_bytes: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best items of a query, best first, and how they came about."""

    items: tuple[RankedItem, ...]
    trace: Trace

    def to_json(self) -> dict[str, Any]:
        """Give objects, lists, numbers and text only."""
        return asdict(self)
