"""What a database says when it cannot, in our words.

It decides that a password never stands in a message, and that whoever reads one learns whether to wait (locked, not
reachable), to make room (full), to change the address or the rights, or to take a backup (damaged).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DataError as RefusedValue
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from recollect.errors import DataError, DiskFull, RecollectError, SystemFailure, UnknownFormat

_LOCKED: Final = ("the store is locked", "nobody else to write for so long", "stop the other process, then retry")
_FULL: Final = ("no space left for the store", "room for the store", "free some space, then retry")
_DAMAGED: Final = (
    "the store is damaged",
    "a whole database",
    "restore a backup with `recollect store restore`; keep the damaged store aside",
)
_RIGHTS: Final = ("the store may not be used", "the right to read and write it", "check owner, rights and password")
_NO_FILE: Final = ("the store cannot be opened", "a file in a folder that may be written", "check path and rights")
_NO_DATABASE: Final = (
    "there is no such database",
    "an existing database",
    "make it with `createdb` or correct the URL",
)
_AWAY: Final = (
    "the database server cannot be reached",
    "a server that takes connections",
    "check the URL and that the server runs, then retry",
)

_Words = tuple[str, str, str]

# What SQLite says: a piece of its message, the error, its words. The first that fits counts.
_SQLITE: Final[tuple[tuple[str, type[RecollectError], _Words], ...]] = (
    ("is locked", SystemFailure, _LOCKED),
    ("is full", DiskFull, _FULL),
    ("malformed", SystemFailure, _DAMAGED),
    ("disk i/o error", SystemFailure, ("the disk failed", "a disk that reads and writes", "look at the disk")),
    ("readonly", SystemFailure, _RIGHTS),
    ("unable to open", SystemFailure, _NO_FILE),
    ("not a database", UnknownFormat, ("that file is no store", "an SQLite file", "give the file of a store")),
)

# What PostgreSQL says: the beginning of its code (SQLSTATE), the error, its words.
_POSTGRESQL: Final[tuple[tuple[str, type[RecollectError], _Words], ...]] = (
    ("55P03", SystemFailure, _LOCKED),
    ("40", SystemFailure, _LOCKED),
    ("53100", DiskFull, _FULL),
    ("53", SystemFailure, ("the database server is overloaded", "room on the server", "retry in a moment")),
    ("XX001", SystemFailure, _DAMAGED),
    ("XX002", SystemFailure, _DAMAGED),
    ("28", SystemFailure, _RIGHTS),
    ("42501", SystemFailure, _RIGHTS),
    ("3D000", SystemFailure, _NO_DATABASE),
    ("08", SystemFailure, _AWAY),
    ("57P", SystemFailure, _AWAY),
)

# Without a connection there is no code; these pieces tell a refusal from a server that is away.
_REFUSALS: Final = (("does not exist", _NO_DATABASE), ("authentication failed", _RIGHTS), ("no password", _RIGHTS))


@contextmanager
def told(url: URL) -> Generator[None]:
    """Turn errors of the database and its driver into ours.

    Parameters
    ----------
    url : URL
        Of the store; its password is not shown.

    Raises
    ------
    DiskFull, SystemFailure
        If the database cannot do what it should.
    UnknownFormat
        If a file is no database.
    DataError
        If the database refuses the values.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:  # the driver is spoken to directly in places
        ours = _translated(error, url)
        raise ours from error


def _translated(error: SQLAlchemyError | sqlite3.Error, url: URL) -> RecollectError:
    shown = url.render_as_string(hide_password=True)
    if isinstance(error, PoolTimeout):
        words = ("the store is busy", "a free connection", "send fewer requests at once, then retry")
        return _said(SystemFailure, words, shown)
    if isinstance(error, sqlite3.Error):
        kind, words = _found(error)
        return _said(kind, words, f"{shown}: {_first_line(error)}")
    if not isinstance(error, DBAPIError):
        return _said(SystemFailure, ("the database failed", "an answer", "retry"), f"{shown}: {_first_line(error)}")
    kind, words = _found(error.orig) if url.get_backend_name() == "sqlite" else _found_by_state(error)
    return _said(kind, words, f"{shown}: {_first_line(error.orig or error)}")


def _found(error: BaseException | None) -> tuple[type[RecollectError], _Words]:
    text = str(error).lower()
    return next(((kind, words) for piece, kind, words in _SQLITE if piece in text), _refused(error))


def _found_by_state(error: DBAPIError) -> tuple[type[RecollectError], _Words]:
    state = getattr(error.orig, "sqlstate", None)
    if state is None and isinstance(error, OperationalError):
        text = str(error.orig)
        return SystemFailure, next((words for piece, words in _REFUSALS if piece in text), _AWAY)
    found = ((kind, words) for start, kind, words in _POSTGRESQL if (state or "").startswith(start))
    return next(found, _refused(error))


def _refused(error: BaseException | None) -> tuple[type[RecollectError], _Words]:
    if isinstance(error, RefusedValue | IntegrityError | sqlite3.IntegrityError | sqlite3.DataError):
        return DataError, ("the database refused a value", "values that fit the store", "correct the value")
    return SystemFailure, ("the database failed", "an answer", "look at its log, then retry")


def _said(kind: type[RecollectError], words: _Words, got: str) -> RecollectError:
    what, expected, do = words
    return kind(what, got=got, expected=expected, do=do)


def _first_line(error: BaseException) -> str:
    # What follows the first line may quote values, and those may be personal.
    return (str(error).splitlines() or [type(error).__name__])[0]
