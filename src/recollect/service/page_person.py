"""What the page of one person shows, read from the engine and the store; all of it blocks.

It decides that a new person is whoever has an id and no event yet; that an explanation which cannot be had just now
takes nothing else from the page; and that a list before is looked up by the id of its request, and only by whose it is.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recollect.errors import UnknownRequest
from recollect.service.page_buttons import Feedback, event_id
from recollect.service.page_search import TitleSearch
from recollect.service.page_views import Change, Hit, ListView, PastLine, Shown, view_list
from recollect.service.page_words import fit
from recollect.service.past import past_events
from recollect.service.queries import Answer, Explanation, Query
from recollect.service.records import NewEvent
from recollect.service.replies import PastEvent
from recollect.service.state import Service

LIST_LENGTH: Final = 10
"""Items of the list."""

HIT_COUNT: Final = 12
"""Titles that a search shows, at most; half as many stand there before anything was searched for."""

_PAST: Final = 200  # events that are read
_RECENT: Final = 10  # events that stand open


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a link to a person's page says.

    Parameters
    ----------
    user : str
        Id.
    find : str
        Words of a title, or nothing.
    event : str
        Id of the event that was just made, or nothing.
    was : str
        Id of the request whose list was seen before, or nothing.
    milliseconds : float or None
        How long that event took.
    """

    user: str
    find: str = ""
    event: str = ""
    was: str = ""
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class PersonPage:
    """Everything on a person's page; `token` makes its buttons this page's own."""

    user: str
    recent: tuple[PastLine, ...]
    older: tuple[PastLine, ...]
    find: str
    hits: tuple[Hit, ...]
    list: ListView
    token: str


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed, on the page of a token."""

    user: str
    item: str
    liked: bool
    token: str


class People:
    """Read and press for a person.

    Parameters
    ----------
    service : Service
        What is asked.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._titles = TitleSearch(service.dataset.log)
        self._feedback = Feedback.of(service.dataset)

    def answer(self, asked: Asked) -> Answer:
        """Ask for a person's list.

        Raises
        ------
        RecollectError
            As the engine does.
        """
        answer = self._service.engine.recommend(Query(user=asked.user, limit=LIST_LENGTH))
        self._service.metrics.answer(arm=answer.arm, ranker=answer.ranker, fallback=answer.fallback)
        return answer

    def explanation(self, answer: Answer) -> Explanation | None:
        """Explain a list; None if it is not kept.

        Raises
        ------
        RecollectError
            As the engine does.
        """
        try:
            return self._service.engine.explain(answer.request_id)
        except UnknownRequest:
            return None

    def page(self, asked: Asked, answer: Answer, explanation: Explanation | None) -> PersonPage:
        """Read what stands beside a list.

        Raises
        ------
        RecollectError
            As the engine and the store do.
        """
        past = self._past(asked.user)
        lines = tuple(PastLine.of(one.title, liked=one.liked, live=one.id is not None, time=one.time) for one in past)
        return PersonPage(
            user=asked.user,
            recent=lines[:_RECENT],
            older=lines[_RECENT:],
            find=asked.find,
            hits=self._hits(asked.find, past),
            list=view_list(answer, explanation, self._change(asked, past)),
            token=secrets.token_hex(8),
        )

    def hits(self, user: str, find: str) -> tuple[Hit, ...]:
        """Find titles, each with what the person said of it last."""
        return self._hits(find, self._past(user))

    def press(self, press: Press) -> tuple[str, float]:
        """Add the event that a button is; returns its id and how many milliseconds that took.

        Raises
        ------
        UnknownItem
            If the catalog does not hold the item.
        RecollectError
            As the engine does.
        """
        engine = self._service.engine
        engine.catalog.code(press.item)  # the API may bring new items, a button may not
        identity = event_id(press.token, user=press.user, item=press.item, liked=press.liked)
        value = self._feedback.like if press.liked else self._feedback.dislike
        begun = time.perf_counter()
        appended = engine.append([NewEvent(identity, press.user, press.item, value)])
        milliseconds = 1000 * (time.perf_counter() - begun)
        self._service.metrics.events(accepted=len(appended.accepted), duplicates=len(appended.duplicates))
        return identity, milliseconds

    def _past(self, user: str) -> Sequence[PastEvent]:
        known = self._service.engine.has_user(user)
        return past_events(self._service, user, limit=_PAST).events if known else ()

    def _hits(self, find: str, past: Iterable[PastEvent]) -> tuple[Hit, ...]:
        catalog = self._service.engine.catalog
        said = _said_last(past)
        return tuple(
            Hit(
                item=catalog.ids[code],
                title=fit(catalog.titles[code]),
                note=fit(", ".join(catalog.genres[code])),
                said=said.get(catalog.ids[code], ""),
            )
            for code in self._titles.find(find, catalog, limit=HIT_COUNT if find else HIT_COUNT // 2)
        )

    def _change(self, asked: Asked, past: Iterable[PastEvent]) -> Change | None:
        pressed = next((one for one in past if asked.event and one.id == asked.event), None)
        if pressed is None:
            return None
        return Change(pressed.title, pressed.liked, asked.milliseconds, self._before(asked))

    def _before(self, asked: Asked) -> Shown | None:
        """Read the list before from where the engine keeps it; to explain it would cost as much as the new one."""
        found = self._service.store.request(asked.was) if asked.was else None
        if found is None or found.user != asked.user:
            return None
        return Shown({item: title for item, title, *_ in found.payload["items"]}, found.payload["digest"])


def _said_last(past: Iterable[PastEvent]) -> Mapping[str, str]:
    """Map items to what was said of them; the newest event comes first, so it is the last one to count."""
    return {one.item: "like" if one.liked else "dislike" for one in reversed(list(past))}
