"""Tuning end to end on a planted world: it learns, it resumes, and it never looks at the test part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from interruptions import Stops
from worlds import planted_world, small_block, small_recipe

from recollect.data.splits import split_by_time
from recollect.errors import DataError, UsageError
from recollect.progress import SILENT
from recollect.run.tuned import TunedModel
from recollect.tuning.run import tune


@pytest.fixture(scope="module")
def world():
    return planted_world()


@pytest.fixture(scope="module")
def split(world):
    return split_by_time(world.log)


def test_a_tuning_that_was_stopped_ends_like_one_that_was_not(world, split, tmp_path):
    recipe = small_recipe("tuning.checkpoint_seconds=1e-6")
    whole = tune(world, out=tmp_path / "whole", recipe=recipe, split=split, seed=3)
    with pytest.raises(KeyboardInterrupt):
        tune(world, out=tmp_path / "parts", recipe=recipe, split=split, seed=3, progress=Stops(6))
    assert not (tmp_path / "parts").exists()
    assert (tmp_path / ".parts.tuning").exists()
    parts = tune(world, out=tmp_path / "parts", recipe=recipe, split=split, seed=3, progress=SILENT)
    assert parts.digest() == whole.digest()
    assert parts.card["epochs"] == whole.card["epochs"]
    assert not (tmp_path / ".parts.tuning").exists()


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
