"""Tuning end to end on a planted world: it learns, it resumes, and it never looks at the test part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from backbones import write_backbone
from interruptions import Stops
from worlds import planted_world, small_block, small_recipe

from recollect.data.few_shot import load_few_shot
from recollect.data.splits import split_by_time
from recollect.errors import DataError, UsageError
from recollect.recipe import Recipe, load_recipe
from recollect.run.tuned import TunedModel
from recollect.tuning.run import _fingerprint, prepare, tune


@pytest.fixture(scope="module")
def world():
    return planted_world()


@pytest.fixture(scope="module")
def split(world):
    return split_by_time(world.log)


def lora_recipe(base: Path) -> Recipe:
    """Tune a low-rank adapter of a small model in a folder."""
    return load_recipe(
        "tallrec",
        overrides=[
            "backbone.kind=pretrained", f"backbone.name={base}", "tuning.epochs=1", "tuning.batch_tokens=1000",
            "history.shown=2", "layout.budget=250", "tuning.rate=0.01", "tuning.warmup=1", "tuning.rows=40",
            "tuning.selection_rows=10", "tuning.checkpoint_seconds=1e-6",
        ],
    )  # fmt: skip


FEW = ("tuning.rows=40", "tuning.selection_rows=10", "tuning.checkpoint_seconds=1e-6")
RESUMED = {
    "stream": lambda _: small_recipe("tuning.checkpoint_seconds=1e-6"),
    "block": lambda _: small_block("recicl", *FEW),
    "lora": lambda folder: lora_recipe(write_backbone("llama", folder / "base")),
}


@pytest.mark.parametrize("make", RESUMED.values(), ids=RESUMED)
def test_a_tuning_that_was_stopped_ends_like_one_that_was_not(world, split, tmp_path, make):
    recipe = make(tmp_path)
    steps, left = Stops(10**6), Stops(10**6)
    whole = tune(world, out=tmp_path / "whole", recipe=recipe, split=split, seed=3, progress=steps)
    with pytest.raises(KeyboardInterrupt):
        tune(world, out=tmp_path / "parts", recipe=recipe, split=split, seed=3, progress=Stops(6))
    assert not (tmp_path / "parts").exists()
    where = torch.load(tmp_path / ".parts.tuning", weights_only=True)["state"]["where"]
    assert (where["step"], where["batch"] > 0) == (5, True), "in the middle of an epoch"
    parts = tune(world, out=tmp_path / "parts", recipe=recipe, split=split, seed=3, progress=left)
    assert left.left - steps.left == 5, "five steps were not taken again"
    assert parts.digest() == whole.digest()
    assert parts.card["epochs"] == whole.card["epochs"]
    assert not (tmp_path / ".parts.tuning").exists()


def same(world, _):
    return world


def with_other_values(world, _):
    return replace(world, log=replace(world.log, value=world.log.value + np.float32(1)))


def with_other_titles(world, _):
    return replace(world, catalog=replace(world.catalog, titles=world.catalog.titles[::-1]))


def with_other_ages(world, _):
    return replace(world, users=replace(world.users, attributes={"age": ("99",) * len(world.users)}))


def with_another_base(world, base):
    write_backbone("llama", base, num_hidden_layers=1)
    return world


@pytest.mark.parametrize("change", [same, with_other_values, with_other_titles, with_other_ages, with_another_base])
def test_a_checkpoint_belongs_to_data_and_models_as_they_were(world, split, tmp_path, change):
    recipe = lora_recipe(write_backbone("llama", tmp_path / "base"))
    task = prepare(world, recipe=recipe, split=split)
    before = _fingerprint(planted_world(), task)
    assert (_fingerprint(change(world, tmp_path / "base"), task) == before) == (change is same)


def test_the_rows_of_few_shot_runs_lie_inside_each_other_on_disk(tmp_path):
    """A tuning keeps the rows that it drew; one that takes all rows keeps none, and loads as well."""
    world = planted_world(users=48, items=40, events=1500)
    for count in (64, 256, 1024, 0):
        recipe = small_recipe(f"tuning.rows={count}", "tuning.epochs=1", "tuning.selection_rows=1")
        tune(world, out=tmp_path / f"{count}", recipe=recipe, seed=7)
    kept = {count: load_few_shot(tmp_path / f"{count}", log=world.log) for count in (64, 256, 1024)}
    rows = {count: set(found.rows.tolist()) for count, found in kept.items() if found is not None}
    assert {count: len(drawn) for count, drawn in rows.items()} == {64: 64, 256: 256, 1024: 1024}
    assert rows[64] < rows[256] < rows[1024] <= set(split_by_time(world.log).train.tolist())
    assert {found.seed for found in kept.values() if found is not None} == {7}
    assert load_few_shot(tmp_path / "0", log=world.log) is None
    assert TunedModel.load(tmp_path / "0").card["rows"] == len(split_by_time(world.log).train)


def test_saving_and_loading_keep_every_weight(world, split, tmp_path):
    tuned = tune(world, out=tmp_path / "run", recipe=small_recipe(), split=split)
    loaded = TunedModel.load(tmp_path / "run")
    assert loaded.digest() == tuned.digest() == loaded.card["digest"]
    assert loaded.recipe == tuned.recipe
    assert np.array_equal(loaded.vectors.static, tuned.vectors.static)


def test_it_learns_a_planted_taste(world, split, tmp_path):
    recipe = small_recipe("tuning.epochs=12", "tuning.rate=5e-3", "tuning.patience=12", "tuning.averaging=0.9")
    tuned = tune(world, out=tmp_path / "run", recipe=recipe, split=split)
    losses = [row["loss"] for row in tuned.card["epochs"]]
    assert losses[-1] < losses[0] - 0.02


def test_nothing_of_the_test_part_is_looked_at(world, split, tmp_path):
    """Flip every label of the test part: the tuned weights stay the same."""
    label = world.log.label.copy()
    label[split.test] = ~label[split.test]
    other = replace(world, log=replace(world.log, label=label))
    first, second = (
        tune(one, out=tmp_path / name, recipe=small_recipe(), split=split)
        for one, name in ((world, "first"), (other, "second"))
    )
    assert first.digest() == second.digest()


def test_training_without_both_labels_is_refused(world, split, tmp_path):
    likes = np.flatnonzero(world.log.label)[:50]
    one_sided = type(split)("likes only", train=likes, valid=split.valid, test=split.test)
    with pytest.raises(DataError, match="without both labels"):
        tune(world, out=tmp_path / "run", recipe=small_recipe(), split=one_sided)


def test_the_global_generator_is_left_alone(world, split, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    tune(world, out=tmp_path / "run", recipe=small_recipe("tuning.epochs=1"), split=split)
    assert torch.equal(torch.rand(1), expected)


def test_epochs_can_be_chosen_by_ranking(world, split, tmp_path):
    recipe = small_recipe("tuning.select='ranking'")
    tuned = tune(world, out=tmp_path / "run", recipe=recipe, split=split)
    judged = [row["validation_ranking"] for row in tuned.card["epochs"]]
    assert tuned.card["kept_epoch"] == 1 + judged.index(min(judged))


def test_a_model_that_has_learned_nothing_must_be_tuned(world, split, tmp_path):
    with pytest.raises(UsageError, match="--backbone"):
        tune(world, out=tmp_path / "run", recipe=small_block("zero-shot", preset=None), split=split)
