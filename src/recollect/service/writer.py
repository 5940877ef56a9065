"""One thread that writes, so that writes which come in at the same time share a commit.

It decides that nobody hears of a write before it is durable; that writes happen in the order in which they came in,
those of a kind that follow each other as one; that a group which cannot be stored together is stored one by one, so
that the fault of one is not the fault of all; and that lazy writes (nobody waits for them) linger a little for company,
let what has nothing to do with them go ahead, and are dropped rather than let the queue grow without bound.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from recollect.errors import RecollectError, SystemFailure
from recollect.service.database import Database

P = TypeVar("P")
R = TypeVar("R")

Work = Callable[[Connection, Sequence[P]], Sequence[R | RecollectError]]
"""Write several payloads in a transaction; give for each its result, or the error that refuses it alone."""

_GROUP: Final = 20_000  # of weight: events, above all
_AGAIN: Final = 0.1  # seconds until a full queue is tried again


@dataclass(slots=True)
class _Job:
    """A write that waits for its turn."""

    work: Work[Any, Any]
    payload: Any
    weight: int
    lazy: bool
    overtakes: bool = False
    done: Future[Any] = field(default_factory=Future[Any])


class Writer:
    """Write to a database from one thread.

    Parameters
    ----------
    database : Database
        Where to.
    room : int
        How many writes may wait.
    linger : float
        Seconds that lazy writes wait for company.
    """

    def __init__(self, database: Database, *, room: int = 20_000, linger: float = 0.1) -> None:
        self._database = database
        self._queue: queue.Queue[_Job | None] = queue.Queue(room)
        self._linger = linger
        self._lingering: list[_Job] = []
        self._due = 0.0  # when the first of them is to be written
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="recollect-store", daemon=True)
        self._thread.start()

    def write(self, work: Work[P, R], payload: P, *, weight: int = 1, overtakes: bool = False) -> R:
        """Write, and return when it is durable.

        Parameters
        ----------
        work : callable
            How it is written, with others of its kind.
        payload : object
            What is written.
        weight : int
            How much that is, in rows.
        overtakes : bool
            Whether it may be written before lazy writes that came in earlier.

        Raises
        ------
        RecollectError
            If it is refused or cannot be stored; then nothing of it is.
        """
        job = _Job(work, payload, weight, lazy=False, overtakes=overtakes)
        self._put(job, block=True)
        return job.done.result()

    def write_lazily(self, work: Work[P, R], payload: P) -> Future[R]:
        """Have it written a little later, and return at once; cancelled if there is no room.

        Raises
        ------
        SystemFailure
            If the store is closed.
        """
        job = _Job(work, payload, 1, lazy=True)
        try:
            self._put(job, block=False)
        except queue.Full:
            job.done.cancel()
        return job.done

    def close(self) -> None:
        """Write what waits, and stop. Closing again does nothing."""
        with self._gate:
            was_open, self._open = self._open, False
            if was_open:
                self._queue.put(None)
        self._thread.join()

    def _put(self, job: _Job, *, block: bool) -> None:
        """Queue a job, unless the store is closed: nothing may be put behind the end.

        Raises
        ------
        SystemFailure
            If it is.
        queue.Full
            If there is no room and the caller does not wait.
        """
        while True:
            with self._gate:
                if not self._open:
                    raise SystemFailure(
                        "the store is closed", got="a write", expected="an open store", do="open it again"
                    )
                try:
                    self._queue.put_nowait(job)
                except queue.Full:
                    if not block:
                        raise
                else:
                    return
            time.sleep(_AGAIN)  # the gate stays open for others, such as the one who closes

    def _run(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            if group:
                self._store(group)

    def _next_group(self) -> tuple[list[_Job], bool]:
        """Take what is to be written now; says whether more may come."""
        taken, more = self._take()
        if not more or self._is_due(taken):
            return _lazy_ones_together(taken), more
        self._lingering = [job for job in taken if job.lazy]
        return [job for job in taken if not job.lazy], True

    def _take(self) -> tuple[list[_Job], bool]:
        """Take what waits in the order in which it came in, at least one job; says whether more may come."""
        taken, self._lingering = self._lingering, []
        weight, has_lazy = len(taken), bool(taken)
        while weight < _GROUP:
            try:
                job = self._queue.get(timeout=self._wait(taken))
            except queue.Empty:
                break
            if job is None:
                return taken, False
            if job.lazy and not has_lazy:
                self._due, has_lazy = time.monotonic() + self._linger, True
            taken.append(job)
            weight += job.weight
        return taken, True

    def _is_due(self, taken: list[_Job]) -> bool:
        """Tell whether lazy writes have lingered long enough, are too many, or stand before what must not overtake."""
        crowded = sum(job.weight for job in taken) >= _GROUP
        return crowded or time.monotonic() >= self._due or not all(job.lazy or job.overtakes for job in taken)

    def _wait(self, taken: list[_Job]) -> float | None:
        """Return how many seconds the thread may wait for one more job."""
        if not taken:
            return None
        return max(self._due - time.monotonic(), 0.0) if all(job.lazy for job in taken) else 0.0

    def _store(self, group: list[_Job]) -> None:
        """Write a group in one transaction, or one by one where that fails for a reason that is not the database's."""
        try:
            with self._database.writing() as connection:
                results = _perform(connection, group)
        except Exception as error:  # noqa: BLE001 - handed to those who wait: it is raised there
            if len(group) > 1 and not isinstance(error, SystemFailure):
                for job in group:
                    self._store([job])
            else:
                _answer(group, [error] * len(group))
        else:
            _answer(group, results)


def _lazy_ones_together(taken: Sequence[_Job]) -> list[_Job]:
    """Put lazy writes of a kind behind each other, where no other write parts them."""
    kinds: dict[Work[Any, Any], int] = {}
    together: list[_Job] = []
    for lazy, jobs in groupby(taken, key=lambda job: job.lazy):
        run = list(jobs)
        together += sorted(run, key=lambda job: kinds.setdefault(job.work, len(kinds))) if lazy else run
    return together


def _perform(connection: Connection, group: list[_Job]) -> list[Any]:
    """Do the work of each run of jobs of a kind at once; one result for each job, in order."""
    results: list[Any] = []
    for work, jobs in groupby(group, key=lambda job: job.work):
        payloads = [job.payload for job in jobs]
        results.extend(result for _, result in zip(payloads, work(connection, payloads), strict=True))
    return results


def _answer(group: list[_Job], results: Sequence[Any]) -> None:
    for job, result in zip(group, results, strict=True):
        if isinstance(result, Exception):
            job.done.set_exception(result)
        else:
            job.done.set_result(result)
