"""Nothing of a query's own instant or later is ever visible; held against a slow oracle on random logs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data import Past, PastRule
from recollect.errors import LeakError, UsageError

EVENTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), max_size=30)
RULES = st.builds(PastRule, ties=st.sampled_from(["exclude", "order"]), delay=st.integers(0, 5))


def is_known(log, rule: PastRule, *, row: int, past: int) -> bool:
    """Decide by the words of the rule, one pair at a time."""
    old_enough = log.time[past] <= log.time[row] - rule.delay
    if rule.ties == "order":
        return past < row and old_enough
    return log.time[past] < log.time[row] and old_enough


@given(EVENTS, RULES)
def test_visible_is_what_the_rule_says(log_of, events, rule):
    log = log_of(events)
    past = Past(log, rule)
    for row in range(len(log)):
        rows = past.rows(int(log.user[row]))
        assert rows.tolist() == [other for other in range(len(log)) if log.user[other] == log.user[row]]
        assert rows[past.rank[row]] == row
        shown = rows[: past.visible[row]].tolist()
        assert shown == [other for other in rows if is_known(log, rule, row=row, past=other)]
        past.check(row, np.array(shown, dtype=np.int64))


@given(EVENTS, RULES, st.integers(-1, 12))
def test_a_query_from_outside_never_sees_its_own_instant(log_of, events, rule, time):
    log = log_of(events)
    past = Past(log, rule)
    for user in range(log.user_count):
        rows = past.rows(user)
        shown = rows[: past.visible_at(user, time)]
        assert shown.tolist() == [row for row in rows if log.time[row] < time and log.time[row] <= time - rule.delay]
        past.check_at(time, shown)


@given(EVENTS.filter(bool), RULES, st.data())
def test_check_refuses_exactly_what_is_not_known(log_of, events, rule, data):
    log = log_of(events)
    past = Past(log, rule)
    row, shown = (data.draw(st.integers(0, len(log) - 1)) for _ in range(2))
    if is_known(log, rule, row=row, past=shown):
        past.check(np.array([row]), np.array([shown]))
    else:
        with pytest.raises(LeakError, match=f"row {shown} "):
            past.check(np.array([row]), np.array([shown]))


def test_by_hand(log_of):
    """One user, times 1 2 2 5: the two of time 2 see only the first; with a delay of 3 s the last sees three."""
    log = log_of([(1, 0, 0, 1), (2, 0, 1, 1), (2, 0, 2, 1), (5, 0, 3, 1)])
    visible = {
        PastRule("exclude"): [0, 1, 1, 3],
        PastRule("order"): [0, 1, 2, 3],
        PastRule("exclude", 3): [0, 0, 0, 3],
        PastRule("order", 4): [0, 0, 0, 1],
    }
    for rule, expected in visible.items():
        assert Past(log, rule).visible.tolist() == expected


def test_a_time_outside_the_log_is_refused_too(log_of):
    past = Past(log_of([(5, 0, 0, 1)]))
    past.check_at(6, np.array([0]))
    with pytest.raises(LeakError, match="at least 1 s older"):
        past.check_at(5, np.array([0]))


def test_a_negative_delay_is_refused():
    with pytest.raises(UsageError, match="0 or more"):
        PastRule(delay=-1)
