"""Protocols give the published counts, or refuse."""

import numpy as np
import pytest

from recollect.data import PROTOCOLS, Catalog, Dataset, EventLog, Facts, Users, read, resolve
from recollect.errors import DataError, UsageError

MOVIELENS_1M, USERS = 1_000_209, 6_040


def dataset(log: EventLog, rule: str) -> Dataset:
    facts = Facts(
        source="x", format="x", encoding="utf-8", rule=rule, rows_read=len(log), rows_kept=len(log), rows_bad=0, bad=(),
        duplicates=0, repeats=0, repeats_kept=False, users=log.user_count, items=log.item_count, silent_users=0,
        silent_items=0, untitled=0, first_time=0, last_time=len(log), like_share=1.0,
    )  # fmt: skip
    ids = tuple(map(str, range(log.item_count)))
    catalog = Catalog(ids, ids, ((),) * len(ids), np.zeros(len(ids), np.int16))
    return Dataset(log, catalog, Users(tuple(map(str, range(log.user_count)))), facts)


def log_of_size(count: int, users: int, **more) -> EventLog:
    """Build a log in which users take turns, one second apart."""
    turn = np.arange(count)
    columns = {"user": (turn % users).astype(np.int32), "item": np.zeros(count, np.int32), "time": turn}
    ones = np.ones(count, np.float32)
    return EventLog(**columns, value=ones, label=ones > 0, user_count=users, item_count=1, **more)


def sizes(split) -> tuple[int, int, int]:
    return len(split.train), len(split.valid), len(split.test)


def test_rella_counts_of_the_whole_file():
    split = resolve("rella-ml1m")(dataset(log_of_size(MOVIELENS_1M, USERS), "rating>=4"))
    assert sizes(split) == (776_007, 97_000, 97_002)
    assert split.notes == ()
    assert split.train[0] == 5 * USERS  # everybody's first five are no samples


def test_rella_of_a_copy_without_test(real_log):
    found, _ = read(real_log("ml-1m"))
    split = resolve("rella-ml1m")(found)
    assert sizes(split) == (776_007, 97_000, 0)
    assert "lacks the test part" in split.notes[0]
    assert found.log.time[split.valid[0]] == 975_800_844


def test_collm_of_a_copy_without_test(real_log):
    split = resolve("collm-ml1m")(read(real_log("ml-1m-collm"))[0])
    assert sizes(split) == (33_891, 10_401, 0)
    assert "lacks the test part" in split.notes[0]


def test_collm_counts_of_the_whole_file():
    part = np.repeat([0, 1, 2], [33_891, 10_401, 7_331]).astype(np.int8)
    split = resolve("collm-ml1m")(dataset(log_of_size(len(part), 839, part=part), "label>=1"))
    assert (sizes(split), split.notes) == ((33_891, 10_401, 7_331), ())


@pytest.mark.parametrize("name", ["rella-ml1m", "collm-ml1m"])
def test_other_logs_are_refused(name):
    with pytest.raises(DataError, match=f"not the one of protocol {name}"):
        resolve(name)(dataset(log_of_size(100, 5), "rating>=4"))


def test_other_labels_are_told():
    split = resolve("rella-ml1m")(dataset(log_of_size(MOVIELENS_1M, USERS), "rating>=5"))
    assert "do not compare" in split.notes[0]


def test_time_is_the_default_cut():
    assert sizes(PROTOCOLS["time"](dataset(log_of_size(100, 5), "rating>=4"))) == (80, 10, 10)


def test_unknown_protocol():
    with pytest.raises(UsageError, match="time, rella-ml1m, collm-ml1m"):
        resolve("random")
