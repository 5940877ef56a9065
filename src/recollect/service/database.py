"""A database of either kind: how it is reached, and how a transaction begins.

It decides that an acknowledged commit survives a kill and a loss of power: SQLite runs with a write-ahead log that is
flushed at every commit (`synchronous=FULL`), PostgreSQL with `synchronous_commit` never off. A write transaction takes
the lock of the whole store first (`BEGIN IMMEDIATE`, an advisory lock), so that numbers are given out in order even if
two processes write. What is deleted is overwritten (`secure_delete`).
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from recollect.errors import SourceNotFound, SystemFailure, UsageError
from recollect.service.failures import told

PATIENCE: Final = 10
"""Seconds that a transaction waits for a lock, and a caller for a connection."""

_CONNECTIONS: Final = 8
_MORE_CONNECTIONS: Final = 24
_LOCK: Final = 0x7265636F6C  # any number, the same for all who write to a store
_WRITES: Final = "recollect_writes"
_SNAPSHOT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_SQLITE: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA journal_size_limit=67108864",
)
_POSTGRESQL: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    f"SELECT set_config('lock_timeout', '{PATIENCE}s', false)",
    "SELECT set_config('client_encoding', 'UTF8', false)",
)


class Database:
    """Reach one database; safe from many threads.

    Parameters
    ----------
    url : str
        `sqlite:///file`, the name of a file, or `postgresql://user@host/name`.

    Raises
    ------
    UsageError
        If the URL cannot be read or names a database of another kind.
    """

    def __init__(self, url: str) -> None:
        self.url = read_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    def require(self, *, create: bool) -> None:
        """See that the file of an SQLite store is there, or make it, readable by its owner only.

        Raises
        ------
        SourceNotFound
            If it is not there and shall not be made.
        SystemFailure
            If it cannot be made.
        """
        if not self.is_sqlite or (file := Path(self.url.database or "")).exists():
            return
        if not create:
            raise SourceNotFound("no such store", got=file, expected="the file of a store", do="check the path")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as error:
            raise SystemFailure(
                "the store cannot be made",
                got=error,
                expected="a folder that may be written",
                do="check path and rights",
            ) from error

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Give a connection to read with; errors of the database become ours.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with told(self.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Generator[Connection]:
        """Give a connection that sees the database as it is now, whatever is written meanwhile.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with told(self.url), self.engine.connect() as connection:
            still = connection if self.is_sqlite else connection.execution_options(**_SNAPSHOT)
            with still.begin():
                yield still

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Give a connection in a write transaction that is made durable at the end of the block.

        Raises
        ------
        DiskFull, SystemFailure
            If that fails; then nothing of it is stored.
        """
        with told(self.url), self.engine.connect() as connection:
            writer = connection.execution_options(**{_WRITES: True})
            with writer.begin():
                if not self.is_sqlite:
                    writer.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                yield writer

    def sweep(self) -> None:
        """Drop what SQLite's write-ahead log still holds of deleted rows; while a reader needs it, it stays for now.

        Raises
        ------
        SystemFailure
            If the database fails.
        """
        if self.is_sqlite:
            with self.reading() as connection:
                raw: Any = connection.connection
                raw.execute("PRAGMA busy_timeout=200")  # others cannot write while this waits for readers
                try:
                    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                finally:
                    raw.execute(f"PRAGMA busy_timeout={1000 * PATIENCE}")

    def seal(self) -> None:
        """Put all of an SQLite store into its one file, on the disk, so that the file can be moved; nobody may use it.

        Raises
        ------
        SystemFailure
            If the database fails.
        """
        with self.reading() as connection:
            raw: Any = connection.connection
            raw.execute("PRAGMA journal_mode=DELETE")

    def close(self) -> None:
        """Let all connections go."""
        self.engine.dispose()


def read_url(url: str) -> URL:
    """Read the URL of a store; what is no URL is the name of an SQLite file.

    Raises
    ------
    UsageError
        If it cannot be read, or names no file or a database of another kind.

    Examples
    --------
    >>> str(read_url("events.db")), str(read_url("postgresql://host/live"))
    ('sqlite:///events.db', 'postgresql+psycopg://host/live')
    """
    read = _parsed(url)
    if read is None or _kind(read) is None:
        raise UsageError(
            "no URL of a store",
            got=read.render_as_string(hide_password=True) if read else "a URL that cannot be read",
            expected="sqlite:///FILE, the name of a file, or postgresql://USER@HOST/DATABASE",
            do="correct the URL",
        )
    return read.set(drivername=_kind(read))


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url) if "://" in url else URL.create("sqlite", database=url)
    except (ArgumentError, ValueError):
        return None


def _kind(url: URL) -> str | None:
    """Name dialect and driver of a store's URL; None for what can be none."""
    kind = url.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return "postgresql+psycopg"
    return "sqlite" if kind == "sqlite" and url.database not in {None, "", ":memory:"} and not url.query else None


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": PATIENCE},
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=PATIENCE,
        hide_parameters=True,  # they would stand in tracebacks, ids of people among them
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions by itself, and not in the mode we need
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise SystemFailure(
                "the store's file system allows no write-ahead log",
                got=f"journal mode {mode}",
                expected="a local file system",
                do="put the store on a local disk",
            )
        for pragma in _SQLITE:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": PATIENCE,
            "tcp_user_timeout": 1000 * PATIENCE,  # milliseconds, for a server that went away without a word
            "application_name": "recollect",
        },
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=PATIENCE,
        hide_parameters=True,  # they would stand in tracebacks, ids of people among them
        pool_pre_ping=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        for statement in _POSTGRESQL:
            connection.execute(statement)
        connection.commit()

    return engine
