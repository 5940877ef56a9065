"""Search for the page: titles by their words, people by their id, and people worth a look.

It decides that a title is found if each word asked for begins one of its words, whatever the case and the accents; and
that among those found the best known ones come first, by their events in the imported log. This finds, it does not
recommend: nothing here looks at the person.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np

from recollect.data.catalog import Catalog
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog

_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 10
_ENOUGH: Final = 20  # events of a person worth a look, if there are such people


class TitleSearch:
    """Find items by words of their titles.

    Parameters
    ----------
    log : EventLog
        What makes an item known.
    """

    def __init__(self, log: EventLog) -> None:
        self._events = np.bincount(log.item, minlength=log.item_count)
        self._titles: Sequence[str] = ()
        self._folded: list[str] = []
        self._gate = threading.Lock()

    def find(self, text: str, catalog: Catalog, *, limit: int) -> list[int]:
        """Return codes of items whose titles have all words of a text; the best known ones if it has no word."""
        words = [f" {word}" for word in _WORD.findall(fold(text))[:_MOST_WORDS]]
        titles = self._fold(catalog.titles)
        found = [code for code, title in enumerate(titles) if all(word in title for word in words)]
        return sorted(found, key=lambda code: (-self._known(code), code))[:limit]

    def _fold(self, titles: Sequence[str]) -> Sequence[str]:
        """Return the folded words of each title. Items come and get titles later; the others are not folded again."""
        with self._gate:
            if self._titles is not titles:
                known = dict(zip(self._titles, self._folded, strict=True))
                self._folded = [known.get(title) or _folded_words(title) for title in titles]
                self._titles = titles
            return self._folded

    def _known(self, code: int) -> int:
        return int(self._events[code]) if code < len(self._events) else 0


def _folded_words(title: str) -> str:
    return " " + " ".join(_WORD.findall(fold(title)))


def fold(text: str) -> str:
    """Take case and accents off a text.

    Examples
    --------
    >>> fold("Amélie")
    'amelie'
    """
    apart = unicodedata.normalize("NFKD", text)
    return "".join(one for one in apart if not unicodedata.combining(one)).casefold()


def find_people(text: str, ids: Sequence[str], *, limit: int) -> list[str]:
    """Return ids that begin with a text, then those that contain it, in their order."""
    asked = text.strip().casefold()
    if not asked:
        return []
    begin = [one for one in ids if one.casefold().startswith(asked)]
    if len(begin) >= limit:
        return begin[:limit]
    known = set(begin)
    return [*begin, *(one for one in ids if asked in one.casefold() and one not in known)][:limit]


def lively_people(dataset: Dataset, *, limit: int) -> list[str]:
    """Return people with enough events to have a taste, those whose last event is newest first."""
    log = dataset.log
    count = np.bincount(log.user, minlength=log.user_count)
    last = np.zeros(log.user_count, np.int64)
    last[log.user] = log.time  # in time order, so the last one stays
    busiest = int(np.sort(count)[-limit:].min(initial=_ENOUGH))
    enough = np.flatnonzero(count >= max(1, busiest))
    newest = enough[np.argsort(-last[enough], kind="stable")]
    return [dataset.users.ids[code] for code in newest[:limit].tolist()]
