"""How a store becomes one of this version: numbered steps, each in a transaction of its own.

It decides that a step, once released, never changes: it is plain SQL, so that a later change of `tables` cannot reach
back into it. A store that a newer version wrote is refused, never read by half.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, inspect, text

from recollect.errors import DatasetVersion, SourceNotFound, UsageError
from recollect.service.database import Database
from recollect.service.tables import METADATA


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: what it does in a few words, its SQL (`{int}`: a row number), and what SQL alone cannot do."""

    summary: str
    statements: tuple[str, ...]
    then: Callable[[Connection], None] | None = None


def _first_facts(connection: Connection) -> None:
    facts = [{"key": "salt", "value": secrets.token_hex(16)}, {"key": "last_seq", "value": "0"}]
    connection.execute(text("INSERT INTO meta (key, value) VALUES (:key, :value)"), facts)


MIGRATIONS: Final = (
    Migration(
        "events, items, users, keys, requests, outcomes and erasures",
        (
            """CREATE TABLE events (
                seq {int} PRIMARY KEY, id TEXT NOT NULL UNIQUE, "user" TEXT NOT NULL, item TEXT NOT NULL,
                value DOUBLE PRECISION NOT NULL, liked BOOLEAN NOT NULL, time BIGINT NOT NULL, received BIGINT NOT NULL
            )""",
            'CREATE INDEX events_by_user ON events ("user", seq)',
            """CREATE TABLE items (
                number {int} PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, genres TEXT NOT NULL,
                attributes TEXT NOT NULL, added BIGINT NOT NULL
            )""",
            """CREATE TABLE users (
                number {int} PRIMARY KEY, id TEXT NOT NULL UNIQUE, profile TEXT NOT NULL, added BIGINT NOT NULL
            )""",
            """CREATE TABLE keys (
                id TEXT NOT NULL PRIMARY KEY, hash TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL, name TEXT NOT NULL,
                created BIGINT NOT NULL, revoked BIGINT
            )""",
            """CREATE TABLE requests (
                number {int} PRIMARY KEY, id TEXT NOT NULL UNIQUE, "user" TEXT, arm TEXT NOT NULL,
                ranker TEXT NOT NULL, payload TEXT NOT NULL, made BIGINT NOT NULL
            )""",
            'CREATE INDEX requests_by_user ON requests ("user")',
            "CREATE INDEX requests_by_moment ON requests (made)",
            """CREATE TABLE outcomes (
                arm TEXT NOT NULL, kind TEXT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (arm, kind)
            )""",
            """CREATE TABLE erased (
                number {int} PRIMARY KEY, user_hash TEXT NOT NULL, at BIGINT NOT NULL, events BIGINT NOT NULL,
                requests BIGINT NOT NULL, profile BOOLEAN NOT NULL
            )""",
            "CREATE INDEX erased_by_user ON erased (user_hash)",
        ),
        _first_facts,
    ),
)
"""All steps in order; step n leads to version n."""

VERSION: Final = len(MIGRATIONS)
"""The version that this program reads and writes."""


def version_of(connection: Connection) -> int:
    """Return the version of a store, 0 if there is none yet.

    Raises
    ------
    UsageError
        If tables of something else stand in its place.
    DatasetVersion
        If a newer version wrote it.
    """
    names = set(inspect(connection).get_table_names())
    if "meta" not in names:
        _refuse_strangers(names)
        return 0
    is_ours = {"key", "value"} <= {column["name"] for column in inspect(connection).get_columns("meta")}
    found = connection.execute(text("SELECT value FROM meta WHERE key = 'version'")) if is_ours else None
    value = found.scalar() if found else None
    if value is None:
        _refuse_strangers(names)
    version = int(value or 0)
    if version > VERSION:
        raise DatasetVersion(
            "a store that a newer version of recollect wrote",
            got=f"version {version}",
            expected=f"version {VERSION} or older",
            do="upgrade recollect, or restore a backup that this version wrote",
        )
    return version


def migrate(database: Database, *, create: bool) -> int:
    """Bring a store to this version; returns how many steps that took.

    Raises
    ------
    SourceNotFound
        If there is no store and none shall be made.
    DatasetVersion
        If a newer version wrote it.
    UsageError
        If tables of something else stand in its place.
    """
    with database.reading() as connection:
        version = version_of(connection)
    if not version and not create:
        raise SourceNotFound(
            "no store there",
            got=database.name,
            expected="a store",
            do="check the URL; `recollect serve` makes a new one",
        )
    steps = 0
    while version < VERSION:
        with database.writing() as connection:
            version = version_of(connection)  # another process may have been faster
            if version < VERSION:
                _apply(connection, MIGRATIONS[version], number=version + 1)
                steps, version = steps + 1, version + 1
    return steps


def _apply(connection: Connection, step: Migration, *, number: int) -> None:
    """Take one step, and write down that it was taken."""
    row_number = "INTEGER" if connection.dialect.name == "sqlite" else "BIGINT"
    if number == 1:
        connection.execute(text("CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"))
        connection.execute(text("INSERT INTO meta (key, value) VALUES ('version', '0')"))
    for statement in step.statements:
        connection.execute(text(statement.replace("{int}", row_number)))
    if step.then is not None:
        step.then(connection)
    connection.execute(text("UPDATE meta SET value = :number WHERE key = 'version'"), {"number": str(number)})


def _refuse_strangers(names: set[str]) -> None:
    """See that nobody else's tables have our names.

    Raises
    ------
    UsageError
        If some do.
    """
    if taken := sorted(names & set(METADATA.tables)):
        raise UsageError(
            "the place is taken by tables of something else",
            got=", ".join(taken),
            expected="an empty database, or a store",
            do="give the store a database or a file of its own",
        )
