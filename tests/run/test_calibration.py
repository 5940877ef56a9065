"""Calibration: it finds the slope and shift that made the labels, and never turns an order around."""

import numpy as np
import pytest
from scipy.special import expit

from recollect.run.calibration import Calibration, fit_calibration

RANDOM = np.random.default_rng(0)
SCORE = RANDOM.normal(size=20_000)


def test_platt_finds_slope_and_shift():
    label = RANDOM.random(len(SCORE)) < expit(2 * SCORE - 1)
    found = fit_calibration(SCORE, label, kind="platt")
    assert (found.scale, found.shift) == pytest.approx((2, -1), abs=0.1)


def test_temperature_finds_the_slope_alone():
    label = RANDOM.random(len(SCORE)) < expit(0.5 * SCORE)
    found = fit_calibration(SCORE, label, kind="temperature")
    assert found.scale == pytest.approx(0.5, abs=0.05)
    assert found.shift == 0


def test_scores_that_are_wrong_keep_their_order():
    found = fit_calibration(SCORE, SCORE < 0, kind="platt")
    assert found.scale > 0
    assert (np.diff(found.probability(np.array([-1.0, 0.0, 1.0]))) > 0).all()


@pytest.mark.parametrize("label", [SCORE < 99, SCORE > 99, SCORE > 0])
def test_nothing_to_fit_changes_nothing(label):
    kind = "none" if 0 < label.mean() < 1 else "platt"
    assert fit_calibration(SCORE, label, kind=kind) == Calibration()
