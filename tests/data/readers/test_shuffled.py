"""The order of lines in a file does not matter, and the steps of an import give what slow ways give."""

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.data import EventLog, bundled, read
from recollect.data.readers.intake import find_doubles

EVENTS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 10), st.integers(0, 20)),
    min_size=1,
    max_size=30,
    unique_by=lambda event: (event[0], event[1], event[3]),
)


def import_lines(folder, lines):
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines), encoding="utf-8")
    return read(folder)


@settings(max_examples=30)
@given(events=EVENTS, seed=st.integers(0, 99))
def test_a_shuffled_file_gives_the_same_log(tmp_path_factory, events, seed):
    folder = tmp_path_factory.mktemp("shuffled")
    lines = [f"{user},{item},{half / 2},{time}" for user, item, half, time in events]
    dataset, facts = import_lines(folder, lines)
    random.Random(seed).shuffle(lines)
    again, told = import_lines(folder, lines)
    assert (facts, dataset.users.ids, dataset.catalog.ids) == (told, again.users.ids, again.catalog.ids)
    for name, column in dataset.log.columns().items():
        np.testing.assert_array_equal(column, again.log.columns()[name])


def test_sorting_the_bundled_log_gives_it_back():
    log = bundled.movietweetings().log
    rows = np.random.default_rng(0).permutation(len(log))
    order = np.lexsort((log.item[rows], log.user[rows], log.time[rows]))
    built = EventLog.sorted(
        **{name: column[rows] for name, column in log.columns().items()},
        user_count=log.user_count,
        item_count=log.item_count,
    )
    for name, column in built.columns().items():
        np.testing.assert_array_equal(column, log.columns()[name][rows][order])


@pytest.mark.parametrize("policy", ["first", "all"])
def test_doubles_of_the_bundled_log(policy):
    log = bundled.movietweetings().log
    later = EventLog.sorted(
        **{name: column[:900] for name, column in log.columns().items()} | {"time": log.time[:900] + 5},
        user_count=log.user_count,
        item_count=log.item_count,
    )
    grown = log.append(later).append(log.take(np.arange(500, 600)))
    frame = pl.DataFrame(grown.columns())
    copied = ~frame.select(pl.struct("user", "item", "time", "value").is_first_distinct()).to_series().to_numpy()
    further = ~frame.select(pl.struct("user", "item").is_first_distinct()).to_series().to_numpy()
    found = find_doubles(grown, policy)
    assert found.keep.tolist() == np.flatnonzero(~(further if policy == "first" else copied)).tolist()
    assert (found.duplicates, found.repeats) == (copied.sum(), further.sum() - copied.sum())
