"""Label rules are one comparison with a number."""

import numpy as np
import pytest

from recollect.data import LabelRule
from recollect.errors import UsageError

STARS = np.array([1, 3, 3.5, 4, 5], np.float32)


@pytest.mark.parametrize(
    ("rule", "likes"),
    [
        ("rating>=4", [0, 0, 0, 1, 1]),
        (" rating > 3 ", [0, 0, 1, 1, 1]),
        ("rating<=3", [1, 1, 0, 0, 0]),
        ("rating<3", [1, 0, 0, 0, 0]),
        ("rating==3.5", [0, 0, 1, 0, 0]),
        ("rating!=3.5", [1, 1, 0, 1, 1]),
        ("rating>-1", [1, 1, 1, 1, 1]),
    ],
)
def test_rules(rule, likes):
    assert LabelRule.parse(rule)(STARS).tolist() == [bool(like) for like in likes]


def test_a_stored_tenth_is_a_tenth():
    assert LabelRule.parse("value>=0.1")(np.array([0.1], np.float32)).tolist() == [True]


@pytest.mark.parametrize("text", ["", "rating", ">=4", "rating>=", "rating=4", "rating>=four", "1>=rating", "a>=1 b"])
def test_text_that_is_no_rule(text):
    with pytest.raises(UsageError, match="cannot be read"):
        LabelRule.parse(text)


def test_a_rule_reads_as_it_is_written():
    assert str(LabelRule.parse("rating >= 3.50")) == "rating>=3.5"
