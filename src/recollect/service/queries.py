"""What the engine is asked, and what it answers: plain values, the same whichever model or ranker answered.

It decides that a person is a user id, an inline history, or both never: an anonymous history leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recollect.rank.ranking import RankedItem, Ranking


@dataclass(frozen=True, slots=True)
class InlineEvent:
    """An event of a history that comes with its query; the order given is the order in time.

    Parameters
    ----------
    item : str
        Id of the item; one that the catalog lacks is left out.
    value : float
        Feedback in the unit of the log.
    """

    item: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Ask for items.

    Parameters
    ----------
    user : str or None
        Id of the user, known or not; None for an anonymous history.
    history : tuple of InlineEvent
        The anonymous history, oldest first; empty where there is a user.
    limit : int
        How many items, 1 or more; of `Engine.rank` all candidates are answered, whatever the limit.
    candidates : tuple of str or None
        Ids to rank; chosen from the catalog if None.
    exclude : tuple of str
        Ids that must not be answered; unknown ones are ignored.
    filter : mapping
        What an item must be: name to value, list of values, or, for numbers, {"min": x, "max": y}. Names are
        `genres`, `year`, `title` (contains, in any case), `id`, and attributes that came in.
    diversity : float
        From 0, the best scores, to 1, items as unlike each other as can be.
    deadline_ms : float or None
        Until then an answer is wanted, from the light ranker if need be; None for the setting of the service.
    """

    user: str | None = None
    history: tuple[InlineEvent, ...] = ()
    limit: int = 10
    candidates: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    filter: Mapping[str, Any] = field(default_factory=dict[str, Any])
    diversity: float = 0.0
    deadline_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a query.

    Parameters
    ----------
    request_id : str
        Of this answer; `Engine.explain` takes it.
    ranker : str
        "model" or "light".
    fallback : str or None
        Why the light ranker answered: "deadline", "overload", "starting" or "failure"; None where the model did.
    arm : str
        Name of the model of this user.
    seq : int
        The event of the store up to which the answer knows all.
    ranking : Ranking
        The items, best first, and the trace.
    milliseconds : float
        From question to answer, waiting included.
    """

    request_id: str
    ranker: str
    fallback: str | None
    arm: str
    seq: int
    ranking: Ranking
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Say why an answer was what it was.

    Parameters
    ----------
    request_id, user, ranker, fallback, arm, made
        As they were; `made` in unix seconds.
    items : tuple of RankedItem
        The items answered, each with the past events that carried weight (none where the light ranker answered).
    exact : bool
        Whether the model gives these items the same scores again. Not if an event came in late since, or the model is
        another one by now.
    trace : mapping
        What every station decided, as it was answered.
    digest : str
        SHA-256 of the weights that answered.
    untouched : bool
        Whether the model that answered still has, hashed anew, the weights that were loaded; false if it is gone.
    """

    request_id: str
    user: str | None
    ranker: str
    fallback: str | None
    arm: str
    made: int
    items: tuple[RankedItem, ...]
    exact: bool
    trace: Mapping[str, Any]
    digest: str
    untouched: bool


@dataclass(frozen=True, slots=True)
class Erasure:
    """Count what was erased of a user.

    Parameters
    ----------
    events, requests : int
        Rows of the store.
    profile : bool
        Whether there was a profile.
    imported : int
        Events of the imported log, whose folder is read-only: never shown again.
    """

    events: int
    requests: int
    profile: bool
    imported: int


@dataclass(frozen=True, slots=True)
class ArmStatus:
    """Describe a model that answers.

    Parameters
    ----------
    name : str
        Of the run folder.
    run : str
        The run folder.
    digest : str
        SHA-256 of its weights.
    share : float
        Of the users, 0 to 1.
    outcomes : mapping of str to int
        Counts: answers, shown, events, likes, hits (likes of items that were shown to that user lately).
    """

    name: str
    run: str
    digest: str
    share: float
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Status:
    """Describe the engine.

    Parameters
    ----------
    ready : bool
        Whether everything stored is known and the scorer runs.
    arms : tuple of ArmStatus
        Those that answer.
    seq : int
        The last event of the store that is known.
    items, users : int
        How many there are, those added included.
    waiting : int
        Questions in the queue.
    answered : mapping of str to int
        Answers so far: "model", or "light" with its reason, such as "light/deadline".
    trunk_bytes, history_bytes : int
        What is kept of users in memory.
    trunks : int
        Of how many users a trunk is kept.
    """

    ready: bool
    arms: tuple[ArmStatus, ...]
    seq: int
    items: int
    users: int
    waiting: int
    answered: Mapping[str, int]
    trunk_bytes: int
    history_bytes: int
    trunks: int


__all__ = ["Answer", "ArmStatus", "Erasure", "Explanation", "InlineEvent", "Query", "RankedItem", "Ranking", "Status"]
