"""Items and users that came after the import: kept in the order in which they came.

It decides that an addition is whole or not at all, that the same again is a duplicate, and that other content under a
known id is refused: codes, prompts and caches were made from what was there first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, func, insert, select

from recollect.errors import Conflict, DataError
from recollect.service.fields import check_id, check_text
from recollect.service.records import Added, Item, User
from recollect.service.tables import ITEMS, USERS

_ASKED_AT_ONCE: Final = 1_000

T = TypeVar("T", Item, User)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of a kind are kept: table, content by column, and their name in messages."""

    table: Table
    content: Callable[[Any], dict[str, Any]]
    name: str


def _item_content(item: Item) -> dict[str, Any]:
    return {"title": item.title, "genres": list(item.genres), "attributes": dict(item.attributes)}


def _user_content(user: User) -> dict[str, Any]:
    return {"profile": dict(user.profile)}


_ITEM: Final = _Kind(ITEMS, _item_content, "an item")
_USER: Final = _Kind(USERS, _user_content, "a user")


def checked_items(items: Iterable[Item]) -> tuple[Item, ...]:
    """See that items can be stored.

    Raises
    ------
    DataError
        If one cannot.
    """
    kept = tuple(items)
    for item in kept:
        check_id("an item's id", item.id)
        check_text("an item's title", item.title)
        _check_json("an item", _item_content(item))
    return kept


def checked_users(users: Iterable[User]) -> tuple[User, ...]:
    """See that users can be stored.

    Raises
    ------
    DataError
        If one cannot.
    """
    kept = tuple(users)
    for user in kept:
        check_id("a user's id", user.id)
        _check_json("a user", _user_content(user))
    return kept


def add_items(connection: Connection, batches: Sequence[Sequence[Item]]) -> list[Added | DataError]:
    """Store batches of items within a transaction; for each, what became of it, or the conflict that refuses it."""
    return [_add(connection, batch, kind=_ITEM) for batch in batches]


def add_users(connection: Connection, batches: Sequence[Sequence[User]]) -> list[Added | DataError]:
    """Store batches of users within a transaction; for each, what became of it, or the conflict that refuses it."""
    return [_add(connection, batch, kind=_USER) for batch in batches]


def read_items(connection: Connection) -> list[Item]:
    """Read all items in the order in which they came."""
    rows = connection.execute(select(ITEMS).order_by(ITEMS.c.number))
    return [Item(row.id, row.title, tuple(row.genres), row.attributes, row.added) for row in rows]


def read_users(connection: Connection) -> list[User]:
    """Read all users in the order in which they came."""
    return [User(row.id, row.profile, row.added) for row in connection.execute(select(USERS).order_by(USERS.c.number))]


def _add(connection: Connection, batch: Sequence[T], *, kind: _Kind) -> Added | DataError:
    known = _known(connection, [one.id for one in batch], kind=kind)
    number = connection.execute(select(func.coalesce(func.max(kind.table.c.number), 0))).scalar_one()
    fresh: list[dict[str, Any]] = []
    duplicates: list[str] = []
    for one in batch:
        content = kind.content(one)
        if one.id not in known:
            fresh.append({"number": number + len(fresh) + 1, "id": one.id, "added": one.added, **content})
            known[one.id] = content
        elif known[one.id] == content:
            duplicates.append(one.id)
        else:
            return _conflict(one.id, kind=kind)
    if fresh:
        connection.execute(insert(kind.table), fresh)
    return Added(tuple(row["id"] for row in fresh), tuple(duplicates))


def _known(connection: Connection, ids: Sequence[str], *, kind: _Kind) -> dict[str, Mapping[str, Any]]:
    """Look up the content that is stored under ids."""
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        asked = select(kind.table).where(kind.table.c.id.in_(ids[start : start + _ASKED_AT_ONCE]))
        for row in connection.execute(asked).mappings():
            found[row["id"]] = {name: row[name] for name in row if name not in {"number", "id", "added"}}
    return found


def _conflict(identity: str, *, kind: _Kind) -> Conflict:
    return Conflict(
        f"{kind.name} that is there already, with other content",
        got=repr(identity),
        expected="a new id, or the same content as before",
        do="use another id; nothing of this batch was stored",
    )


def _check_json(name: str, content: dict[str, Any]) -> None:
    """See that content is JSON that comes back as it was.

    Raises
    ------
    DataError
        If it is not.
    """
    try:
        fine = json.loads(json.dumps(content, allow_nan=False)) == content
    except (TypeError, ValueError, RecursionError):
        fine = False
    if not fine:
        raise DataError(
            f"{name} with content that is no JSON",
            got=content,
            expected="text, finite numbers, true, false, null, lists, and objects with names",
            do="write other values as text",
        )
