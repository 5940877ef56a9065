"""Pretraining on a planted world: an ordinary folder comes out, it learns, and it goes on after a stop."""

import json

import numpy as np
import pytest
import torch
from interruptions import Stops
from transformers import AutoModelForCausalLM, AutoTokenizer
from worlds import planted_world

from recollect.errors import DataError, UsageError
from recollect.tuning.corpus import BEGIN, END, PAD, Corpus, pack
from recollect.tuning.pretrain import next_token_loss, pretrain
from recollect.tuning.pretrain_settings import PretrainSettings, PretrainShape

SHAPE = PretrainShape(width=32, layers=2, heads=2, key_value_heads=1, feed_forward=48, vocabulary=400)
SETTINGS = PretrainSettings(row_tokens=64, batch_rows=2, rate=1e-2, tokenizer_documents=300)
ROWS = np.arange(300)


@pytest.fixture(scope="module")
def world():
    return planted_world()


@pytest.fixture(scope="module")
def made(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain") / "model"
    return folder, pretrain(world, out=folder, rows=ROWS, tokens=10_000, shape=SHAPE, settings=SETTINGS, seed=1)


def digest(folder) -> bytes:
    return (folder / "model.safetensors").read_bytes() + (folder / "tokenizer.json").read_bytes()


def test_the_folder_is_an_ordinary_one(world, made):
    folder, facts = made
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.num_parameters() == facts.weights
    assert model.config.vocab_size == len(tokenizer)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (BEGIN, END, PAD)
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == tuple(
        tokenizer.convert_tokens_to_ids([BEGIN, END, PAD])
    )
    text = 'Liked: "Comedy of the 4th night (1974)". Disliked: nothing.'
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    card = json.loads((folder / "pretrain.json").read_text())
    assert card["tokens"] == 156 * 64 == facts.tokens
    assert card["read_until"] == world.log.time[ROWS[-1]]
    assert card["shape"] == SHAPE.model_dump()


def test_it_learns(world, made):
    """The loss told ends far below that of guessing among all tokens, and so does that of the model that was saved."""
    folder, facts = made
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    corpus = Corpus(world, ROWS, SETTINGS.mix)
    row = pack(corpus.documents(seed=9), tokenizer, count=1, length=512)
    with torch.no_grad():
        loss = next_token_loss(model, torch.from_numpy(row[0]).long())
    assert max(facts.loss, float(loss)) < 0.6 * np.log(400)


def test_a_pretraining_that_was_stopped_ends_like_one_that_was_not(world, tmp_path):
    settings = SETTINGS.model_copy(update={"checkpoint_seconds": 1e-6})

    def start(name: str, **more):
        return pretrain(
            world, out=tmp_path / name, rows=ROWS, tokens=2_000, shape=SHAPE, settings=settings, seed=3, **more
        )

    whole = start("whole")
    with pytest.raises(KeyboardInterrupt):
        start("parts", progress=Stops(6))
    assert {one.name for one in tmp_path.iterdir()} == {"whole", ".parts.tuning"}
    assert start("parts") == whole
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")
    assert not (tmp_path / ".parts.tuning").exists()


def test_the_global_generator_is_left_alone(world, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    pretrain(world, out=tmp_path / "model", rows=ROWS, tokens=64, shape=SHAPE, settings=SETTINGS)
    assert torch.equal(torch.rand(1), expected)


def test_other_things_are_left_alone(world, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="the place is taken"):
        pretrain(world, out=tmp_path, rows=ROWS, tokens=64, shape=SHAPE, settings=SETTINGS)


@pytest.mark.parametrize(
    ("rows", "tokens", "kind"), [(ROWS, 63, UsageError), (ROWS[:0], 640, DataError)], ids=["tokens", "rows"]
)
def test_too_little_is_refused(world, tmp_path, rows, tokens, kind):
    with pytest.raises(kind):
        pretrain(world, out=tmp_path / "model", rows=rows, tokens=tokens, shape=SHAPE, settings=SETTINGS)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("width", "heads"), [(16, (1, 1)), (256, (4, 2)), (192, (3, 3)), (384, (6, 3))])
def test_heads_follow_the_width(width, heads):
    shape = PretrainShape.of(width=width, layers=1, vocabulary=400)
    assert (shape.heads, shape.key_value_heads) == heads


def test_the_usual_shape_is_that_of_its_width():
    assert PretrainShape.of(width=256, layers=4, vocabulary=8192) == PretrainShape()
    with pytest.raises(UsageError, match="do not divide"):
        PretrainShape.of(width=200, layers=1, vocabulary=400)


def test_a_pretraining_goes_on_from_a_model(world, tmp_path):
    first = pretrain(world, out=tmp_path / "first", rows=ROWS, tokens=2048, shape=SHAPE, settings=SETTINGS)
    second = pretrain(
        world, out=tmp_path / "second", rows=ROWS, tokens=2048, start=str(tmp_path / "first"), settings=SETTINGS, seed=1
    )
    assert second.weights == first.weights
    assert second.loss < first.loss
    assert (tmp_path / "second" / "tokenizer.json").is_file()
