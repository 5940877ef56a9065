from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.baselines.rates import Rates
from recollect.data.past import Past, PastRule
from recollect.errors import DataError

YES, NO = True, False


@pytest.fixture
def rates(log_of):
    """User 0: yes, no, yes, then an evaluated no; user 1: yes, then an evaluated yes. Train is rows 0 to 3; gm 3/4."""
    log = log_of([(0, 0, 1, YES), (0, 1, 2, NO), (0, 2, 3, YES), (1, 0, 4, YES), (0, 0, 5, NO), (1, 3, 6, YES)])
    return Rates.of(Past(log), train=np.arange(4))


def test_item_mean_by_hand(rates):
    expected = [
        (1 + 5 * 3 / 4) / (1 + 5),  # item 0 has two train likes; this row is one of them
        (0 + 5 * 3 / 4) / (0 + 5),  # item 1 was seen in this row only
        (0 + 5 * 3 / 4) / (0 + 5),
        (1 + 5 * 3 / 4) / (1 + 5),
        (2 + 5 * 3 / 4) / (2 + 5),  # an evaluated row: both count, and its own "no" does not
        (0 + 5 * 3 / 4) / (0 + 5),  # an item that train never saw
    ]
    assert rates.item_mean(np.arange(6)).tolist() == pytest.approx(expected)


def test_user_mean_by_hand(rates):
    likes, rows = np.array([0, 1, 1, 0, 2, 1]), np.array([0, 1, 2, 0, 3, 1])
    expected = (likes + 5 * 3 / 4) / (rows + 5)
    assert rates.user_mean(np.arange(6)).tolist() == pytest.approx(expected.tolist())


def test_recent_rate_by_hand(rates):
    likes, rows = np.array([0, 1, 1, 0, 1, 1]), np.array([0, 1, 2, 0, 2, 1])  # the last two events
    expected = (likes + 2 * 3 / 4) / (rows + 2)
    assert rates.recent_rate(np.arange(6), last=2).tolist() == pytest.approx(expected.tolist())


def test_residual_by_hand(rates):
    above = [1 - (1 + 15 / 4) / 6, 0 - 3 / 4, 1 - 3 / 4]  # label minus item mean of user 0's train rows
    found = rates.residual(np.array([4]), last=2)[0], rates.residual(np.array([4]), last=None)[0]
    assert found == pytest.approx((sum(above[1:]) / (2 + 2), sum(above) / (3 + 2)))


def test_the_recent_rate_runs_on_through_later_parts_and_the_user_mean_does_not(log_of):
    log = log_of([(0, 0, 1, YES), (0, 0, 2, NO), (0, 0, 3, NO), (0, 0, 4, NO)])
    rates = Rates.of(Past(log), train=np.arange(2))  # gm 1/2
    last = np.array([3])
    assert rates.recent_rate(last, last=16)[0] == pytest.approx((1 + 2 * 1 / 2) / (3 + 2))
    assert rates.user_mean(last)[0] == pytest.approx((1 + 5 * 1 / 2) / (2 + 5))


def test_an_empty_train_part_is_refused(log_of):
    log = log_of([(0, 0, 1, YES)])
    with pytest.raises(DataError, match="nothing to learn from"):
        Rates.of(Past(log), train=np.zeros(0, np.int64))


def slow_rates(log, past, train, row, last):
    """Every rate of one row, counted from lists."""
    gm = float(np.mean([log.label[r] for r in train]))
    same_item = [r for r in train if log.item[r] == log.item[row] and r != row]
    visible = past.rows(int(log.user[row]))[: past.visible[row]].tolist()
    learned = [r for r in visible if r in train]
    recent = visible[-last:]

    def rate(rows, prior):
        return (sum(bool(log.label[r]) for r in rows) + prior * gm) / (len(rows) + prior)

    return rate(same_item, 5), rate(learned, 5), rate(recent, 2)


@given(data=st.data())
def test_all_rates_equal_the_slow_oracle(log_of, any_rows, data):
    log = log_of(data.draw(any_rows))
    past = Past(
        log, PastRule(ties=data.draw(st.sampled_from(["exclude", "order"])), delay=data.draw(st.integers(0, 3)))
    )
    train = list(range(data.draw(st.integers(1, len(log)))))
    last = data.draw(st.integers(1, 5))
    rates, rows = Rates.of(past, train=np.array(train)), np.arange(len(log))
    found = np.stack([rates.item_mean(rows), rates.user_mean(rows), rates.recent_rate(rows, last=last)], axis=1)
    expected = [slow_rates(log, past, train, row, last) for row in rows]
    np.testing.assert_allclose(found, expected)


@given(data=st.data())
def test_no_rate_of_a_row_depends_on_its_own_label_or_on_later_evaluated_ones(log_of, any_rows, data):
    log = log_of(data.draw(any_rows))
    row = data.draw(st.integers(0, len(log) - 1))
    border = data.draw(st.integers(1, len(log)))
    hidden = np.arange(len(log)) >= max(row, border)  # what happens from now on, after the train part
    hidden[row] = True
    changed = replace(log, label=log.label ^ hidden)
    here, there = (Rates.of(Past(one), train=np.arange(border)) for one in (log, changed))
    there = replace(there, global_mean=here.global_mean)  # gm counts all of train, as the source does
    at = np.array([row])
    for rate in (lambda r: r.item_mean(at), lambda r: r.user_mean(at), lambda r: r.recent_rate(at, last=3)):
        assert rate(here) == pytest.approx(rate(there))
