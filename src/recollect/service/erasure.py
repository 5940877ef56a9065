"""Erasing a person: events, kept requests and profile, and the proof that it was done.

It decides that what stays says that somebody was erased, when and how much, but not who: a digest of the id, keyed with
a salt of the store. With an id in hand one can ask whether it was erased, so that an imported log, which nobody
rewrites, is not shown again after a restart.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from recollect.service.records import Erased
from recollect.service.tables import ERASED, EVENTS, META, REQUESTS, USERS

_SALT: Final = "salt"
_ASKED_AT_ONCE: Final = 1_000  # for more, all erasures are read


def erase_users(connection: Connection, users: Sequence[tuple[str, int]]) -> list[Erased]:
    """Erase users, each at a moment (unix seconds), within a transaction; says what was erased of each."""
    return [_erase(connection, user, now=now) for user, now in users]


def erased_among(connection: Connection, users: Iterable[str]) -> frozenset[str]:
    """Return which of these users were erased at some time."""
    salt = _salt(connection)
    digests = {_digest(user, salt=salt): user for user in users}
    asked = select(ERASED.c.user_hash)
    if len(digests) <= _ASKED_AT_ONCE:
        asked = asked.where(ERASED.c.user_hash.in_(list(digests)))
    found = connection.execute(asked).scalars()
    return frozenset(digests[digest] for digest in found if digest in digests)


def _erase(connection: Connection, user: str, *, now: int) -> Erased:
    erased = Erased(
        events=connection.execute(delete(EVENTS).where(EVENTS.c.user == user)).rowcount,
        requests=connection.execute(delete(REQUESTS).where(REQUESTS.c.user == user)).rowcount,
        profile=bool(connection.execute(delete(USERS).where(USERS.c.id == user)).rowcount),
    )
    number = connection.execute(select(func.coalesce(func.max(ERASED.c.number), 0))).scalar_one() + 1
    digest = _digest(user, salt=_salt(connection))
    connection.execute(insert(ERASED).values(number=number, user_hash=digest, at=now, **asdict(erased)))
    return erased


def _salt(connection: Connection) -> str:
    return connection.execute(select(META.c.value).where(META.c.key == _SALT)).scalar_one()


def _digest(user: str, *, salt: str) -> str:
    return hmac.new(bytes.fromhex(salt), user.encode(), hashlib.sha256).hexdigest()
