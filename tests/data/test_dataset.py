"""A dataset is saved whole or not at all, and comes back as it was."""

import json
import os

import numpy as np
import polars as pl
import pytest

from recollect.data import Dataset, bundled, read
from recollect.data.aside import written_aside
from recollect.errors import DataError, DatasetVersion, DiskFull, SourceNotFound, SystemFailure, UsageError

TEXT = (
    "user,item,time,rating,type,session,split,title,genres\n"
    "a,x,1,5,view,s1,train,Amélie (2001),Comedy|Drama\n"
    "b,x,2,3,buy,s2,test,,\n"
    "b,y,soon,3,buy,s2,test,,\n"
)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    path = tmp_path / "events.csv"
    path.write_text(TEXT, encoding="utf-8")
    return read(path)[0]


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "events.csv")


def write_half(folder, fault: BaseException) -> None:
    with written_aside(folder, card="dataset.json") as aside:
        (aside / "events.parquet").write_text("half")
        raise fault


def test_load_is_what_was_saved(dataset, tmp_path):
    dataset.save(tmp_path / "data")
    again = Dataset.load(tmp_path / "data")
    assert again.facts == dataset.facts
    assert (again.users.ids, again.users.attributes) == (dataset.users.ids, dataset.users.attributes)
    for name in ("ids", "titles", "genres"):
        assert getattr(again.catalog, name) == getattr(dataset.catalog, name)
    assert again.catalog.years.tolist() == [2001]
    assert again.log.kinds == ("buy", "view")
    assert set(again.log.columns()) == {"user", "item", "time", "value", "label", "kind", "session", "part"}
    for name, column in dataset.log.columns().items():
        np.testing.assert_array_equal(again.log.columns()[name], column)
    assert names(tmp_path) == ["data"]


def test_an_older_dataset_is_replaced_but_nothing_else(dataset, tmp_path):
    for _ in range(2):
        dataset.save(tmp_path / "data")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="the place is taken"):
        dataset.save(tmp_path / "home")
    assert names(tmp_path) == ["data", "home"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OSError(28, "No space left on device"), DiskFull),
        (pl.exceptions.ComputeError("underlying IO error: No space left on device (os error 28)"), DiskFull),
        (pl.exceptions.ComputeError("something else"), SystemFailure),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
    ids=["disk", "disk in polars", "polars", "interrupt", "bug"],
)
def test_nothing_half_written_stays(dataset, tmp_path, fault, told):
    dataset.save(tmp_path / "data")
    with pytest.raises(told):
        write_half(tmp_path / "data", fault)
    assert names(tmp_path) == ["data"]
    assert len(Dataset.load(tmp_path / "data").log) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(DiskFull), written_aside(tmp_path / "data", card="x"):
        pl.DataFrame({"a": range(100_000)}).write_parquet("/dev/full")
    assert names(tmp_path) == []


@pytest.mark.parametrize("file", ["events.parquet", "items.parquet", "users.parquet", "dataset.json"])
@pytest.mark.parametrize(("damage", "kind"), [("missing", SourceNotFound), ("broken", DataError)])
def test_a_damaged_folder(dataset, tmp_path, file, damage, kind):
    dataset.save(tmp_path / "data")
    path = tmp_path / "data" / file
    path.unlink() if damage == "missing" else path.write_text("half")
    with pytest.raises(kind, match="import"):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"version": 0}, DatasetVersion),
        ({"events": 9}, DataError),
        ({"users": 9}, DataError),
        ({"facts": {}}, DataError),
    ],
    ids=["version", "events", "users", "facts"],
)
def test_a_card_that_does_not_fit(dataset, tmp_path, change, kind):
    dataset.save(tmp_path / "data")
    card = tmp_path / "data" / "dataset.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(kind):
        Dataset.load(tmp_path / "data")


def test_no_folder(tmp_path):
    with pytest.raises(SourceNotFound, match="recollect import"):
        Dataset.load(tmp_path / "nowhere")


def test_facts_read_like_facts(dataset):
    lines = "\n".join(dataset.facts.lines())
    for text in ("2 of 3 events", "1 bad rows skipped", "line 4", "50.0% likes (rating>=4)", "1 items"):
        assert text in lines


def test_bundled_movietweetings():
    found = bundled.movietweetings()
    assert (len(found.log), len(found.users), len(found.catalog)) == (141_695, 21_081, 22_438)
    assert found.facts.rule == "rating>=8"
    assert float(found.log.label.mean()) == pytest.approx(0.5, abs=0.001)


def test_bundled_movietweetings_is_its_source(real_log):
    source = read(real_log("movietweetings"))[0]
    for name, column in bundled.movietweetings().log.columns().items():
        np.testing.assert_array_equal(source.log.columns()[name], column)
