from dataclasses import replace

import numpy as np
import pytest

from recollect.errors import DataError, RecollectError
from recollect.evaluation.predictions import Predictions, by_known, by_time

COLUMNS = ("rows", "user", "item", "time", "label", "probability", "known")


def test_saved_and_loaded_bit_for_bit(tmp_path, random_scored):
    predictions = random_scored(500, users=20)
    predictions.save(tmp_path / "predictions.parquet")
    loaded = Predictions.load(tmp_path / "predictions.parquet")
    for name in COLUMNS:
        first, second = getattr(predictions, name), getattr(loaded, name)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]


def test_what_is_no_predictions_file_is_named(tmp_path):
    (tmp_path / "text").write_text("no parquet")
    for name in ("text", "missing"):
        with pytest.raises(DataError, match=name):
            Predictions.load(tmp_path / name)


def test_a_missing_folder_is_our_error(tmp_path, random_scored):
    with pytest.raises(RecollectError):
        random_scored(5, users=2).save(tmp_path / "nowhere" / "predictions.parquet")


def test_rows_must_ascend(random_scored):
    predictions = random_scored(5, users=2)
    with pytest.raises(DataError, match="not in log order"):
        replace(predictions, rows=np.array([0, 1, 1, 2, 3]))


def test_time_slices_have_equal_rows_and_bear_their_first_day(scored):
    day = 86_400
    predictions = scored([0] * 20, [True] * 20, [0.5] * 20, time=[number * day for number in range(20)])
    slices = list(by_time(predictions))
    assert [len(positions) for _, positions in slices] == [2] * 10
    assert [name for name, _ in slices][:2] == ["1970-01-01", "1970-01-03"]
    assert np.concatenate([positions for _, positions in slices]).tolist() == list(range(20))


@pytest.mark.parametrize("rows", [0, 1, 3, 11])
def test_no_time_slice_is_empty(scored, rows):
    slices = list(by_time(scored([0] * rows, [True] * rows, [0.5] * rows)))
    assert len(slices) == min(rows, 10)
    assert all(len(positions) for _, positions in slices)


def test_slices_by_known_events(scored):
    known = [0, 1, 4, 5, 9, 10, 24, 25, 49, 50, 99, 100, 7000]
    predictions = scored([0] * 13, [True] * 13, [0.5] * 13, known=known)
    assert [(name, [known[p] for p in positions]) for name, positions in by_known(predictions)] == [
        ("0", [0]),
        ("1-4", [1, 4]),
        ("5-9", [5, 9]),
        ("10-24", [10, 24]),
        ("25-49", [25, 49]),
        ("50-99", [50, 99]),
        ("100+", [100, 7000]),
    ]


def test_groups_without_rows_are_left_out(scored):
    assert [name for name, _ in by_known(scored([0], [True], [0.5], known=[30]))] == ["25-49"]
