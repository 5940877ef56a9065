"""The tables of the store, as SQLAlchemy sees them.

It decides that names, not table objects, tie the two sides together: `migrations` makes the tables in plain SQL, step
by step, and a test holds that what they end in is what stands here. JSON is kept as ASCII text, so that no character of
a title can be refused by one database and taken by another.

| table | one row is | grows with |
| --- | --- | --- |
| meta | a fact about the store: version, salt, last sequence number | nothing |
| events | an event, by its sequence number | events |
| items, users | what was added to the catalog and to the users, in order | items, users |
| keys | an API key, by the digest of its secret | keys |
| requests | an answered request that can be explained | up to a bound |
| outcomes | a count by arm and kind | arms |
| erased | an erasure: whose (a keyed digest), when and how much | erasures |
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class JsonText(TypeDecorator[Any]):
    """Keep a JSON value as text that is ASCII only."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - the framework calls it so
        """Write a value as text."""
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - as above
        """Read a value from its text."""
        return None if value is None else json.loads(value)

    @staticmethod
    def can_read(value: str) -> bool:
        """Return whether a text holds a JSON value."""
        try:
            json.loads(value)
        except ValueError:
            return False
        return True


# SQLite numbers its rows only in a column that is declared INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

METADATA = MetaData()

META = Table("meta", METADATA, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

EVENTS = Table(
    "events",
    METADATA,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("liked", Boolean, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
)

ITEMS = Table(
    "items",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("genres", JsonText, nullable=False),
    Column("attributes", JsonText, nullable=False),
    Column("added", BigInteger, nullable=False),
)

USERS = Table(
    "users",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("profile", JsonText, nullable=False),
    Column("added", BigInteger, nullable=False),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
)

REQUESTS = Table(
    "requests",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("user", Text),
    Column("arm", Text, nullable=False),
    Column("ranker", Text, nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("made", BigInteger, nullable=False),
)

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("arm", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

ERASED = Table(
    "erased",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("user_hash", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("profile", Boolean, nullable=False),
)
