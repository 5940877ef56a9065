"""The generated log is an import like any other, of the promised shape, and the same every time."""

import numpy as np
import polars as pl
import pytest

from recollect.bench.generated_log import write_movielens
from recollect.data import read
from recollect.errors import UsageError


@pytest.mark.parametrize("events", [1_000, 1_060_000])
def test_it_is_imported_without_a_complaint(tmp_path, events):
    write_movielens(tmp_path, events=events, seed=3)
    dataset, facts = read(tmp_path, strict=True)
    counts = np.bincount(dataset.log.user)
    assert (facts.format, facts.rows_kept, facts.repeats, facts.untitled) == ("ml-latest", events, 0, 0)
    assert len(dataset.users) == round(events * 162_541 / 25_000_000)
    assert len(dataset.catalog) == max(round(events * 59_047 / 25_000_000), 600)
    assert counts.min() >= 20
    assert counts.max() <= 0.55 * len(dataset.catalog)
    assert set(np.unique(dataset.log.value * 2)) <= set(range(1, 11))
    assert facts.last_time - facts.first_time < 25 * 366 * 86_400


def test_lines_are_by_person_and_title_with_heavy_tails(tmp_path):
    write_movielens(tmp_path, events=200_000, seed=0)
    ratings = pl.read_csv(tmp_path / "ratings.csv")
    assert ratings.equals(ratings.sort("userId", "movieId"))
    for name in ("userId", "movieId"):
        counts = np.sort(ratings[name].value_counts()["count"].to_numpy())
        assert counts[-(len(counts) // 5) :].sum() > 1.5 / 5 * len(ratings)
    assert np.ptp(ratings["timestamp"].to_numpy()) > 20 * 365 * 86_400


def test_a_seed_says_all(tmp_path):
    texts = []
    for number, seed in enumerate([1, 1, 2]):
        write_movielens(tmp_path / str(number), events=1_000, seed=seed)
        texts.append([(tmp_path / str(number) / name).read_bytes() for name in ("ratings.csv", "movies.csv")])
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_a_log_without_shape_is_refused(tmp_path):
    with pytest.raises(UsageError, match="too small"):
        write_movielens(tmp_path, events=999, seed=0)
