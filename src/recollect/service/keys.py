"""API keys: who may call, and what for.

It decides that a key is shown once and never kept: the store holds its SHA-256, which is enough for 32 random bytes:
there is nothing to guess, so nothing to stretch. A revoked key stays in the list, so that it is known what it was.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from recollect.errors import DataError, UsageError
from recollect.service.fields import check_id
from recollect.service.store import Store
from recollect.service.tables import KEYS

SCOPES: Final = ("read", "write", "admin")
"""What a key may be for: asking; sending events, items and users; erasing, keys and models."""

PREFIX: Final = "rc_"
"""What every key begins with, so that one that lies around is recognised."""

_BYTES: Final = 32
_COLUMNS: Final = (KEYS.c.id, KEYS.c.scopes, KEYS.c.name, KEYS.c.created, KEYS.c.revoked)
_LONGEST: Final = 128  # characters that are looked at; ours have 46


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the store knows it, without its secret.

    Parameters
    ----------
    id : str
        Short name of the key, for lists and logs.
    scopes : frozenset of str
        What it is for, of `SCOPES`.
    name : str
        What people call it.
    created : int
        Unix seconds.
    revoked : int or None
        Unix seconds since when it is not valid; None if it is.
    """

    id: str
    scopes: frozenset[str]
    name: str
    created: int
    revoked: int | None

    def allows(self, scope: str) -> bool:
        """Return whether the key may be used for something; what may do all may do each."""
        return self.revoked is None and (scope in self.scopes or "admin" in self.scopes)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, and its secret: the only time that it is seen."""

    key: Key
    secret: str


def add(store: Store, name: str, *, scopes: Iterable[str], now: int) -> NewKey:
    """Make a key.

    Parameters
    ----------
    store : Store
        Where it is kept.
    name : str
        What people call it.
    scopes : iterable of str
        What it is for, of `SCOPES`.
    now : int
        Unix seconds.

    Raises
    ------
    UsageError
        If a scope is unknown or there is none.
    DataError
        If the name cannot be stored.
    SystemFailure
        If the store fails.
    """
    wanted = frozenset(scopes)
    if not wanted or wanted - set(SCOPES):
        raise UsageError(
            "a key for nothing we know",
            got=", ".join(sorted(wanted)) or "no scope",
            expected=f"some of {', '.join(SCOPES)}",
            do="name the scopes that it needs, no more",
        )
    check_id("a key's name", name)
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    key = Key(secrets.token_hex(4), wanted, name, now, None)

    def insert_key(connection: Connection) -> None:
        listed = ",".join(scope for scope in SCOPES if scope in wanted)
        row = {"id": key.id, "hash": _digest(secret), "scopes": listed, "name": name, "created": now, "revoked": None}
        connection.execute(insert(KEYS).values(row))

    store.write(insert_key)
    return NewKey(key, secret)


def list_keys(store: Store) -> list[Key]:
    """Return all keys, the oldest first, revoked ones too.

    Raises
    ------
    SystemFailure
        If the store cannot be read.
    """
    with store.reading() as connection:
        rows = connection.execute(select(*_COLUMNS).order_by(KEYS.c.created, KEYS.c.id))
        return [_key(row) for row in rows]


def revoke(store: Store, identity: str, *, now: int) -> Key:
    """Take a key's validity, from now on; once revoked it stays so since then.

    Parameters
    ----------
    store : Store
        Where it is kept.
    identity : str
        Its id, as the list shows it.
    now : int
        Unix seconds.

    Raises
    ------
    DataError
        If there is no such key.
    SystemFailure
        If the store fails.
    """

    def mark(connection: Connection) -> Key | None:
        valid = (KEYS.c.id == identity) & KEYS.c.revoked.is_(None)
        connection.execute(update(KEYS).where(valid).values(revoked=now))
        row = connection.execute(select(*_COLUMNS).where(KEYS.c.id == identity)).one_or_none()
        return None if row is None else _key(row)

    if found := store.write(mark):
        return found
    raise DataError(
        "no such key", got=repr(identity), expected="the id of a key", do="see the ids with `recollect keys list`"
    )


def check(store: Store, secret: str) -> Key | None:
    """Return the valid key with this secret, None if there is none.

    Raises
    ------
    SystemFailure
        If the store cannot be read.
    """
    if not secret.startswith(PREFIX) or len(secret) > _LONGEST or not secret.isascii():
        return None
    digest = _digest(secret)
    with store.reading() as connection:
        row = connection.execute(select(*_COLUMNS, KEYS.c.hash).where(KEYS.c.hash == digest)).one_or_none()
    # The database compares digests, not secrets, so how long that takes tells nothing of a secret.
    if row is None or not hmac.compare_digest(row.hash, digest):
        return None
    found = _key(row)
    return found if found.revoked is None else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Sequence[Any]) -> Key:
    identity, scopes, *rest = row[: len(_COLUMNS)]
    return Key(identity, frozenset(scopes.split(",")), *rest)
