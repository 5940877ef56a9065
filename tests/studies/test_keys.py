"""What is known already is found again only while everything that decided it is as it was."""

from dataclasses import replace

import numpy as np
import pytest
from backbones import write_backbone
from worlds import planted_world

from recollect.data.splits import split_by_time
from recollect.recipe import load_recipe
from recollect.run.tuned import RUN_VERSION
from recollect.studies.keys import key_of_data
from recollect.studies.methods import TunedMethod


def test_data_that_are_imported_again_keep_their_key():
    assert key_of_data(planted_world()) == key_of_data(planted_world())


def test_star_values_and_titles_are_part_of_the_key(world):
    starred = replace(world, log=replace(world.log, value=world.log.value + np.float32(1)))
    renamed = replace(world, catalog=replace(world.catalog, titles=world.catalog.titles[::-1]))
    assert len({key_of_data(one) for one in (world, starred, renamed)}) == 3


@pytest.mark.parametrize("given", [True, False], ids=["a run that is there", "a run of the study"])
def test_a_method_on_another_model_in_the_same_folder_is_another(world, tmp_path, given):
    base = write_backbone("llama", tmp_path / "base")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(f'{{"version": {RUN_VERSION}, "digest": "", "calibration": ""}}')
    recipe = load_recipe("tallrec", overrides=["backbone.kind=pretrained", f"backbone.name={base}"])
    method = TunedMethod(recipe, recipe, split_by_time(world.log), 0, run=tmp_path / "run" if given else None)
    before, run_before = method.identity, method.run_key
    assert (method.identity, method.run_key) == (before, run_before)
    write_backbone("llama", base, num_hidden_layers=1)
    assert method.identity != before
    assert method.run_key != run_before


def test_what_is_said_of_a_recipe_is_no_part_of_the_key(world):
    recipe = load_recipe("tallrec", overrides=["backbone.kind=nano"])
    said = recipe.model_copy(update={"summary": "Other words.", "source": "Other words."})
    wider = load_recipe("tallrec", overrides=["backbone.kind=nano", "history.shown=11"])
    keys = [TunedMethod(one, one, split_by_time(world.log), 0).run_key for one in (recipe, said, wider)]
    assert keys[0] == keys[1] != keys[2]
