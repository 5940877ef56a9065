"""The log keeps one order, checks its columns, and grows by append."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data import EventLog
from recollect.data.log import UNKNOWN
from recollect.errors import DataError

EVENTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)))


def rows(log: EventLog) -> list[tuple[int, int, int, int]]:
    return list(
        zip(log.time.tolist(), log.user.tolist(), log.item.tolist(), log.value.astype(int).tolist(), strict=True)
    )


@given(EVENTS)
def test_sorted_is_by_time_user_item_then_arrival(log_of, events):
    assert rows(log_of(events)) == sorted(events, key=lambda event: event[:3])


@given(EVENTS, EVENTS)
def test_append_is_as_if_all_had_been_there(log_of, earlier, later):
    grown = log_of(earlier).append(log_of(later))
    assert rows(grown) == rows(log_of(earlier + later))
    assert (grown.user_count, grown.item_count) == (
        max([event[1] + 1 for event in earlier + later], default=0),
        max([event[2] + 1 for event in earlier + later], default=0),
    )


def test_append_fills_columns_that_one_side_lacks(log_of):
    plain, typed = log_of([(1, 0, 0, 1)]), log_of([(2, 0, 1, 1)], kind=np.array([0], np.int16), kinds=("click",))
    grown = plain.append(typed)
    assert grown.kind is not None
    assert grown.kind.tolist() == [UNKNOWN, 0]
    assert grown.kinds == ("click",)
    with pytest.raises(DataError, match="other names"):
        typed.append(log_of([(3, 0, 0, 1)], kind=np.array([0], np.int16), kinds=("buy",)))


def test_before_is_strictly_earlier(log_of):
    log = log_of([(1, 0, 0, 1), (2, 0, 1, 1), (2, 1, 0, 1), (3, 0, 2, 1)])
    assert [len(log.before(time)) for time in (0, 1, 2, 3, 4)] == [0, 0, 1, 3, 4]
    assert log.before(2).item_count == 3


def test_take_keeps_order_and_counts(log_of):
    log = log_of([(1, 0, 0, 1), (2, 1, 1, 0), (3, 2, 2, 1)])
    taken = log.take(np.array([0, 2]))
    assert (rows(taken), taken.user_count) == ([(1, 0, 0, 1), (3, 2, 2, 1)], 3)
    with pytest.raises(DataError, match="order"):
        log.take(np.array([2, 0]))


def test_a_run_of_rows_is_no_copy(log_of):
    log = log_of([(1, 0, 0, 1), (2, 1, 1, 0), (3, 2, 2, 1)])
    assert np.shares_memory(log.take(np.array([1, 2])).time, log.time)
    assert not np.shares_memory(log.take(np.array([0, 2])).time, log.time)
    assert rows(log.take(np.array([1, 2]))) == rows(log)[1:]


def test_disorder_is_found_far_down(log_of):
    count = (1 << 20) + 9
    log = log_of([(1, 0, 0, 1)])
    many = {name: np.repeat(column, count) for name, column in log.columns().items()}
    assert len(replace(log, **many)) == count
    for late in (1 << 20, count - 1):
        time = many["time"].copy()
        time[late] = 0
        with pytest.raises(DataError, match=f"row {late} before"):
            replace(log, **{**many, "time": time})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"user": np.array([0, 9], np.int32)}, "user code"),
        ({"item": np.array([-1, 0], np.int32)}, "item code"),
        ({"value": np.array([1, np.nan], np.float32)}, "finite"),
        ({"time": np.array([2, 1], np.int64)}, "order"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_columns_are_refused(log_of, change, told):
    good = log_of([(1, 0, 0, 1), (2, 1, 1, 1)])
    with pytest.raises(DataError, match=told):
        replace(good, **change)


def test_columns_are_read_only(log_of):
    mine = np.array([5], np.int64)
    log = replace(log_of([(1, 0, 0, 1)]), time=mine)
    with pytest.raises(ValueError, match="read-only"):
        log.time[0] = 3
    mine[0] = 3  # the caller's own array stays the caller's
