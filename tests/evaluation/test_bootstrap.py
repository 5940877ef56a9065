import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.errors import DataError
from recollect.evaluation.bootstrap import METRICS, Draws, Interval, difference, draw
from recollect.evaluation.metrics import measure
from recollect.evaluation.predictions import Predictions


def slow_draw(predictions, picked):
    """Copy the rows of each picked user, each copy a user of its own, and measure as if they were a log."""
    copies = [np.flatnonzero(predictions.user == user) for user in picked]
    rows = np.concatenate(copies)
    return measure(
        Predictions(
            rows=np.arange(len(rows)),
            user=np.repeat(np.arange(len(copies)), [len(copy) for copy in copies]).astype(np.int32),
            item=predictions.item[rows],
            time=predictions.time[rows],
            label=predictions.label[rows],
            probability=predictions.probability[rows],
            known=predictions.known[rows],
        )
    )


@settings(max_examples=25)
@given(data=st.data())
def test_a_draw_measures_the_rows_of_the_picked_users(any_scored, data):
    predictions = data.draw(any_scored)
    users = np.unique(predictions.user)
    numbers = np.random.default_rng(5)
    draws = draw(predictions, seed=5, draws=3)
    for number in range(3):
        expected = slow_draw(predictions, users[numbers.integers(len(users), size=len(users))])
        for metric in METRICS:
            assert draws.values[metric][number] == pytest.approx(getattr(expected, metric), nan_ok=True)


def test_same_seed_same_draws(random_scored):
    predictions = random_scored(200, users=20)
    first, again, other = (draw(predictions, seed=seed, draws=10).intervals() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_interval_holds_the_middle_of_the_draws():
    draws = Draws({metric: np.arange(101.0) for metric in METRICS})
    assert draws.interval("auc") == pytest.approx(Interval(2.5, 97.5))
    assert draws.interval("auc", level=0.5) == pytest.approx(Interval(25, 75))


def test_undefined_draws_are_left_out():
    draws = Draws({"auc": np.array([np.nan, 0.5, 0.5])})
    assert draws.interval("auc") == Interval(0.5, 0.5)
    assert np.isnan(Draws({"auc": np.array([np.nan])}).interval("auc")).all()


def test_users_are_drawn_not_rows(scored):
    # Two users, each with equal rows: a draw sees one user twice or both once, so log loss takes three values.
    predictions = scored([1] * 50 + [2] * 50, [True] * 100, [0.9] * 50 + [0.5] * 50)
    losses = draw(predictions, seed=0, draws=50).values["log_loss"]
    assert len(np.unique(losses.round(9))) == 3


def test_the_interval_is_about_as_wide_as_theory_says(random_scored):
    # One row per user: the mean loss has standard error sd / sqrt(n).
    predictions = random_scored(2000, users=10**6)
    label, probability = predictions.label, predictions.probability
    losses = -np.log(np.where(label, probability, 1 - probability))
    low, high = draw(predictions, seed=0).interval("log_loss")
    assert (high - low) / 2 == pytest.approx(1.96 * losses.std() / np.sqrt(2000), rel=0.1)


@pytest.mark.parametrize(
    ("gaps", "p"),
    [
        ([1.0] * 9, 2 * 0.5 / 10),  # none at or below zero: the least p of 9 draws
        ([1.0] * 7 + [-1.0] * 2, 2 * 2.5 / 10),
        ([0.0] * 9, 1.0),
    ],
)
def test_p_is_twice_the_smaller_side(gaps, p):
    zero = Draws({"auc": np.zeros(9)})
    assert difference(Draws({"auc": np.array(gaps)}), zero, metric="auc", value=1.0).p == pytest.approx(p)


def test_unequal_draws_cannot_be_paired():
    with pytest.raises(DataError, match="the same number of draws"):
        difference(Draws({"auc": np.zeros(2)}), Draws({"auc": np.zeros(3)}), metric="auc", value=0.0)
