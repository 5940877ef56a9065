"""Filters: which items of the catalog a caller wants, by what is known of them.

It decides the language: a name with a value, a list of values of which one must hold, or a range. Names are `genres`,
`year`, `title` (contains, in any case), `id`, and whatever attributes added items have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, cast

import numpy as np
from jaxtyping import Bool

from recollect.data.catalog import Catalog
from recollect.errors import UsageError

_RANGE: Final = {"min", "max"}


class ItemFilter:
    """Look items up by what they are.

    Parameters
    ----------
    catalog : Catalog
        I items.
    attributes : mapping of str to mapping
        Of added items, by id.
    """

    def __init__(self, catalog: Catalog, attributes: Mapping[str, Mapping[str, Any]]) -> None:
        self.catalog = catalog
        self._attributes = dict(attributes)
        self._names = {name for those in self._attributes.values() for name in those}
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
            return _in_years(self.catalog.years, condition)
        values = [str(value).casefold() for value in _values(name, condition)]
        if name == "genres":
            return self._of_codes([code for value in values for code in self._genres.get(value, ())])
        if name == "id":
            return self._of_codes([self.catalog.find(str(value), -1) for value in _values(name, condition)])
        if name == "title":
            titles = (title.casefold() for title in self.catalog.titles)
            return np.array([any(value in title for value in values) for title in titles], np.bool_)
        return self._with_attribute(name, values)

    def _with_attribute(self, name: str, values: Sequence[str]) -> Bool[np.ndarray, " I"]:
        if name not in self._names:
            raise UsageError(
                "a filter on something that no item has",
                got=name,
                expected=", ".join(["genres", "year", "title", "id", *sorted(self._names)[:20]]),
                do="filter by one of these",
            )
        held = {one: {str(v).casefold() for v in _listed(those.get(name))} for one, those in self._attributes.items()}
        return self._of_codes([self.catalog.find(one, -1) for one, those in held.items() if those & set(values)])

    def _of_codes(self, codes: list[int]) -> Bool[np.ndarray, " I"]:
        fits = np.zeros(len(self.catalog), np.bool_)
        fits[[code for code in codes if code >= 0]] = True
        return fits


def _in_years(years: np.ndarray, condition: Any) -> Bool[np.ndarray, " I"]:
    if isinstance(condition, Mapping):
        bounds = cast(Mapping[str, Any], condition)
        if not bounds or set(bounds) - _RANGE:
            _refuse("year", condition)
        least, most = (_year(bounds.get(end, default)) for end, default in (("min", 1), ("max", 32_767)))
        return (years >= least) & (years <= most)
    return np.isin(years, [_year(value) for value in _values("year", condition)])


def _year(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse("year", value)
    return max(-32_768, min(value, 32_767))


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
        expected='a value, a list of values, or, for a year, {"min": 1990, "max": 1999}',
        do="write it like one of these",
    )
