"""The run folder: it gives back the same scores, fits another catalog, and says what is wrong with it."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import planted_world, small_recipe, untuned

from recollect.context.evidence import Context
from recollect.data.catalog import Catalog
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.errors import ModelError, RunNotFound, RunVersion
from recollect.run.answering import RowAnswerer
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel

FILES = (
    "run.json",
    "recipe.toml",
    "items.json",
    "vectors.safetensors",
    "model/config.json",
    "model/model.safetensors",
    "model/tokenizer.json",
)


def world_without_ties() -> Dataset:
    """Make the planted world with an instant of its own for each event, so that no order depends on item codes."""
    world = planted_world()
    return replace(world, log=replace(world.log, time=np.arange(len(world.log), dtype=np.int64) * 10))


def answers(tuned: TunedModel, dataset: Dataset) -> np.ndarray:
    context = Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
    return RowAnswerer(tuned, context, make_prompter(tuned, dataset)).score(np.arange(0, len(dataset.log), 5))


@pytest.fixture(scope="module", params=["soft", "text", "both"])
def made(request):
    world = world_without_ties()
    return world, untuned(world, small_recipe(channel=request.param))


@pytest.fixture
def run(tmp_path):
    """A run folder to break."""
    untuned(planted_world(), small_recipe()).save(tmp_path / "run")
    return tmp_path / "run"


def test_every_file_of_a_run_may_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        untuned(planted_world(), small_recipe()).save(tmp_path / "run")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "run").rglob("*") if file.is_file()}
    assert set(modes) >= {Path(name).name for name in FILES}
    assert modes == dict.fromkeys(modes, 0o640)


def test_a_loaded_run_gives_the_same_scores_bit_for_bit(made, tmp_path):
    world, tuned = made
    tuned.save(tmp_path / "run")
    loaded = TunedModel.load(tmp_path / "run")
    assert loaded.digest() == tuned.digest() == loaded.card["digest"]
    assert (loaded.recipe, loaded.prior) == (tuned.recipe, tuned.prior)
    expected = answers(tuned, world)
    assert np.array_equal(answers(loaded, world), expected)
    assert np.ptp(expected) > 1e-4


def grown(world: Dataset) -> Dataset:
    """Add an item that nobody has met yet."""
    old = world.catalog
    catalog = Catalog(
        ids=(*old.ids, "new"),
        titles=(*old.titles, "A film of tomorrow (2031)"),
        genres=(*old.genres, ("Western",)),
        years=np.append(old.years, np.int16(2031)),
    )
    return replace(world, log=replace(world.log, item_count=len(catalog)), catalog=catalog)


def turned(world: Dataset) -> Dataset:
    """Put the catalog in the opposite order."""
    old, log = world.catalog, world.log
    catalog = Catalog(old.ids[::-1], old.titles[::-1], old.genres[::-1], old.years[::-1].copy())
    columns = {**log.columns(), "item": (len(old) - 1 - log.item).astype(np.int32)}
    return replace(
        world,
        log=EventLog.sorted(**columns, user_count=log.user_count, item_count=log.item_count),
        catalog=catalog,
    )


@pytest.mark.parametrize("change", [grown, turned, lambda world: grown(turned(world))], ids=["grown", "turned", "both"])
def test_old_items_keep_their_scores_in_another_catalog(made, change):
    world, tuned = made
    other = change(world)
    fitted = tuned.fitted_to(other.catalog)
    assert fitted.vectors.ids == other.catalog.ids
    assert answers(fitted, other) == pytest.approx(answers(tuned, world), abs=1e-7)


def test_the_same_catalog_needs_no_fitting(made):
    world, tuned = made
    assert tuned.fitted_to(world.catalog) is tuned


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(RunNotFound, match="run recollect tune"):
        TunedModel.load(tmp_path)


def test_a_run_of_another_version(run):
    card = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**card, "version": 99}))
    with pytest.raises(RunVersion, match="version 99"):
        TunedModel.load(run)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(RunNotFound, match=Path(name).name):
        TunedModel.load(run)


@pytest.mark.parametrize("damage", [b"", b"\x00\xff" * 40, b'{"version": '], ids=["empty", "noise", "half"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_a_model_error(run, name, damage):
    (run / name).write_bytes(damage)
    with pytest.raises(ModelError):
        TunedModel.load(run)


@pytest.mark.parametrize("name", ["vectors.safetensors", "model/model.safetensors", "model/tokenizer.json"])
def test_half_a_file_is_a_model_error(run, name):
    whole = (run / name).read_bytes()
    (run / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="tune again"):
        TunedModel.load(run)


def test_weights_of_another_shape_are_a_model_error(run, tmp_path):
    untuned(planted_world(), small_recipe("backbone.width=32")).save(tmp_path / "wide")
    (run / "vectors.safetensors").write_bytes((tmp_path / "wide" / "vectors.safetensors").read_bytes())
    with pytest.raises(ModelError, match="tune again"):
        TunedModel.load(run)
