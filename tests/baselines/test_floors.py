import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from recollect.baselines.floors import FLOORS, fit_floors, item_mean, recent_rate, user_mean
from recollect.baselines.rates import Rates
from recollect.data.past import Past


@pytest.fixture
def log(log_of):
    """2,000 events whose labels follow a taste of the user and a quality of the item."""
    numbers = np.random.default_rng(0)
    user, item = numbers.integers(40, size=2000), numbers.integers(30, size=2000)
    lean = numbers.normal(size=40)[user] + numbers.normal(size=30)[item]
    label = numbers.random(2000) < 1 / (1 + np.exp(-lean))
    return log_of(list(zip(user.tolist(), item.tolist(), range(2000), label.tolist(), strict=True)))


def test_every_result_stands_beside_these_four(log):
    floors = fit_floors(Past(log), train=np.arange(1600))
    assert list(floors) == ["item mean", "user mean", "recent like rate", "logistic regression"] == list(FLOORS)


def test_a_floor_of_one_rate_is_that_rate(log):
    past, rows = Past(log), np.arange(2000)
    floors, rates = fit_floors(past, train=np.arange(1600)), Rates.of(past, train=np.arange(1600))
    np.testing.assert_allclose(floors["item mean"].score(rows), rates.item_mean(rows))
    np.testing.assert_allclose(floors["user mean"].score(rows), rates.user_mean(rows))
    np.testing.assert_allclose(floors["recent like rate"].score(rows), rates.recent_rate(rows, last=16))


def test_the_regression_is_calibrated_on_train(log):
    train = np.arange(1600)
    floor = fit_floors(Past(log), train=train)["logistic regression"]
    residual = log.label[train] - floor.score(train)
    # Where the likelihood has its maximum, the residuals are at right angles to the intercept and to every column.
    columns = np.stack([np.ones(1600), *(column(floor.rates, train) for column in floor.columns)])
    np.testing.assert_allclose(columns @ residual / 1600, 0, atol=1e-6)


def test_nothing_of_later_parts_is_fitted(log):
    turned = log.take(np.arange(1600))
    whole, part = (fit_floors(Past(one), train=np.arange(1600))["logistic regression"] for one in (log, turned))
    np.testing.assert_allclose(whole.weights, part.weights)
    assert whole.intercept == pytest.approx(part.intercept)


@pytest.mark.parametrize(("label", "probability"), [(True, 1 - 1e-6), (False, 1e-6)])
def test_a_train_part_of_one_label(log_of, label, probability):
    log = log_of([(0, 0, 1, label), (0, 1, 2, label), (1, 0, 3, not label)])
    for name, floor in fit_floors(Past(log), train=np.arange(2)).items():
        assert floor.score(np.array([2])) == pytest.approx(probability), name


@given(data=st.data())
def test_any_log_gives_probabilities_without_a_warning(log_of, any_rows, data):
    """Tiny logs are often separable, or hold a column that never moves."""
    log = log_of(data.draw(any_rows))
    floors = fit_floors(Past(log), train=np.arange(data.draw(st.integers(1, len(log)))))
    for floor in floors.values():
        probability = floor.score(np.arange(len(log)))
        assert ((probability >= 0) & (probability <= 1)).all()


def test_columns_are_log_odds(log):
    past, rows = Past(log), np.arange(50)
    rates = Rates.of(past, train=np.arange(1600))
    np.testing.assert_allclose(item_mean(rates, rows), logit(rates.item_mean(rows)))
    np.testing.assert_allclose(user_mean(rates, rows), logit(rates.user_mean(rows)))
    np.testing.assert_allclose(recent_rate(4)(rates, rows), logit(rates.recent_rate(rows, last=4)))
