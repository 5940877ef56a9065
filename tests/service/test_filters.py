"""Filters: what fits, and what makes no sense."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world

from recollect.errors import UsageError
from recollect.service.filters import ItemFilter

CATALOG = planted_world(users=4, items=6, events=12).catalog  # genres in turn, years from 1970


@pytest.fixture(scope="module")
def items():
    later = {
        "i1": {"colour": "red", "price": 10},
        "i4": {"colour": ["Red", "blue"], "price": 3},
        "i5": {"price": "3.0"},
    }
    return ItemFilter(CATALOG, later)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"genres": "drama"}, [0, 3]),
        ({"genres": ["Drama", "horror"]}, [0, 2, 3, 5]),
        ({"genres": "nothing"}, []),
        ({"year": 1972}, [2]),
        ({"year": [1970, 1975]}, [0, 5]),
        ({"year": {"min": 1974}}, [4, 5]),
        ({"year": {"min": 1971, "max": 1972}}, [1, 2]),
        ({"title": "HORROR of"}, [2, 5]),
        ({"id": ["i3", "i9"]}, [3]),
        ({"colour": "red"}, [1, 4]),
        ({"colour": "blue", "price": 3}, [4]),
        ({"price": 3.0}, [4]),
        ({"price": ["3", 10]}, [1, 4]),
        ({"price": {"min": 3}}, [1, 4]),
        ({"price": {"min": 2.5, "max": 9}}, [4]),
        ({"colour": {"max": 5}}, []),
        ({"genres": "drama", "year": {"max": 1971}}, [0]),
    ],
)
def test_what_fits(items, wanted, fits):
    mask = items.mask(wanted)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == fits


def test_no_condition_is_no_mask(items):
    assert items.mask({}) is None


def test_a_year_that_came_in_counts_where_the_catalog_has_none():
    bare = replace(CATALOG, years=np.where(CATALOG.years == 1972, 0, CATALOG.years).astype(np.int16))
    mask = ItemFilter(bare, {"i2": {"year": 1999}, "i3": {"year": 1999}, "nowhere": {"year": 1999}}).mask(
        {"year": 1999}
    )
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == [2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"color": "red"},
        {"genres": []},
        {"genres": {"min": 1}},
        {"year": "1970"},
        {"year": {"from": 1970}},
        {"year": {}},
        {"price": {}},
        {"price": {"from": 3}},
        {"price": {"min": "3"}},
        {"title": None},
        {"year": True},
    ],
)
def test_what_makes_no_sense_is_refused(items, wrong):
    with pytest.raises(UsageError):
        items.mask(wrong)
