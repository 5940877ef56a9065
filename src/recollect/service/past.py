"""A person's events, page by page: those that came in live, the last first, then those of the imported log.

It decides that a page's place is a short text, `live-SEQ` or `log-COUNT`, so that pages stay right while events come
in; that the imported events of somebody who was erased are not there; and that an item which the catalog does not hold,
or not yet, has its id for a title.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int64

from recollect.data.catalog import Catalog
from recollect.errors import UnknownUser, UsageError
from recollect.service.replies import PastEvent
from recollect.service.state import Service

PLACE: Final = "^(live|log)-([0-9]{1,18})$"
"""What a place looks like."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, and the place of the next page, None at the end."""

    events: list[PastEvent]
    next: str | None


def past_events(service: Service, user: str, *, limit: int, after: str | None = None) -> Page:
    """Read a page of a person's events.

    Parameters
    ----------
    service : Service
        Where they are.
    user : str
        Id.
    limit : int
        Most events of a page, 1 or more.
    after : str, optional
        `next` of the page before.

    Raises
    ------
    UsageError
        If the place is none of ours.
    UnknownUser
        If nobody has that id.
    """
    part, number = _parse(after)
    engine = service.engine
    if not engine.has_user(user):
        raise UnknownUser("a user that nobody has seen", got=repr(user), expected="a known id", do="check the id")
    live: list[PastEvent] = []
    if part == "live":
        stored = service.store.history(user, limit=limit, before=number)
        live = [
            PastEvent(
                id=one.id, item=one.item, title=_title(engine.catalog, one.item), value=one.value, liked=one.liked,
                time=one.time,
            )
            for one in stored
        ]  # fmt: skip
        if len(stored) == limit:
            return Page(live, f"live-{stored[-1].seq}")
        number = 0
    done = number or 0
    rows = _rows(service, user)
    chosen = rows[done : done + limit - len(live)]
    end = done + len(chosen)
    return Page(live + _imported(service, chosen), f"log-{end}" if end < len(rows) else None)


def _parse(after: str | None) -> tuple[str, int | None]:
    if after is None:
        return "live", None
    found = re.match(PLACE, after)
    if found is None:
        raise UsageError("no place in a history", got=repr(after), expected="`next` of a page", do="copy it whole")
    return found[1], int(found[2])


def _rows(service: Service, user: str) -> Int64[np.ndarray, " N"]:
    """Return the rows of the imported log that are the user's, newest first."""
    code = service.imported.get(user)
    if code is None or service.store.erased_among([user]):
        return np.zeros(0, np.int64)
    return np.flatnonzero(service.dataset.log.user == code)[::-1]


def _imported(service: Service, rows: Int64[np.ndarray, " N"]) -> list[PastEvent]:
    log, catalog = service.dataset.log, service.dataset.catalog
    return [
        PastEvent(
            id=None,
            item=catalog.ids[log.item[row]],
            title=catalog.titles[log.item[row]],
            value=float(log.value[row]),
            liked=bool(log.label[row]),
            time=int(log.time[row]),
        )
        for row in rows.tolist()
    ]


def _title(catalog: Catalog, item: str) -> str:
    code = catalog.find(item, -1)
    return item if code < 0 else catalog.titles[code]
