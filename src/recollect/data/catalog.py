"""The catalog (items and their texts) and the users (and their attributes), by code.

It decides that inside recollect users and items are *codes*, 0, 1, 2 and so on; the ids of the source are text and
live here only. Codes follow the ids: in numeric order if all of them are whole numbers, else in the order of the
alphabet (`in_id_order`). Ids that arrive later take the next codes, so that old codes never change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int16

from recollect.errors import DataError, UnknownItem, UnknownUser

_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}")
_SEARCH_LIMIT = 50_000  # near misses are looked for among this many ids
_LEAST_LETTERS = 3  # of a text that is looked for inside titles
_NAMED = 3  # ids that an advice names


@dataclass(frozen=True, eq=False, slots=True)
class Catalog:
    """Hold I items by code; ``len(catalog)`` is I.

    Parameters
    ----------
    ids : tuple of str
        Ids of the source.
    titles : tuple of str
        Titles as published, with the year where the source writes it; the id where there is none.
    genres : tuple of tuples of str
        Genres or categories, possibly none.
    years : Int16[I]
        Year of each item, 0 if unknown.

    Raises
    ------
    DataError
        If the columns differ in length or an id occurs twice.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    genres: tuple[tuple[str, ...], ...]
    years: Int16[np.ndarray, "I"]
    _codes: dict[str, int] = field(init=False, repr=False, default_factory=dict[str, int])

    def __post_init__(self) -> None:
        _check_lengths("items", {len(self.ids), len(self.titles), len(self.genres), len(self.years)})
        _index(self.ids, self._codes)
        years = self.years.view()
        years.flags.writeable = False
        object.__setattr__(self, "years", years)

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, identity: str, default: int) -> int:
        """Return the code of an item's id, or a default; unlike `code` it looks for no near misses."""
        return self._codes.get(identity, default)

    def code(self, identity: str) -> int:
        """Return the code of an item's id.

        Raises
        ------
        UnknownItem
            If the catalog does not hold it; the message names near misses.
        """
        if identity in self._codes:
            return self._codes[identity]
        raise UnknownItem(
            "an item that the catalog does not hold",
            got=repr(identity),
            expected=f"one of {len(self)} ids",
            do=_advice(self._meant(identity), self.ids),
        )

    def add(self, identity: str, *, title: str = "", genres: tuple[str, ...] = (), year: int = 0) -> Catalog:
        """Return a catalog with one more item; it takes the next code.

        Raises
        ------
        DataError
            If the id is there already.
        """
        return Catalog(
            ids=(*self.ids, identity),
            titles=(*self.titles, title or identity),
            genres=(*self.genres, genres),
            years=np.append(self.years, np.int16(year)),
        )

    def _meant(self, text: str) -> list[str]:
        """Name items that may be meant: those of that title, else of a near id, else with that in their title."""
        asked, titles = text.casefold(), [title.casefold() for title in self.titles]
        same = [code for code, title in enumerate(titles) if title == asked]
        near = same or [self._codes[one] for one in _near(text, self.ids)]
        if not near and len(asked) >= _LEAST_LETTERS:
            near = sorted(
                (code for code, title in enumerate(titles) if asked in title), key=lambda code: len(titles[code])
            )
        return [f"{self.ids[code]} ({self.titles[code]})" for code in near[:_NAMED]]


@dataclass(frozen=True, eq=False, slots=True)
class Users:
    """Hold U users by code; ``len(users)`` is U.

    Parameters
    ----------
    ids : tuple of str
        Ids of the source.
    attributes : dict of str to tuple of str
        Columns such as gender or age, one text per user, empty where unknown.

    Raises
    ------
    DataError
        If the columns differ in length or an id occurs twice.
    """

    ids: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    _codes: dict[str, int] = field(init=False, repr=False, default_factory=dict[str, int])

    def __post_init__(self) -> None:
        _check_lengths("users", {len(self.ids), *map(len, self.attributes.values())})
        _index(self.ids, self._codes)

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, identity: str, default: int) -> int:
        """Return the code of a user's id, or a default; unlike `code` it looks for no near misses."""
        return self._codes.get(identity, default)

    def code(self, identity: str) -> int:
        """Return the code of a user's id.

        Raises
        ------
        UnknownUser
            If there is no such user; the message names near misses.
        """
        if identity in self._codes:
            return self._codes[identity]
        raise UnknownUser(
            "a user that the data do not hold",
            got=repr(identity),
            expected=f"one of {len(self)} ids",
            do=_advice(_near(identity, self.ids), self.ids),
        )

    def add(self, identity: str) -> Users:
        """Return users with one more, who takes the next code and has no attributes.

        Raises
        ------
        DataError
            If the id is there already.
        """
        grown = {name: (*column, "") for name, column in self.attributes.items()}
        return replace(self, ids=(*self.ids, identity), attributes=grown)


def in_id_order(ids: Iterable[str]) -> list[str]:
    """Sort ids: by number if all are whole numbers, else by the alphabet.

    Examples
    --------
    >>> in_id_order(["10", "9"]), in_id_order(["10", "9", "b"])
    (['9', '10'], ['10', '9', 'b'])
    """
    known = list(ids)
    if all(_WHOLE_NUMBER.fullmatch(one) for one in known):
        return sorted(known, key=lambda one: (int(one), one))
    return sorted(known)


def _index(ids: tuple[str, ...], codes: dict[str, int]) -> None:
    codes.update({identity: code for code, identity in enumerate(ids)})
    if len(codes) != len(ids):
        twice = next(identity for code, identity in enumerate(ids) if codes[identity] != code)
        raise DataError("an id that occurs twice", got=repr(twice), expected="each id once", do="drop one of the two")


def _check_lengths(name: str, lengths: set[int]) -> None:
    if len(lengths) > 1:
        raise DataError(
            f"columns of {name} that differ in length", got=sorted(lengths), expected="one length", do="fill the gaps"
        )


def _near(identity: str, ids: tuple[str, ...]) -> list[str]:
    return difflib.get_close_matches(identity, ids[:_SEARCH_LIMIT], n=_NAMED, cutoff=0.7)


def _advice(near: list[str], ids: tuple[str, ...]) -> str:
    if near:
        return f"did you mean {', '.join(near)}?"
    some = f"give one of them, such as {', '.join(ids[:_NAMED])}" if ids else "import data that hold some"
    return f"{some}; the page of `recollect serve` searches people and titles"
