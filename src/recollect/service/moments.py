"""When an event happened that does not say so: as it came in, and after everything else that its user did.

It decides that a person's events without time keep the order in which they came, since each is at least a second later
than all that were known of that person; that nobody's events move those of another; and that a clock which goes back
stands still. Only people whose newest event is not past yet are remembered; the store is asked for them once.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from recollect.service.records import NewEvent
from recollect.service.tables import EVENTS


class Moments:
    """Tell the times of events; asked by one thread, in the order in which events are numbered."""

    def __init__(self) -> None:
        self._now = 0
        self._newest: dict[str, int] | None = None  # of people whose newest event is not past yet

    def move(self, now: int, connection: Connection) -> None:
        """Set the clock to a moment (unix seconds), unless it is later already."""
        if self._newest is None:
            newest = func.max(EVENTS.c.time).label("newest")
            asked = select(EVENTS.c.user, newest).where(EVENTS.c.time >= now).group_by(EVENTS.c.user)
            self._newest = {row.user: row.newest for row in connection.execute(asked)}
        if now > self._now:
            self._now = now
            self._newest = {user: time for user, time in self._newest.items() if time >= now}

    def of(self, event: NewEvent) -> int:
        """Return the time of an event that is stored now, unix seconds."""
        known = {} if self._newest is None else self._newest
        newest = known.get(event.user, self._now - 1)
        moment = max(self._now, newest + 1) if event.time is None else event.time
        if moment > newest:
            known[event.user] = moment
        return moment

    def forget(self, user: str) -> None:
        """Forget a user who was erased."""
        if self._newest is not None:
            self._newest.pop(user, None)
