"""Short options of `tune`: what they say to the recipe."""

import pytest

from recollect.cli.tune import shorthands
from recollect.model.settings import PretrainedBackbone
from recollect.recipe import load_recipe

OWN = """name = "own"
summary = "s"
source = "t"
[layout]
kind = "block"
[backbone]
width = 64
[presets.big.backbone]
layers = 9
"""


@pytest.mark.parametrize("preset", [None, "big"])
def test_a_backbone_replaces_the_one_of_recipe_and_preset(preset, tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    recipe = load_recipe(str(tmp_path / "own.toml"), preset=preset, overrides=shorthands("hub/name", None))
    assert recipe.backbone == PretrainedBackbone(name="hub/name")


def test_values_to_set_win_over_short_options():
    overrides = [*shorthands("hub/name", 64), "backbone.dtype=bfloat16", "tuning.rows=32"]
    recipe = load_recipe("recicl", overrides=overrides)
    assert recipe.backbone == PretrainedBackbone(name="hub/name", dtype="bfloat16")
    assert recipe.tuning.rows == 32


def test_a_folder_is_found_again_from_anywhere(tmp_path, monkeypatch):
    odd = tmp_path / 'a "model" here'
    odd.mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_recipe("icl", overrides=shorthands(odd.name, None)).backbone == PretrainedBackbone(name=str(odd))
