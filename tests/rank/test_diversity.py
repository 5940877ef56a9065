"""Diversity: none is the order of the scores; all of it takes what is unlike."""

import numpy as np
import pytest

from recollect.rank.diversity import best, highest

# two directions: items 0, 1 and 2 are alike, 3 and 4 are alike
ALIKE = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])


@pytest.mark.parametrize(
    ("diversity", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        (0.1, [0, 1, 3, 2]),  # 0.9 * 0.8 - 0.1 > 0.9 * 0.6, but 0.9 * 0.7 - 0.1 < 0.9 * 0.6
        (0.5, [0, 3, 1, 2]),  # 0.5 * 0.6 > 0.5 * 0.8 - 0.5, then 0.5 * 0.8 - 0.5 is the greatest
        (1.0, [0, 3, 1, 2]),
    ],
)
def test_the_price_of_likeness(diversity, expected):
    assert best(SCORES, ALIKE, top=4, diversity=diversity).tolist() == expected


@pytest.mark.parametrize("diversity", [0.0, 0.7])
def test_there_are_as_many_as_there_can_be(diversity):
    assert sorted(best(SCORES, ALIKE, top=9, diversity=diversity).tolist()) == [0, 1, 2, 3, 4]
    assert best(SCORES[:0], ALIKE[:0], top=3, diversity=diversity).tolist() == []


def test_of_equal_values_the_first_comes_first():
    assert highest(np.array([1, 2, 2, 2, 0]), 2).tolist() == [1, 2]
