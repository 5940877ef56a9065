"""The store of the live service: everything that came in since the import, in one database.

It decides that the store is the truth and memory is a copy: a write returns when it is durable, and all writes go
through one thread (`writer`), whichever thread they come from, so that they share commits. Reads run beside it. Only
two writes are lazy, since nobody is told that they happened: requests kept for explaining, and counts of outcomes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, select

from recollect.errors import SystemFailure
from recollect.service import additions, answers, appending, erasure
from recollect.service.answers import RequestLog, Retention
from recollect.service.appending import EVENT_COLUMNS, Batch
from recollect.service.database import Database
from recollect.service.fields import check_id
from recollect.service.logs import write
from recollect.service.migrations import migrate
from recollect.service.moments import Moments
from recollect.service.records import Added, Appended, Erased, Item, NewEvent, Request, StoredEvent, User
from recollect.service.tables import EVENTS
from recollect.service.writer import Writer

__all__ = ["Added", "Appended", "Erased", "Item", "NewEvent", "Request", "Retention", "Store", "StoredEvent", "User"]

R = TypeVar("R")

_PAGE: Final = 10_000
_NEVER: Final = 2**62  # no sequence number is so high

# Made once, not at every use: a good part of the time of a small query goes into building it.
_EVENTS: Final = select(*EVENT_COLUMNS).limit(bindparam("most"))
_AFTER: Final = _EVENTS.where(EVENTS.c.seq > bindparam("number")).order_by(EVENTS.c.seq)
_BEFORE: Final = _EVENTS.where(EVENTS.c.user == bindparam("whose"), EVENTS.c.seq < bindparam("number")).order_by(
    EVENTS.c.seq.desc()
)


class Store:
    """Hold what came in since the import; safe from many threads. Made by `Store.open`.

    Parameters
    ----------
    database : Database
        Where it is kept, of this version.
    retention : Retention
        How many requests are kept for explaining, and how long.
    """

    def __init__(self, database: Database, *, retention: Retention) -> None:
        self.database = database
        self._writer = Writer(database)
        self._moments = Moments()
        self._append = partial(appending.append, moments=self._moments)
        self._requests = RequestLog(retention)
        self._pending: dict[str, Request] = {}

    @classmethod
    def open(cls, url: str, *, create: bool = True, retention: Retention | None = None) -> Store:
        """Open a store and bring it to this version.

        Parameters
        ----------
        url : str
            `sqlite:///file`, the name of a file, or `postgresql://user@host/database`.
        create : bool
            Whether a new one is made where there is none.
        retention : Retention, optional
            How many requests are kept for explaining, and how long.

        Raises
        ------
        UsageError
            If the URL cannot be read, or something else stands in that place.
        SourceNotFound
            If there is no store and none shall be made.
        DatasetVersion
            If a newer version of recollect wrote it.
        SystemFailure
            If the database cannot be reached or used.
        """
        database = Database(url)
        try:
            database.require(create=create)
            migrate(database, create=create)
        except BaseException:
            database.close()
            raise
        return cls(database, retention=retention or Retention())

    def append(self, events: Sequence[NewEvent], *, liked: Callable[[float], bool], now: int) -> Appended:
        """Store events, all of them or none, and return when they are durable.

        Parameters
        ----------
        events : sequence of NewEvent
            What came in. An event that is stored already, by its id, is left as it is.
        liked : callable
            The label rule: of a value, whether it is a like.
        now : int
            Unix seconds; the time of events that bring none, or right after what their users did last.

        Returns
        -------
        Appended
            The new ones with their sequence numbers, and the ids of the others.

        Raises
        ------
        DataError
            If an event cannot be stored, or its id belongs to an event with other content.
        SystemFailure
            If the database cannot store them.
        """
        batch = Batch.of(events, liked=liked, now=now)
        return self._writer.write(self._append, batch, weight=len(batch.events), overtakes=True)

    def events_after(self, seq: int, *, limit: int = _PAGE) -> list[StoredEvent]:
        """Return the events behind a sequence number (0: from the first), in order, at most `limit`.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with self.reading() as connection:
            return [StoredEvent(*row) for row in connection.execute(_AFTER, {"number": seq, "most": limit})]

    def last_seq(self) -> int:
        """Return the sequence number that was given out last, 0 if none was.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with self.reading() as connection:
            return appending.last_seq(connection)

    def history(self, user: str, *, limit: int = 100, before: int | None = None) -> list[StoredEvent]:
        """Return a user's events, the last that arrived first.

        Parameters
        ----------
        user : str
            Id; of one that nobody knows there are no events.
        limit : int
            How many at most.
        before : int, optional
            Only events with a lower sequence number: the next page.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        asked = {"whose": user, "number": _NEVER if before is None else before, "most": limit}
        with self.reading() as connection:
            return [StoredEvent(*row) for row in connection.execute(_BEFORE, asked)]

    def add_items(self, items: Sequence[Item]) -> Added:
        """Store items, all of them or none, and return when they are durable.

        Raises
        ------
        DataError
            If one cannot be stored, or is there with other content.
        SystemFailure
            If the database cannot store them.
        """
        return self._writer.write(additions.add_items, additions.checked_items(items), weight=len(items))

    def items(self) -> list[Item]:
        """Return all items in the order in which they came.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with self.reading() as connection:
            return additions.read_items(connection)

    def add_users(self, users: Sequence[User]) -> Added:
        """Store users, all of them or none, and return when they are durable.

        Raises
        ------
        DataError
            If one cannot be stored, or is there with other content.
        SystemFailure
            If the database cannot store them.
        """
        return self._writer.write(additions.add_users, additions.checked_users(users), weight=len(users))

    def users(self) -> list[User]:
        """Return all users in the order in which they came.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with self.reading() as connection:
            return additions.read_users(connection)

    def erase_user(self, user: str, *, now: int) -> Erased:
        """Erase a user's events, kept requests and profile; a user that nobody knows is erased of nothing.

        The write-ahead log is swept then; where that cannot be done just now, it is done with the next erasure.

        Raises
        ------
        SystemFailure
            If the database cannot do it; then nothing is erased.
        """
        check_id("a user's id", user)
        erased = self._writer.write(erasure.erase_users, (user, now))
        self._moments.forget(user)
        try:
            self.database.sweep()
        except SystemFailure as error:
            write("what was erased stays in the write-ahead log for now", level=logging.WARNING, error=error)
        return erased

    def erased_among(self, users: Iterable[str]) -> frozenset[str]:
        """Return which of these users were erased at some time: an imported log may still hold them.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with self.reading() as connection:
            return erasure.erased_among(connection, users)

    def save_request(self, request: Request) -> None:
        """Keep a request for explaining. Returns at once; it can be read at once, and is durable soon.

        Raises
        ------
        SystemFailure
            If the store is closed.
        """
        self._pending[request.id] = request

        def forget(_: Future[None]) -> None:
            self._pending.pop(request.id, None)

        self._writer.write_lazily(self._requests.save, request).add_done_callback(forget)

    def request(self, identity: str) -> Request | None:
        """Return a kept request, None if there is none, or no longer.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        if found := self._pending.get(identity):
            return found
        with self.reading() as connection:
            return answers.read_request(connection, identity)

    def count_outcome(self, arm: str, kind: str, *, count: int = 1) -> None:
        """Count what came of an arm's answers. Returns at once; it is durable soon.

        Raises
        ------
        SystemFailure
            If the store is closed.
        """
        self._writer.write_lazily(answers.count_outcomes, (arm, kind, count))

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Return the counts by arm and kind; those of the last moment may not be among them yet.

        Raises
        ------
        SystemFailure
            If the database cannot be read.
        """
        with self.reading() as connection:
            return answers.read_outcomes(connection)

    def reading(self) -> AbstractContextManager[Connection]:
        """Give a connection to read with, for what is kept here by others, such as keys."""
        return self.database.reading()

    def flush(self) -> None:
        """Return when everything that was written before is durable, lazy writes too.

        Raises
        ------
        SystemFailure
            If the database fails.
        """
        self.write(_nothing)

    def write(self, work: Callable[[Connection], R]) -> R:
        """Do other work in a write transaction, and return when it is durable.

        Parameters
        ----------
        work : callable
            What is done; it may be done again, alone, if others of its group fail.

        Raises
        ------
        RecollectError
            As the work raises, or if the database fails; then nothing of it is done.
        """
        return self._writer.write(_do, work)

    def close(self) -> None:
        """Write what is pending, and let the database go. Closing again does nothing."""
        self._writer.close()
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _do(connection: Connection, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
    return [work(connection) for work in works]


def _nothing(_: Connection) -> None:
    pass
