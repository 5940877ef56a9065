"""Small scored logs for the tests of this folder."""

import numpy as np
import pytest
from hypothesis import strategies as st

from recollect.evaluation.predictions import Predictions


@pytest.fixture(scope="session")
def scored():
    """Predictions from lists, rows numbered from 0, one second apart unless times are given."""
    return _scored


@pytest.fixture(scope="session")
def random_scored():
    """Predictions whose labels follow a hidden taste; `skill` says how much of it the probability knows."""
    return _random_scored


@pytest.fixture(scope="session")
def any_scored():
    """Few users and coarse probabilities, so that ties, one-class users and single rows are common."""
    row = st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 8).map(lambda eighths: eighths / 8))
    return st.lists(row, min_size=1, max_size=30).map(lambda rows: _scored(*zip(*rows, strict=True)))


def _scored(user, label, probability, *, time=None, known=None):
    rows = np.arange(len(user))
    return Predictions(
        rows=rows,
        user=np.array(user, np.int32),
        item=np.zeros(len(user), np.int32),
        time=rows if time is None else np.array(time, np.int64),
        label=np.array(label, bool),
        probability=np.array(probability, np.float64),
        known=np.zeros(len(user), np.int32) if known is None else np.array(known, np.int32),
    )


def _random_scored(rows, *, users, seed=0, skill=1.0):
    numbers = np.random.default_rng(seed)
    taste = numbers.normal(size=rows)
    stated = skill * taste + np.random.default_rng(seed + 1).normal(size=rows)
    return _scored(
        np.sort(numbers.integers(users, size=rows)),
        numbers.random(rows) < 1 / (1 + np.exp(-taste)),
        1 / (1 + np.exp(-stated)),
        known=numbers.integers(150, size=rows),
    )
