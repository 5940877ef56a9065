"""Digests move with every column of the data, and with nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world

from recollect.data.dataset import Dataset
from recollect.data.digest import digest_of_dataset, digest_of_log

WORLD = planted_world()


def with_log(world: Dataset, **columns: np.ndarray) -> Dataset:
    return replace(world, log=replace(world.log, **columns))


def with_titles(world: Dataset) -> Dataset:
    titles = ("Another title", *world.catalog.titles[1:])
    return replace(world, catalog=replace(world.catalog, titles=titles))


def with_genres(world: Dataset) -> Dataset:
    return replace(world, catalog=replace(world.catalog, genres=(("Western",), *world.catalog.genres[1:])))


def with_ages(world: Dataset) -> Dataset:
    ages = ("99", *world.users.attributes["age"][1:])
    return replace(world, users=replace(world.users, attributes={"age": ages}))


IN_THE_LOG = {
    "value": lambda world: with_log(world, value=world.log.value + np.float32(0.5)),
    "label": lambda world: with_log(world, label=~world.log.label),
    "time": lambda world: with_log(world, time=world.log.time + 1),
    "session": lambda world: with_log(world, session=np.zeros(len(world.log), np.int64)),
}
IN_TEXTS = {
    "titles": with_titles,
    "genres": with_genres,
    "years": lambda world: replace(world, catalog=replace(world.catalog, years=world.catalog.years + np.int16(1))),
    "users": with_ages,
}


@pytest.mark.parametrize("change", [*IN_THE_LOG.values(), *IN_TEXTS.values()], ids=[*IN_THE_LOG, *IN_TEXTS])
def test_what_is_changed_changes_the_digest(change):
    assert digest_of_dataset(change(WORLD)) != digest_of_dataset(WORLD)


@pytest.mark.parametrize("change", IN_THE_LOG.values(), ids=IN_THE_LOG)
def test_a_log_is_known_by_its_columns(change):
    assert digest_of_log(change(WORLD).log) != digest_of_log(WORLD.log)


@pytest.mark.parametrize("change", IN_TEXTS.values(), ids=IN_TEXTS)
def test_texts_are_no_part_of_the_log(change):
    assert digest_of_log(change(WORLD).log) == digest_of_log(WORLD.log)


def test_what_is_read_back_has_the_same_digest(tmp_path):
    WORLD.save(tmp_path / "data")
    assert digest_of_dataset(Dataset.load(tmp_path / "data")) == digest_of_dataset(WORLD)


def test_a_dataset_is_hashed_once():
    digest_of_dataset(WORLD)
    before = digest_of_log.cache_info(), digest_of_dataset.cache_info()
    digest_of_dataset(WORLD)
    after = digest_of_log.cache_info(), digest_of_dataset.cache_info()
    assert [info.misses for info in after] == [info.misses for info in before]
