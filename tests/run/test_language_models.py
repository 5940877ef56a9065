"""Runs on a pretrained model: what tuning changed is kept, nothing else, and a loaded run answers the same."""

import numpy as np
import pytest
from backbones import write_backbone
from worlds import planted_world

from recollect.rank.assess import predict
from recollect.recipe import load_recipe
from recollect.run.tuned import TunedModel
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
