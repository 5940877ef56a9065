"""Small logs by hand."""

import numpy as np
import pytest

from recollect.data import EventLog


def build_log(events, **more) -> EventLog:
    """Build a log from (time, user, item, value) rows; a value of 1 is a like."""
    time, user, item, value = (list(column) for column in zip(*events, strict=True)) if events else ([], [], [], [])
    columns = {
        "user": np.array(user, np.int32),
        "item": np.array(item, np.int32),
        "time": np.array(time, np.int64),
        "value": np.array(value, np.float32),
    }
    return EventLog.sorted(
        **columns,
        label=columns["value"] >= 1,
        **{"user_count": max(user, default=-1) + 1, "item_count": max(item, default=-1) + 1, **more},
    )


@pytest.fixture(scope="session")
def log_of():
    """Give the function that builds a log from (time, user, item, value) rows."""
    return build_log
