"""Small logs for the tests of this folder."""

import numpy as np
import pytest
from hypothesis import strategies as st

from recollect.data.log import EventLog


@pytest.fixture(scope="session")
def log_of():
    """A log from (user, item, time, label) rows in any order."""
    return _log_of


@pytest.fixture(scope="session")
def any_rows():
    """Rows for `log_of`: few users, items and instants, so that ties and repeats are common."""
    row = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9), st.booleans())
    return st.lists(row, min_size=2, max_size=25)


def _log_of(rows):
    user, item, time, label = (np.array(column) for column in zip(*rows, strict=True))
    return EventLog.sorted(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        time=time.astype(np.int64),
        value=label.astype(np.float32),
        label=label.astype(bool),
        user_count=int(user.max()) + 1,
        item_count=int(item.max()) + 1,
    )
