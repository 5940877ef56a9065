"""Filters: which items of the catalog a caller wants, by what is known of them.

It decides the language: a name with a value, a list of values of which one must hold, or a range. Names are `genres`,
`year`, `title` (contains, in any case), `id`, and whatever attributes came in. Numbers are equal as numbers, texts in
any case, and a range holds the numbers between its bounds, both included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, cast

import numpy as np
from jaxtyping import Bool, Int16

from recollect.data.catalog import Catalog
from recollect.errors import UsageError
from recollect.service.shelves import year_of

_RANGE: Final = {"min", "max"}
_BUILT_IN: Final = ("genres", "year", "title", "id")


class ItemFilter:
    """Look items up by what they are.

    Parameters
    ----------
    catalog : Catalog
        I items.
    attributes : mapping of str to mapping
        That came in, by item.
    """

    def __init__(self, catalog: Catalog, attributes: Mapping[str, Mapping[str, Any]]) -> None:
        self.catalog = catalog
        self.attributes = attributes
        self._names = {name for those in attributes.values() for name in those}
        self._years = _years(catalog, attributes)
        self._genres: dict[str, list[int]] = {}
        for code, genres in enumerate(catalog.genres):
            for genre in genres:
                self._genres.setdefault(genre.casefold(), []).append(code)

    def mask(self, wanted: Mapping[str, Any]) -> Bool[np.ndarray, " I"] | None:
        """Return which items fit all conditions; None if there is no condition.

        Raises
        ------
        UsageError
            If a name or a condition makes no sense.
        """
        masks = [self._fits(name, condition) for name, condition in wanted.items()]
        return np.logical_and.reduce(masks) if masks else None

    def _fits(self, name: str, condition: Any) -> Bool[np.ndarray, " I"]:
        if name == "year":
            return _in_years(self._years, condition)
        if name not in _BUILT_IN:
            return self._with_attribute(name, condition)
        values = [str(value).casefold() for value in _values(name, condition)]
        if name == "genres":
            return self._of_codes([code for value in values for code in self._genres.get(value, ())])
        if name == "title":
            titles = (title.casefold() for title in self.catalog.titles)
            return np.array([any(value in title for value in values) for title in titles], np.bool_)
        return self._of_codes([self.catalog.find(str(value), -1) for value in _values(name, condition)])

    def _with_attribute(self, name: str, condition: Any) -> Bool[np.ndarray, " I"]:
        if name not in self._names:
            raise UsageError(
                "a filter on something that no item has",
                got=name,
                expected=", ".join([*_BUILT_IN, *sorted(self._names)[:20]]),
                do="filter by one of these",
            )
        held = {one: _listed(those.get(name)) for one, those in self.attributes.items()}
        if isinstance(condition, Mapping):
            least, most = _bounds(name, cast(Mapping[str, Any], condition))
            fits = [one for one, those in held.items() if any(_is_number(v) and least <= v <= most for v in those)]
        else:
            wanted = {_folded(value) for value in _values(name, condition)}
            fits = [one for one, those in held.items() if wanted & {_folded(value) for value in those}]
        return self._of_codes([self.catalog.find(one, -1) for one in fits])

    def _of_codes(self, codes: list[int]) -> Bool[np.ndarray, " I"]:
        fits = np.zeros(len(self.catalog), np.bool_)
        fits[[code for code in codes if code >= 0]] = True
        return fits


def _in_years(years: np.ndarray, condition: Any) -> Bool[np.ndarray, " I"]:
    if isinstance(condition, Mapping):
        least, most = _bounds("year", cast(Mapping[str, Any], condition))
        return (years > 0) & (years >= least) & (years <= most)
    return np.isin(years, [_year(value) for value in _values("year", condition)])


def _year(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse("year", value)
    return max(-32_768, min(value, 32_767))


def _bounds(name: str, condition: Mapping[str, Any]) -> tuple[float, float]:
    """Return the least and the greatest number of a range."""
    if not condition or set(condition) - _RANGE or not all(map(_is_number, condition.values())):
        _refuse(name, condition)
    return float(condition.get("min", -math.inf)), float(condition.get("max", math.inf))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _folded(value: Any) -> str:
    """Write a value so that equal ones are the same text: 90 and 90.0, Red and red."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).casefold()


def _years(catalog: Catalog, attributes: Mapping[str, Mapping[str, Any]]) -> Int16[np.ndarray, " I"]:
    """Return the years of items, those that came in where the catalog has none."""
    came_in = [(catalog.find(one, -1), year_of(those)) for one, those in attributes.items() if "year" in those]
    years = catalog.years.copy()
    for code, year in came_in:
        if code >= 0 and not years[code]:
            years[code] = year
    return years


def _values(name: str, condition: Any) -> list[Any]:
    """Return the values of which one must hold."""
    values = _listed(condition)
    if not values or not all(isinstance(value, str | int | float) for value in values):
        _refuse(name, condition)
    return values


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(cast(Sequence[Any], value)) if isinstance(value, list | tuple) else [value]


def _refuse(name: str, got: Any) -> NoReturn:
    raise UsageError(
        f"a filter on {name} that makes no sense",
        got=got,
        expected='a value, a list of values, or, for numbers, {"min": 1990, "max": 1999}',
        do="write it like one of these",
    )
