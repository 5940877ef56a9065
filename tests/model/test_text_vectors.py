"""Item vectors from hidden states: the tokens that count, whatever stands beside them in a batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbones import ROWS, make_tokenizer
from transformers import BertConfig, BertModel, T5Config, T5Model
from worlds import planted_world, small_block, small_recipe, untuned

from recollect.context.item_vectors import ItemVectors
from recollect.data.catalog import Catalog
from recollect.errors import ModelError, UsageError
from recollect.model.backbone import load_backbone
from recollect.model.language_model import LanguageModel
from recollect.model.settings import PretrainedBackbone
from recollect.model.text_vectors import PooledEncoder, describe
from recollect.run.tuned import TunedModel

Folders = Callable[[str], Path]
CATALOG = planted_world().catalog


def of(titles: tuple[str, ...], **columns: Any) -> Catalog:
    count = len(titles)
    given: dict[str, Any] = {"genres": ((),) * count, "years": np.zeros(count, np.int16)} | columns
    return Catalog(ids=tuple(f"i{n}" for n in range(count)), titles=titles, **given)


@pytest.fixture(params=("llama", "gpt2", "phi"))
def encoder(request: pytest.FixtureRequest, model_folder: Folders) -> PooledEncoder:
    loaded = load_backbone(PretrainedBackbone(name=str(model_folder(request.param))))
    return PooledEncoder.of_language_model(loaded.causal, loaded.tokenizer)


@pytest.fixture
def sentence_encoder(tmp_path: Path) -> PooledEncoder:
    sizes: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "pad_token_id": 2}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=ROWS, intermediate_size=24, **sizes)).save_pretrained(tmp_path)
    make_tokenizer(begins=True).save_pretrained(tmp_path)
    return PooledEncoder.load(str(tmp_path))


def test_a_description_says_what_is_known():
    titles = ("Alien (1979)", "Alien", "Alien")
    catalog = of(titles, genres=((), ("Horror",), ()), years=np.array([1979, 1979, 0], np.int16))
    assert describe(catalog) == ["Alien (1979).", "Alien. Year: 1979. Kinds: Horror.", "Alien."]


def test_only_tokens_of_the_description_are_averaged(encoder: PooledEncoder):
    catalog = of(("Alien", "A much longer title of a film that nobody ever saw", "<begin> of the night"))
    for item, text in enumerate(describe(catalog)):
        ids = encoder.tokenizer(text, split_special_tokens=True)["input_ids"]
        assert ids[0] == 0  # the opening token, which is read but not averaged
        assert 0 not in ids[1:]
        with torch.inference_mode():
            states = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0, 1:]
        np.testing.assert_allclose(encoder.encode(catalog)[item], states.mean(0), rtol=0, atol=1e-5)


def test_a_sentence_encoder_averages_all_that_it_reads(sentence_encoder: PooledEncoder):
    catalog = of(("Alien", "A much longer title"))
    for item, text in enumerate(describe(catalog)):
        with torch.inference_mode():
            states = sentence_encoder.model(input_ids=torch.tensor([sentence_encoder.tokenizer(text)["input_ids"]]))
        expected = states.last_hidden_state[0].mean(0)
        np.testing.assert_allclose(sentence_encoder.encode(catalog)[item], expected, rtol=0, atol=1e-5)


def test_the_model_that_answers_may_describe_too(encoder: PooledEncoder, model_folder: Folders):
    before = encoder.encode(CATALOG)
    loaded = load_backbone(PretrainedBackbone(name=str(model_folder("llama"))))
    LanguageModel(loaded.causal, answers=((7,), (11,))).train()
    after = PooledEncoder.of_language_model(loaded.causal, loaded.tokenizer).encode(CATALOG)
    assert loaded.causal.training
    if encoder.model.config.model_type == "llama":
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_vectors_are_centred_and_keep_the_strongest_directions(encoder: PooledEncoder):
    pooled = encoder.encode(CATALOG)
    fitted = encoder.fitted(CATALOG, width=5, seed=0)
    vectors = fitted.encode(CATALOG)
    assert (encoder.width, fitted.width, vectors.shape) == (32, 5, (30, 5))
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(vectors.std(), 1, atol=1e-4)
    strengths = np.linalg.svd(pooled - pooled.mean(0), compute_uv=False)[:5]
    lengths = np.linalg.norm(vectors, axis=0)
    np.testing.assert_allclose(lengths / lengths[0], strengths / strengths[0], atol=1e-4)


def test_all_directions_keep_every_angle(encoder: PooledEncoder):
    catalog = planted_world(items=40, events=300).catalog
    pooled = encoder.encode(catalog)
    centred = pooled - pooled.mean(0)
    vectors = encoder.fitted(catalog, width=32, seed=0).encode(catalog)
    expected, found = centred @ centred.T, vectors @ vectors.T
    np.testing.assert_allclose(found / found[0, 0], expected / expected[0, 0], atol=1e-4)


def test_whole_states_are_centred_and_keep_every_column(encoder: PooledEncoder):
    pooled = encoder.encode(CATALOG)
    fitted = replace(encoder, reduces=False).fitted(CATALOG, width=4, seed=0)
    vectors = fitted.encode(CATALOG)
    assert (fitted.width, vectors.shape) == (32, (30, 32))
    centred = pooled - pooled.mean(0)
    np.testing.assert_allclose(vectors, centred / centred.std(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("reduces", [True, False])
def test_a_later_item_is_encoded_as_if_it_had_been_there(encoder: PooledEncoder, reduces: bool):
    fitted = replace(encoder, reduces=reduces).fitted(CATALOG, width=4, seed=0)
    restored = encoder.restored(fitted.arrays())
    grown = CATALOG.add("new", title=CATALOG.titles[3], genres=CATALOG.genres[3], year=int(CATALOG.years[3]))
    found = restored.encode(grown)
    np.testing.assert_allclose(found[:-1], fitted.encode(CATALOG), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[-1], found[3], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("items", "width", "expected"), [(3, 8, 2), (1, 8, 0), (3, 0, 0)])
def test_few_items_have_few_directions(encoder: PooledEncoder, items: int, width: int, expected: int):
    catalog = of(tuple(f"Film {number}" for number in range(items)))
    fitted = encoder.fitted(catalog, width=width, seed=0)
    assert fitted.encode(catalog).shape == (items, expected)
    assert fitted.arrays()["components"].shape == (expected, 32)


def test_item_vectors_take_any_encoder(encoder: PooledEncoder):
    world, settings = planted_world(), small_recipe().vectors
    vectors = ItemVectors.fit(world, np.arange(300), settings, encoder=encoder)
    text = vectors.static.shape[1] - vectors.collaborative
    assert text == vectors.encoder.width == settings.text_width
    assert sorted(vectors.arrays()) == ["components", "mean", "static"]
    grown = vectors.extended(world.catalog.add("new", title="Horror of the 99th night"))
    assert np.any(grown.static[-1, :text])
    assert not np.any(grown.static[-1, text:])
    np.testing.assert_array_equal(grown.static[:-1], vectors.static)


@pytest.mark.parametrize("source", ["backbone", "sentence encoder"])
def test_a_run_keeps_whole_states(source: str, sentence_encoder: PooledEncoder, tmp_path: Path):
    world, text = planted_world(), "backbone" if source == "backbone" else sentence_encoder.model.name_or_path
    tuned = untuned(world, small_block("rella", f"vectors.text={text}", "vectors.reduce=false"))
    assert tuned.vectors.static.shape[1] - tuned.vectors.collaborative == tuned.vectors.encoder.width == 16
    tuned.save(tmp_path / "run")
    grown = world.catalog.add("new", title="Horror of the 99th night")
    kept, loaded = (run.fitted_to(grown).vectors.static for run in (tuned, TunedModel.load(tmp_path / "run")))
    np.testing.assert_array_equal(loaded[:-1], tuned.vectors.static)
    np.testing.assert_allclose(loaded[-1], kept[-1], rtol=0, atol=1e-5)
    assert np.any(loaded[-1])


def test_whole_ngrams_are_refused():
    with pytest.raises(UsageError, match="always reduced"):
        small_recipe("vectors.reduce=false")


def test_progress_is_told(encoder: PooledEncoder):
    class Listener:
        def __init__(self) -> None:
            self.told: list[tuple[str, int]] = []

        def start(self, label: str, total: int) -> None:
            self.told.append((label, total))

        def advance(self, done: int, **facts: float) -> None:
            self.told.append(("done", done + len(facts)))

        def finish(self, note: str = "") -> None:
            self.told.append(("finish", len(note)))

    listener = Listener()
    PooledEncoder(encoder.model, encoder.tokenizer, progress=listener).encode(CATALOG)
    assert listener.told[0] == ("item vectors", 30)
    assert listener.told[-2:] == [("done", 30), ("finish", 0)]


def test_what_describes_nothing_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="neither a folder nor a model"):
        PooledEncoder.load("./no/such/folder")
    sizes: dict[str, Any] = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(vocab_size=ROWS, **sizes)).save_pretrained(tmp_path)
    make_tokenizer(begins=False).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="translates texts"):
        PooledEncoder.load(str(tmp_path))
