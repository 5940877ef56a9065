"""Filters: what fits, and what makes no sense."""

import numpy as np
import pytest
from worlds import planted_world

from recollect.errors import UsageError
from recollect.service.filters import ItemFilter

CATALOG = planted_world(users=4, items=6, events=12).catalog  # genres in turn, years from 1970


@pytest.fixture(scope="module")
def items():
    return ItemFilter(CATALOG, {"i1": {"colour": "red"}, "i4": {"colour": ["Red", "blue"], "price": 3}})


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
        ({"genres": "drama", "year": {"max": 1971}}, [0]),
    ],
)
def test_what_fits(items, wanted, fits):
    mask = items.mask(wanted)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == fits


def test_no_condition_is_no_mask(items):
    assert items.mask({}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"color": "red"},
        {"genres": []},
        {"genres": {"min": 1}},
        {"year": "1970"},
        {"year": {"from": 1970}},
        {"year": {}},
        {"title": None},
        {"year": True},
    ],
)
def test_what_makes_no_sense_is_refused(items, wrong):
    with pytest.raises(UsageError):
        items.mask(wrong)
