"""All items and users of the service: those of the imported dataset, those added, and those that only events name.

It decides that codes are given in that order and never change while the service runs; that an item which an event
names before anybody described it works at once, with its id as its text, until it is described; that what was imported
cannot be described otherwise, but may get attributes, and a year if it had none, which filters know and no model reads;
and that of a profile only those attributes count that the import had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.errors import DataError
from recollect.rank.shelf import without
from recollect.service.records import Item, User


class Shelves:
    """Hold the items and users of the service; changed by one thread at a time.

    Parameters
    ----------
    dataset : Dataset
        The import.

    Attributes
    ----------
    catalog : Catalog
        All items.
    users : Users
        All users.
    attributes : mapping
        Attributes that came in, by item; another mapping after each change.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.catalog = dataset.catalog
        self.users = dataset.users
        self.attributes: Mapping[str, Mapping[str, Any]] = {}

    def parted_items(self, items: Sequence[Item]) -> tuple[list[Item], list[str]]:
        """Part items from the ids of those that were imported and of which nothing new is said.

        Raises
        ------
        DataError
            If one was imported with other content.
        """
        imported = self.dataset.catalog
        known = [(imported.find(item.id, -1), item) for item in items]
        said = [item if code < 0 else _beside(imported, code, item) for code, item in known]
        new = [code < 0 or bool(item.attributes) for (code, _), item in zip(known, said, strict=True)]
        same = [item.id for item, is_new in zip(items, new, strict=True) if not is_new]
        return [item for item, is_new in zip(said, new, strict=True) if is_new], same

    def imported_users(self, users: Sequence[User]) -> list[User]:
        """Return those users that were imported, with the profile that they are given.

        Raises
        ------
        DataError
            If one was imported with another profile.
        """
        found: list[User] = []
        for user in users:
            code = self.dataset.users.find(user.id, -1)
            if code < 0 or self.users.ids[code] != user.id:  # erased since
                continue
            known = {name: column[code] for name, column in self.dataset.users.attributes.items()}
            given = {name: value for name, value in user.profile.items() if name in known}
            if any(known[name] != value for name, value in given.items()):
                _refuse("a user", user.id, got=given, expected=str(known))
            found.append(user)
        return found

    def put_items(self, items: Sequence[Item]) -> bool:
        """Take items in, whether new or named by an event before; say whether the catalog changed."""
        attributes = {item.id: item.attributes for item in items if item.attributes}
        if attributes:
            self.attributes = {**self.attributes, **attributes}
        known = [(self.catalog.find(item.id, -1), item) for item in items]
        known = [(code, item) for code, item in known if not 0 <= code < len(self.dataset.catalog)]
        described = {code: item for code, item in known if code >= 0}
        added = list({item.id: item for code, item in known if code < 0}.values())
        if described:
            self.catalog = _described(self.catalog, described)
        if added:
            self.catalog = _joined(self.catalog, added)
        return bool(described or added)

    def name_items(self, ids: Iterable[str]) -> bool:
        """Take in the items that events name and nobody described; say whether there were any."""
        new = dict.fromkeys(one for one in ids if self.catalog.find(one, -1) < 0)
        return bool(new) and self.put_items([Item(one, one) for one in new])

    def hide_users(self, users: Iterable[str]) -> None:
        """Take out names and profiles of users; their codes stay taken."""
        self.users = without(self.users, users)

    def put_users(self, users: Sequence[User]) -> bool:
        """Take users in; say whether any was new."""
        new = [user for user in users if self.users.find(user.id, -1) < 0]
        if new:
            columns = {
                name: (*column, *(user.profile.get(name, "") for user in new))
                for name, column in self.users.attributes.items()
            }
            self.users = Users((*self.users.ids, *(user.id for user in new)), columns)
        return bool(new)


def _beside(imported: Catalog, code: int, item: Item) -> Item:
    """Return an item as it was imported, with the attributes that this one adds.

    Raises
    ------
    DataError
        If it contradicts what was imported.
    """
    title, genres, year = imported.titles[code], imported.genres[code], int(imported.years[code])
    if item.title != title or (item.genres and item.genres != genres):
        _refuse("an item", item.id, got=item.title, expected=title)
    if year and item.attributes.get("year", year) != year:
        _refuse("an item", item.id, got=f"year {item.attributes['year']}", expected=f"year {year}")
    more = {name: value for name, value in item.attributes.items() if name != "year" or not year}
    return replace(item, genres=genres, attributes=more)


def _joined(catalog: Catalog, items: Sequence[Item]) -> Catalog:
    years = np.array([year_of(item.attributes) for item in items], np.int16)
    return Catalog(
        (*catalog.ids, *(item.id for item in items)),
        (*catalog.titles, *(item.title or item.id for item in items)),
        (*catalog.genres, *(tuple(item.genres) for item in items)),
        np.concatenate([catalog.years, years]),
    )


def _described(catalog: Catalog, items: Mapping[int, Item]) -> Catalog:
    titles, genres, years = list(catalog.titles), list(catalog.genres), catalog.years.copy()
    for code, item in items.items():
        titles[code], genres[code], years[code] = item.title or item.id, tuple(item.genres), year_of(item.attributes)
    return Catalog(catalog.ids, tuple(titles), tuple(genres), years)


def year_of(attributes: Mapping[str, Any]) -> int:
    """Return the year among attributes, 0 if unknown."""
    year = attributes.get("year")
    return year if isinstance(year, int) and not isinstance(year, bool) and 0 < year < 10_000 else 0


def _refuse(what: str, identity: str, *, got: object, expected: str) -> NoReturn:
    raise DataError(
        f"{what} that was imported with other content",
        got=f"{identity!r}: {got}",
        expected=expected,
        do="leave it out, or import the data again",
    )
