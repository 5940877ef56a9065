"""What was answered: requests that can be explained for a while, and counts of what came of them.

It decides that requests are bounded by number and by age, both measured in the log itself, so that nothing depends on
when somebody looks; and that a request saved again replaces the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from recollect.service.records import Request
from recollect.service.tables import OUTCOMES, REQUESTS

_CUTS: Final = 100  # the log is cut so many times while it fills once

# Made once, not at every use: a good part of the time of a small query goes into building it.
_REPLACED: Final = delete(REQUESTS).where(REQUESTS.c.id.in_(bindparam("ids", expanding=True)))
_NEWEST: Final = select(func.coalesce(func.max(REQUESTS.c.number), 0))
_KEPT: Final = insert(REQUESTS)
_MORE: Final = (
    update(OUTCOMES)
    .where((OUTCOMES.c.arm == bindparam("of")) & (OUTCOMES.c.kind == bindparam("what")))
    .values(count=OUTCOMES.c.count + bindparam("more"))
)
_FIRST: Final = insert(OUTCOMES)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many requests are kept, and for how many seconds."""

    requests: int = 100_000
    seconds: int = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Write requests and cut what is too old or too much.

    Parameters
    ----------
    retention : Retention
        What is kept; up to one part in a hundred more stands there for a while.
    """

    retention: Retention

    def save(self, connection: Connection, requests: Sequence[Request]) -> list[None]:
        """Keep requests, within a transaction."""
        fresh = {request.id: request for request in requests}
        connection.execute(_REPLACED, {"ids": list(fresh)})
        newest = connection.execute(_NEWEST).scalar_one()
        rows = [_row(request, number=number) for number, request in enumerate(fresh.values(), start=newest + 1)]
        connection.execute(_KEPT, rows)
        every = max(1, self.retention.requests // _CUTS)
        if (newest + len(rows)) // every > newest // every:
            self._cut(connection, newest + len(rows), now=max(request.made for request in fresh.values()))
        return [None] * len(requests)

    def _cut(self, connection: Connection, newest: int, *, now: int) -> None:
        too_many = REQUESTS.c.number <= newest - self.retention.requests
        too_old = REQUESTS.c.made < now - self.retention.seconds
        connection.execute(delete(REQUESTS).where(or_(too_many, too_old)))


def _row(request: Request, *, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "id": request.id,
        "user": request.user,
        "arm": request.arm,
        "ranker": request.ranker,
        "payload": dict(request.payload),
        "made": request.made,
    }


def read_request(connection: Connection, identity: str) -> Request | None:
    """Read a request, None if it is not kept."""
    row = connection.execute(select(REQUESTS).where(REQUESTS.c.id == identity)).one_or_none()
    return None if row is None else Request(row.id, row.user, row.arm, row.ranker, row.payload, row.made)


def count_outcomes(connection: Connection, counts: Sequence[tuple[str, str, int]]) -> list[None]:
    """Add to the counts of arms and kinds, within a transaction."""
    sums: Counter[tuple[str, str]] = Counter()
    for arm, kind, count in counts:
        sums[arm, kind] += count
    for (arm, kind), count in sorted(sums.items()):
        if not connection.execute(_MORE, {"of": arm, "what": kind, "more": count}).rowcount:
            connection.execute(_FIRST, {"arm": arm, "kind": kind, "count": count})
    return [None] * len(counts)


def read_outcomes(connection: Connection) -> dict[tuple[str, str], int]:
    """Read the counts by arm and kind."""
    rows = connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.arm, OUTCOMES.c.kind))
    return {(arm, kind): count for arm, kind, count in rows}
