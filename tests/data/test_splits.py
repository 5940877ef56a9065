"""Splits are in time order, whole, disjoint, and never run through an instant."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data import periods, split_by_time, split_until
from recollect.errors import UsageError

EVENTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 3), st.just(1)), max_size=40)


def assert_cut_in_time(log, parts) -> None:
    assert np.concatenate(parts).tolist() == list(range(len(log)))
    full = [part for part in parts if len(part)]
    for earlier, later in pairwise(full):
        assert log.time[earlier[-1]] < log.time[later[0]]


@given(EVENTS)
def test_split_by_time(log_of, events):
    log = log_of(events)
    split = split_by_time(log)
    assert_cut_in_time(log, (split.train, split.valid, split.test))
    assert len(split.train) >= int(0.8 * len(log))


@given(EVENTS, st.integers(1, 6))
def test_periods(log_of, events, count):
    log = log_of(events)
    parts = periods(log, count)
    assert len(parts) == count
    assert_cut_in_time(log, parts)


def test_without_ties_the_parts_are_eight_to_one_to_one(log_of):
    split = split_by_time(log_of([(time, 0, 0, 1) for time in range(20)]))
    assert (len(split.train), len(split.valid), len(split.test), split.notes) == (16, 2, 2, ())


def test_equal_times_stay_in_the_earlier_part(log_of):
    split = split_by_time(log_of([(time, 0, 0, 1) for time in (1, 2, 3, 4, 5, 6, 7, 8, 8, 9)]))
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == ([*range(9)], [], [9])
    assert "empty" in split.notes[0]


def test_until_is_strictly_earlier(log_of):
    log = log_of([(1, 0, 0, 1), (2, 0, 0, 1), (2, 1, 0, 1), (3, 0, 0, 1)])
    split = split_until(log, 2)
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == ([0], [], [1, 2, 3])
    with pytest.raises(UsageError, match="later than 1"):
        split_until(log, 1)


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1)])
def test_fractions_that_are_no_split(log_of, fractions):
    with pytest.raises(UsageError, match="sum to 1"):
        split_by_time(log_of([]), fractions=fractions)


def test_no_periods(log_of):
    with pytest.raises(UsageError):
        periods(log_of([]), 0)
