"""The shapes of requests: what the HTTP API takes, and nothing else.

It decides the limits that keep one request from harming others: ids of 256 characters and titles of 1,000, without
control characters; 10,000 rows in a batch; numbers that are finite; no fields that we do not know, but in the request
of rerankers, whose clients send fields of their own. All of it stands in the schema at `/openapi.json` too, since that
is made from these classes.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

MOST_ROWS: Final = 10_000
MOST_CANDIDATES: Final = 10_000
_TEXT: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"  # no control characters
_KEYS: Final[dict[str, Any]] = {"additionalProperties": False, "propertyNames": {"minLength": 1, "maxLength": 256}}
_LATEST: Final = 253_402_300_799  # the last second of the year 9999


def _number(value: object) -> object:
    """Refuse text and truth values where a number is wanted; pydantic would read them as one.

    Raises
    ------
    ValueError
        If it is one of these; pydantic takes it.
    """
    if isinstance(value, str | bool):
        message = "must be a number"
        raise ValueError(message)
    return value


Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_TEXT)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=_TEXT)]
Label = Annotated[str, StringConstraints(max_length=256, pattern=_TEXT)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_TEXT)]
_STRICT: Final = BeforeValidator(_number)
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False), _STRICT]
Figure = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000), _STRICT] | Number
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _STRICT]
Seconds = Annotated[int, Field(ge=0, le=_LATEST, description="Unix seconds."), _STRICT]
Limit = Annotated[int, Field(ge=1, le=1_000, description="How many items, best first."), _STRICT]
Year = Annotated[int, Field(ge=0, le=9_999), _STRICT]
Deadline = Annotated[
    float,
    Field(gt=0, le=60_000, allow_inf_nan=False, description="Milliseconds after which the light ranker answers."),
    _STRICT,
]
Attribute = Label | Annotated[list[Label], Field(max_length=100)] | Figure
Attributes = Annotated[dict[Name, Attribute], Field(max_length=100, json_schema_extra=_KEYS)]
Slate = Annotated[list[Id], Field(min_length=1, max_length=MOST_CANDIDATES)]
"""Ids of items to choose from or to score."""


class _Shape(BaseModel):
    """Values that come in: nothing that we do not know stands beside them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EventIn(_Shape):
    """An event. `id` makes it safe to send again; `value` is feedback in the unit of the log."""

    id: Id
    user: Id
    item: Id
    value: Number
    time: Seconds | None = None


class EventsIn(_Shape):
    """One event or many."""

    events: Annotated[list[EventIn], Field(min_length=1, max_length=MOST_ROWS)]


class ItemIn(_Shape):
    """An item of the catalog."""

    id: Id
    title: Title
    genres: Annotated[list[Label], Field(max_length=100)] = []
    year: Year | None = None
    attributes: Attributes = {}


class ItemsIn(_Shape):
    """Items to add. One that is there already must be the same, but an imported one may get attributes."""

    items: Annotated[list[ItemIn], Field(min_length=1, max_length=MOST_ROWS)]


class UserIn(_Shape):
    """A person; `profile` holds attributes such as age."""

    id: Id
    profile: Annotated[dict[Name, Label], Field(max_length=100, json_schema_extra=_KEYS)] = {}


class UsersIn(_Shape):
    """People to add. One who is there already must have the same profile."""

    users: Annotated[list[UserIn], Field(min_length=1, max_length=MOST_ROWS)]


class InlineEvent(_Shape):
    """An event of an anonymous history, oldest first: seen by this answer only, never kept."""

    item: Id
    value: Number


class _Asked(_Shape):
    user: Id | None = None
    history: Annotated[
        list[InlineEvent] | None,
        Field(max_length=MOST_ROWS, description="An anonymous history in place of a user; nothing of it is kept."),
    ] = None
    deadline_ms: Deadline | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> _Asked:
        if (self.user is None) == (self.history is None):
            message = "give either user or history"
            raise ValueError(message)
        return self


_ONE_OF_BOTH: Final[dict[str, Any]] = {
    "oneOf": [
        {"required": ["user"], "properties": {"user": {"type": "string"}, "history": {"type": "null"}}},
        {"required": ["history"], "properties": {"history": {"type": "array"}, "user": {"type": "null"}}},
    ]
}


class Range(_Shape):
    """Numbers between two bounds, both included; a bound that is missing does not bind."""

    min: Figure | None = None
    max: Figure | None = None


Wanted = Label | Figure | Annotated[list[Label | Figure], Field(min_length=1, max_length=100)] | Range


class RecommendIn(_Asked):
    """Whom to recommend to, and from what."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_ONE_OF_BOTH)

    limit: Limit = 10
    candidates: Slate | None = None
    exclude: Annotated[list[Id], Field(max_length=MOST_CANDIDATES)] = []
    filter: Annotated[
        dict[Name, Wanted],
        Field(
            max_length=20,
            description="Attribute to value, list of values or, for numbers such as the year, range; all must hold.",
            json_schema_extra=_KEYS,
        ),
    ] = {}
    diversity: Annotated[Share, Field(description="0: the best only; 1: as unlike each other as can be.")] = 0.0


class RankIn(_Asked):
    """A slate to score."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_ONE_OF_BOTH)

    candidates: Slate


class Document(_Shape):
    """A document in the shape of rerankers: an item by its id, or by its title as text; what else it has is ignored."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "anyOf": [
                {"required": ["id"], "properties": {"id": {"type": "string"}}},
                {"required": ["text"], "properties": {"text": {"type": "string"}}},
            ]
        },
    )

    id: Id | None = None
    text: Title | None = None

    @model_validator(mode="after")
    def _named(self) -> Document:
        if self.id is None and self.text is None:
            message = "give an id or a text"
            raise ValueError(message)
        return self


class RerankIn(_Shape):
    """The request of rerankers in search stacks; the query is a user's id, or a history; other fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    query: Id | Annotated[list[InlineEvent], Field(max_length=MOST_ROWS)]
    documents: Annotated[list[Title | Document], Field(min_length=1, max_length=MOST_CANDIDATES)]
    top_n: Annotated[int, Field(ge=1, le=MOST_CANDIDATES), _STRICT] | None = None
    return_documents: Annotated[bool, Field(strict=True)] = False
    model: Annotated[str | None, Field(max_length=256, description="Taken for compatibility, and ignored.")] = None
    deadline_ms: Deadline | None = None


class ActivateIn(_Shape):
    """A run to answer with. With `split`, it answers that share of users beside the active one."""

    run: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_TEXT)]
    split: Share | None = None
