"""Runs on a pretrained model: what tuning changed is kept, nothing else, and a loaded run answers the same."""

import numpy as np
import pytest
from backbones import write_backbone
from worlds import planted_world

from recollect.data.splits import split_by_time
from recollect.errors import PromptError
from recollect.rank.assess import predict
from recollect.rank.recommender import Recommender
from recollect.recipe import load_recipe
from recollect.run.tuned import TunedModel
from recollect.tuning.forecast import forecast
from recollect.tuning.outline import outline
from recollect.tuning.run import tune

ROWS = np.arange(500, 540)


@pytest.mark.parametrize(
    ("name", "method", "kept"),
    [
        ("tallrec", "lora", "adapter_model.safetensors"),
        ("recicl", "full", "model.safetensors"),
        ("zero-shot", "none", None),
    ],
)
def test_a_run_keeps_what_tuning_changed(name, method, kept, tmp_path):
    world, base = planted_world(), write_backbone("llama", tmp_path / "base")
    recipe = load_recipe(
        name,
        overrides=[
            "backbone.kind=pretrained", f"backbone.name={base}", f"tuning.method={method}", "tuning.epochs=1",
            "tuning.batch_tokens=2000", "history.shown=3", "layout.budget=250",
        ],
    )  # fmt: skip
    tuned = tune(world, out=tmp_path / "run", recipe=recipe)
    loaded = TunedModel.load(tmp_path / "run")
    assert loaded.digest() == tuned.digest()
    before, after = (predict(model, world, ROWS).predictions.probability for model in (tuned, loaded))
    np.testing.assert_array_equal(before, after)
    weights = {file.name for file in (tmp_path / "run").glob("model/*model.safetensors")}
    assert weights == ({kept} if kept else set())


@pytest.mark.parametrize("name", ["recicl", "tallrec"])
def test_a_model_of_few_positions_is_shown_what_it_can_read(name, tmp_path):
    world, base = planted_world(), write_backbone("gpt2", tmp_path / "base", n_positions=200)
    overrides = [
        "backbone.kind=pretrained", f"backbone.name={base}", "tuning.method=full", "tuning.epochs=1", "tuning.rows=30",
        "tuning.selection_rows=30", "vectors.text=ngrams", "layout.title_tokens=12", "layout.budget=5000",
    ]  # fmt: skip
    recipe = load_recipe(name, overrides=overrides)
    told = forecast(outline(world, recipe, split=split_by_time(world.log), seed=0))
    assert 150 < max(told.epoch.longest, told.judged.longest) <= told.context == 200
    assert "too long" not in dict(told.facts())
    tuned = tune(world, out=tmp_path / "run", recipe=recipe)
    assert not tuned.answers.single
    assert np.isfinite(predict(tuned, world, ROWS).predictions.probability).all()
    served = Recommender(tuned, world).score("u2", world.catalog.ids[:7])
    assert np.isfinite(served).all()


def test_a_question_that_a_model_cannot_read_is_refused_before_tuning(tmp_path):
    world, base = planted_world(), write_backbone("gpt2", tmp_path / "base", n_positions=80)
    overrides = ["backbone.kind=pretrained", f"backbone.name={base}", "tuning.rows=60"]
    recipe = load_recipe("recicl", overrides=overrides)
    with pytest.raises(PromptError, match="longer context"):
        forecast(outline(world, recipe, split=split_by_time(world.log), seed=0))
    with pytest.raises(PromptError, match="longer context"):
        tune(world, out=tmp_path / "run", recipe=recipe)
