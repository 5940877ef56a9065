"""Ids become codes and back; unknown ones are told with near misses."""

import re

import numpy as np
import pytest

from recollect.data import Catalog, Users
from recollect.data.catalog import in_id_order
from recollect.errors import DataError, UnknownItem, UnknownUser


@pytest.fixture
def films() -> Catalog:
    return Catalog(
        ids=("0133093", "0110912"),
        titles=("The Matrix (1999)", "Pulp Fiction (1994)"),
        genres=(("Action",), ()),
        years=np.array([1999, 1994], np.int16),
    )


def test_codes(films):
    assert [films.code(one) for one in films.ids] == [0, 1]


@pytest.mark.parametrize("asked", ["133093", "the matrix (1999)"])
def test_unknown_item_with_near_misses(films, asked):
    with pytest.raises(UnknownItem, match="did you mean 0133093"):
        films.code(asked)


def test_unknown_item_with_its_words_in_a_title(films):
    with pytest.raises(UnknownItem, match=re.escape("did you mean 0110912 (Pulp Fiction (1994))?")):
        films.code("fiction")


@pytest.mark.parametrize("asked", ["zzz", "ix", ""])
def test_unknown_item_without(films, asked):
    with pytest.raises(UnknownItem, match="give one of them, such as 0133093, 0110912; the page of `recollect serve`"):
        films.code(asked)


def test_unknown_user_where_there_are_none():
    with pytest.raises(UnknownUser, match="import data that hold some"):
        Users(()).code("zzz")


def test_unknown_user():
    with pytest.raises(UnknownUser, match="did you mean anna"):
        Users(("anna", "bert")).code("ana")


def test_new_ones_take_the_next_code(films):
    grown = films.add("7", title="Se7en (1995)", genres=("Crime",), year=1995).add("8")
    assert (grown.code("7"), grown.titles[2:], grown.years.tolist()) == (
        2,
        ("Se7en (1995)", "8"),
        [1999, 1994, 1995, 0],
    )
    people = Users(("anna",), {"age": ("30",)}).add("bert")
    assert (people.code("bert"), people.attributes) == (1, {"age": ("30", "")})
    with pytest.raises(DataError, match="twice"):
        people.add("anna")


def test_columns_of_other_lengths():
    with pytest.raises(DataError, match="length"):
        Users(("a", "b"), {"age": ("30",)})


@pytest.mark.parametrize(
    ("ids", "order"),
    [
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["7", "007", "8"], ["007", "7", "8"]),
        (["b", "10", "9"], ["10", "9", "b"]),
    ],
)
def test_order_of_ids(ids, order):
    assert in_id_order(ids) == order
