"""What the first page shows: people of the log who are worth a look, and people found by their id; all of it blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recollect.service.page_search import find_people, lively_people
from recollect.service.page_views import Suggestion
from recollect.service.page_words import fit
from recollect.service.past import past_events
from recollect.service.state import Service

_SUGGESTED: Final = 6
_FOUND: Final = 20
_LOOKED_AT: Final = 12  # events of a person, to say what they like
_TITLES: Final = 3


@dataclass(frozen=True, slots=True)
class StartPage:
    """Everything on the first page."""

    source: str
    events: int
    people: int
    items: int
    find: str
    found: tuple[Suggestion, ...]
    suggested: tuple[Suggestion, ...]


class Start:
    """Read the first page.

    Parameters
    ----------
    service : Service
        What is asked.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lively = lively_people(service.dataset, limit=4 * _SUGGESTED)

    def page(self, find: str) -> StartPage:
        """Read what stands on the first page when a person was looked for, or nobody.

        Raises
        ------
        RecollectError
            As the engine and the store do.
        """
        service, status = self._service, self._service.engine.status()
        found = find_people(find, service.dataset.users.ids, limit=_FOUND)
        return StartPage(
            source=fit(service.dataset.facts.source),
            events=len(service.dataset.log) + status.seq,
            people=status.users,
            items=status.items,
            find=find,
            found=self._described(found),
            suggested=self._described(self._lively)[:_SUGGESTED],
        )

    def _described(self, users: Sequence[str]) -> tuple[Suggestion, ...]:
        erased = self._service.store.erased_among(users)
        return tuple(Suggestion(user, self._note(user)) for user in users if user not in erased)

    def _note(self, user: str) -> str:
        past = past_events(self._service, user, limit=_LOOKED_AT).events
        liked = [fit(one.title) for one in past if one.liked][:_TITLES]
        return "liked " + " · ".join(liked) if liked else f"{len(past)} events"
