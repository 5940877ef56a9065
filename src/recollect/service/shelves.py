"""All items and users of the service: those of the imported dataset, those added, and those that only events name.

It decides that codes are given in that order and never change while the service runs; that an item which an event
names before anybody described it works at once, with its id as its text, until it is described; that what was imported
cannot be described otherwise; and that of a profile only those attributes count that the import had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    attributes : dict
        Attributes of added items, by id.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.catalog = dataset.catalog
        self.users = dataset.users
        self.attributes: dict[str, Mapping[str, Any]] = {}

    def imported_items(self, items: Sequence[Item]) -> list[Item]:
        """Return those items that were imported, the same as they are given.

        Raises
        ------
        DataError
            If one was imported with other content.
        """
        found: list[Item] = []
        for item in items:
            code = self.dataset.catalog.find(item.id, -1)
            if code < 0:
                continue
            if item.title != self.catalog.titles[code] or (item.genres and item.genres != self.catalog.genres[code]):
                _refuse("an item", item.id, got=item.title, expected=self.catalog.titles[code])
            found.append(item)
        return found

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
        """Take items in, whether new or named by an event before; say whether anything changed."""
        known = [(self.catalog.find(item.id, -1), item) for item in items]
        described = {code: item for code, item in known if code >= 0}
        added = list({item.id: item for code, item in known if code < 0}.values())
        self.attributes.update({item.id: item.attributes for item in items if item.attributes})
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


def _joined(catalog: Catalog, items: Sequence[Item]) -> Catalog:
    years = np.array([_year(item) for item in items], np.int16)
    return Catalog(
        (*catalog.ids, *(item.id for item in items)),
        (*catalog.titles, *(item.title or item.id for item in items)),
        (*catalog.genres, *(tuple(item.genres) for item in items)),
        np.concatenate([catalog.years, years]),
    )


def _described(catalog: Catalog, items: Mapping[int, Item]) -> Catalog:
    titles, genres, years = list(catalog.titles), list(catalog.genres), catalog.years.copy()
    for code, item in items.items():
        titles[code], genres[code], years[code] = item.title or item.id, tuple(item.genres), _year(item)
    return Catalog(catalog.ids, tuple(titles), tuple(genres), years)


def _year(item: Item) -> int:
    """Return the year of an item, 0 if unknown."""
    year = item.attributes.get("year")
    return year if isinstance(year, int) and not isinstance(year, bool) and 0 < year < 10_000 else 0


def _refuse(what: str, identity: str, *, got: object, expected: str) -> NoReturn:
    raise DataError(
        f"{what} that was imported with other content",
        got=f"{identity!r}: {got}",
        expected=expected,
        do="leave it out, or import the data again",
    )
