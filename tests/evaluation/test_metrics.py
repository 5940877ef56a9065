import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from recollect.errors import DataError
from recollect.evaluation.metrics import auc, bin_of, ece, log_loss, measure, reliability, uauc

YES, NO = True, False


def slow_uauc(user, label, score):
    """Every pair of every user, counted by hand."""
    values = []
    for one in sorted(set(user.tolist())):
        likes, others = (
            [s for u, y, s in zip(user, label, score, strict=True) if u == one and y == side] for side in (YES, NO)
        )
        wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in likes for b in others]
        if wins:
            values.append(sum(wins) / len(wins))
    return (sum(values) / len(values) if values else math.nan), len(values)


@pytest.mark.parametrize(
    ("label", "score", "expected"),
    [
        ([YES, NO], [0.9, 0.1], 1),
        ([YES, NO], [0.1, 0.9], 0),
        ([YES, NO], [0.5, 0.5], 1 / 2),  # a tie counts half
        ([YES, YES, NO, NO], [0.9, 0.4, 0.5, 0.1], 3 / 4),  # only .4 < .5 is lost
        ([YES, YES, NO, NO], [0.9, 0.5, 0.5, 0.1], (1 + 1 + 1 / 2 + 1) / 4),
        ([YES, YES, NO], [np.inf, -np.inf, 0.0], 1 / 2),
    ],
)
def test_auc_by_counting_pairs(label, score, expected):
    assert auc(np.array(label), np.array(score)) == pytest.approx(expected)


@pytest.mark.parametrize("label", [[YES, YES], [NO]])
def test_auc_needs_both_labels_and_says_nan(label):
    assert math.isnan(auc(np.array(label), np.zeros(len(label))))


def test_uauc_is_the_plain_mean_over_users_with_both_labels():
    user = np.array([1, 1, 2, 2, 2, 3, 3, 9])
    label = np.array([YES, NO, YES, NO, NO, YES, YES, NO])
    score = np.array([0.2, 0.1, 0.5, 0.9, 0.3, 0.1, 0.2, 0.7])
    # user 1: 1 of 1 pairs; user 2: 1 of 2; users 3 and 9 have one label
    assert uauc(user, label, score) == ((1 / 1 + 1 / 2) / 2, 2)


def test_uauc_without_any_such_user():
    value, users = uauc(np.array([1, 2]), np.array([YES, NO]), np.array([0.1, 0.2]))
    assert math.isnan(value)
    assert users == 0


def test_a_score_of_the_user_alone_gives_exactly_one_half():
    user = np.repeat(np.arange(50), 4)
    assert uauc(user, np.tile([YES, NO, NO, YES], 50), user / 50).value == 0.5


@given(data=st.data())
def test_uauc_equals_the_slow_oracle(any_scored, data):
    predictions = data.draw(any_scored)
    columns = predictions.user, predictions.label, predictions.probability
    assert uauc(*columns) == pytest.approx(slow_uauc(*columns), nan_ok=True)


@given(data=st.data())
def test_auc_and_log_loss_equal_scikit_learn(any_scored, data):
    predictions = data.draw(any_scored)
    label, probability = predictions.label, predictions.probability
    if 0 < label.sum() < len(label):
        assert auc(label, probability) == pytest.approx(roc_auc_score(label, probability))
    assert log_loss(label, probability) == pytest.approx(sklearn_log_loss(label, probability, labels=[NO, YES]))


@given(data=st.data())
def test_order_of_rows_and_a_rising_map_change_nothing(any_scored, data):
    predictions = data.draw(any_scored)
    user, label, score = predictions.user, predictions.label, predictions.probability
    turned = uauc(user[::-1], label[::-1], np.exp(3 * score[::-1]))
    assert turned == pytest.approx(uauc(user, label, score), nan_ok=True)
    upside_down = auc(label, -score)
    assert upside_down == pytest.approx(1 - auc(label, score), nan_ok=True)


def test_log_loss_by_hand():
    expected = -(math.log(0.8) + math.log(1 - 0.4)) / 2
    assert log_loss(np.array([YES, NO]), np.array([0.8, 0.4])) == pytest.approx(expected)


def test_log_loss_of_certainty_that_fails_is_finite():
    assert log_loss(np.array([YES]), np.array([0.0])) == pytest.approx(-math.log(np.finfo(float).eps))


def test_ece_by_hand():
    label = np.array([YES, NO, YES, YES])
    probability = np.array([0.3, 0.3, 0.9, 1.0])
    # bin of .3: stated .3, seen 1/2, 2 rows; bin of .9: .9 and 1; bin of 1.0: 1 and 1
    assert ece(label, probability, bins=10) == pytest.approx(
        (2 * abs(0.3 - 1 / 2) + abs(0.9 - 1) + abs(1 - 1)) / 4 - 0.0
    )


def test_one_belongs_to_the_last_bin():
    assert bin_of(np.array([0.0, 0.49, 0.5, 1.0]), bins=2).tolist() == [0, 0, 1, 1]


@given(data=st.data())
def test_ece_is_the_weighted_gap_of_the_reliability_bins(any_scored, data):
    predictions = data.draw(any_scored)
    label, probability = predictions.label, predictions.probability
    rows, stated, seen = reliability(label, probability)
    gap = np.nansum(rows * np.abs(stated - seen)) / len(label)
    assert ece(label, probability) == pytest.approx(gap)
    assert rows.sum() == len(label)


@pytest.mark.parametrize("metric", [auc, log_loss, ece])
def test_no_rows_and_nan_are_refused(metric):
    with pytest.raises(DataError, match="need rows"):
        metric(np.zeros(0, bool), np.zeros(0))
    with pytest.raises(DataError, match="not a number"):
        metric(np.array([YES, NO]), np.array([0.5, np.nan]))


@pytest.mark.parametrize("metric", [log_loss, ece])
def test_a_logit_is_no_probability(metric):
    with pytest.raises(DataError, match="not logits"):
        metric(np.array([YES]), np.array([1.5]))


def test_measure_puts_all_together(scored):
    found = measure(scored([1, 1], [YES, NO], [0.75, 0.25]))
    assert (found.auc, found.uauc, found.uauc_users, found.rows) == (1, 1, 1, 2)
    assert found.log_loss == pytest.approx(-math.log(0.75))
    assert found.ece == pytest.approx(0.25)
