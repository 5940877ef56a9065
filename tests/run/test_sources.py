"""A local model is known by what its files hold, one of the model hub by its name."""

import shutil

import pytest
import torch
from backbones import build, make_tokenizer, write_backbone

from recollect.errors import ModelError
from recollect.model.adapters import add_lora
from recollect.model.settings import TuningSettings
from recollect.recipe import Recipe, load_recipe
from recollect.run import sources
from recollect.run.sources import digest_of_sources


def on(name: object, *more: str) -> Recipe:
    return load_recipe("recicl", overrides=["backbone.kind=pretrained", f"backbone.name={name}", *more])


@pytest.fixture
def base(tmp_path):
    return write_backbone("llama", tmp_path / "base")


def other_weights(folder):
    """Write weights of the same shapes, so that only the content of one file tells them apart."""
    with torch.no_grad():
        model = build("llama", vocab_size=304)
        next(model.parameters()).add_(0.01)
        model.save_pretrained(folder)


def other_words(folder):
    make_tokenizer(begins=False).save_pretrained(folder)


@pytest.mark.parametrize("write_again", [other_weights, other_words])
def test_a_folder_that_was_written_again_has_another_digest(base, write_again):
    sizes = (base / "model.safetensors").stat().st_size
    before = digest_of_sources(on(base))
    write_again(base)
    assert (base / "model.safetensors").stat().st_size == sizes
    assert digest_of_sources(on(base)) != before


def test_the_same_files_have_the_same_digest_wherever_they_stand(base, tmp_path):
    copied = shutil.copytree(base, tmp_path / "copy")
    (copied / "README.md").write_text("What is said of a model does not change it.")
    assert digest_of_sources(on(copied)) == digest_of_sources(on(base)) != ""


def test_a_sentence_encoder_counts_too(base):
    assert digest_of_sources(load_recipe("stream", overrides=[f"vectors.text={base}"])) == digest_of_sources(on(base))


@pytest.mark.parametrize("recipe", [load_recipe("stream"), on("Qwen/Qwen3-0.6B", "vectors.text=backbone")])
def test_what_stands_in_no_folder_adds_nothing(recipe, tmp_path, monkeypatch):
    (tmp_path / "backbone").mkdir()
    monkeypatch.chdir(tmp_path)
    assert digest_of_sources(recipe) == ""


def test_an_adapter_stands_for_its_base_too(base, tmp_path):
    model = build("llama", vocab_size=304)
    model.name_or_path = str(base)
    add_lora(model, TuningSettings(method="lora"), seed=0)
    model.save_pretrained(tmp_path / "adapter")
    before = digest_of_sources(on(tmp_path / "adapter"))
    other_weights(base)
    assert digest_of_sources(on(tmp_path / "adapter")) != before


def test_an_adapter_that_cannot_be_read_is_a_model_error(base):
    (base / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError):
        digest_of_sources(on(base))


def test_a_file_is_hashed_once(base):
    digest_of_sources(on(base))
    before = sources._digest_of_file.cache_info().misses
    digest_of_sources(on(base))
    assert sources._digest_of_file.cache_info().misses == before
