"""The shapes of answers: what the HTTP API gives, and nothing else; those of errors too.

It decides that every answer carries the id of its request, and that one which names a ranker says why, if a fallback
answered. The schema at `/openapi.json` and the values that `recollect.Client` returns are made from these classes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    """Values that go out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EventsAnswer(_Answer):
    """What became of events: all of them are durable now, and known to the next answer."""

    request_id: str
    accepted: int
    duplicates: list[str]
    last_seq: int | None


class AddedAnswer(_Answer):
    """How many rows were added, and the ids of those that were there, the same, already."""

    request_id: str
    added: int
    duplicates: list[str]


class PastEvent(_Answer):
    """An event of a history."""

    id: Annotated[str | None, Field(description="Null for an imported event.")]
    item: str
    title: str
    value: float
    liked: bool
    time: int


class HistoryAnswer(_Answer):
    """The events of one person: those that came in live, the last first, then the imported ones, the newest first."""

    request_id: str
    user: str
    events: list[PastEvent]
    next: Annotated[str | None, Field(description="Give as `after` for the next page; null at the end.")]


class ErasedAnswer(_Answer):
    """What was erased of a person."""

    request_id: str
    user: str
    events: int
    requests: int
    profile: bool
    imported: Annotated[int, Field(description="Events of the imported log: never shown again.")]


class ScoredItem(_Answer):
    """An item in its place; `score` is the calibrated probability of a like."""

    item: str
    title: str
    score: Annotated[float, Field(ge=0, le=1)]
    rank: Annotated[int, Field(ge=1)]


class RankingAnswer(_Answer):
    """Items, best first, and who put them in order."""

    request_id: str
    ranker: Annotated[str, Field(description="`model`, or `light` where a fallback answered.")]
    fallback: Annotated[str | None, Field(description="Why a fallback answered, null if none did.")]
    arm: Annotated[str, Field(description="Which of the active models answered.")]
    known: Annotated[int, Field(ge=0, description="Events of the user that were known.")]
    milliseconds: float
    items: list[ScoredItem]


class RerankDocument(_Answer):
    """A document of the request, as it was given."""

    id: str
    text: str


class RerankResult(_Answer):
    """A document by its place in the request."""

    index: Annotated[int, Field(ge=0)]
    relevance_score: Annotated[float, Field(ge=0, le=1)]
    document: RerankDocument | None = None


class RerankAnswer(_Answer):
    """Documents, best first; `id` is the request id under the name that rerankers use."""

    id: str
    request_id: str
    model: str
    ranker: str
    fallback: str | None
    results: list[RerankResult]


class ReasonOut(_Answer):
    """A past event that carried weight: how far the log-odds of a like fall without it."""

    item: str
    title: str
    liked: bool
    weight: float
    time: int


class ExplainedItem(ScoredItem):
    """An item in its place, and the past events that carried weight."""

    reasons: list[ReasonOut]


class ExplainAnswer(_Answer):
    """An earlier answer, and how it came about."""

    request_id: str
    explained: Annotated[str, Field(description="The request that is explained.")]
    user: str | None
    ranker: str
    fallback: str | None
    arm: str
    made: int
    exact: Annotated[bool, Field(description="Whether the model would give these scores again.")]
    items: list[ExplainedItem]
    trace: dict[str, Any]
    digest: Annotated[str, Field(description="SHA-256 of the weights that answered.")]
    untouched: Annotated[bool, Field(description="Whether these weights, hashed anew, are those that were loaded.")]


class ArmOut(_Answer):
    """A model that answers, the share of users that it answers, and what came of it."""

    name: str
    run: str
    digest: str
    share: float
    outcomes: dict[str, int]


class StatusAnswer(_Answer):
    """Figures of the running service."""

    request_id: str
    ready: bool
    arms: list[ArmOut]
    seq: int
    items: int
    users: int
    waiting: int
    answered: dict[str, int]
    trunk_bytes: int
    history_bytes: int
    trunks: int


class HealthAnswer(_Answer):
    """That the process answers."""

    request_id: str
    status: Literal["ok"]


class ReadyAnswer(_Answer):
    """Whether requests may be sent here."""

    request_id: str
    ready: bool
    state: Annotated[str, Field(description="`starting`, `ready`, `failed` or `stopping`.")]


class Fault(_Answer):
    """What is wrong, what was got, what was expected, and what to do; `code` is stable, for programs."""

    what: str
    got: str
    expected: str
    do: str
    code: str


class Problem(_Answer):
    """The body of every answer that is an error."""

    error: Fault
    request_id: str
