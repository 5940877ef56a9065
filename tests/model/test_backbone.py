"""Backbones from folders: loaded as they were saved, of every family, or refused with a word on what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbones import ROWS, TOKENS, build, make_tokenizer
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from transformers import BertConfig, BertModel, PreTrainedModel, T5Config

from recollect.errors import ModelError, RecollectError
from recollect.model.backbone import load_backbone, prepare_for_tuning, save_backbone
from recollect.model.language_model import LanguageModel
from recollect.model.load_failures import explain
from recollect.model.settings import PretrainedBackbone, TuningSettings
from recollect.prompt.packing import pack
from recollect.prompt.tree import PromptTree, Segment, join_segments

Folders = Callable[[str], Path]
FULL = TuningSettings(method="full")


def ask(folder: Path, **options: Any) -> PretrainedBackbone:
    return PretrainedBackbone(name=str(folder), **options)


def small_tree(vocabulary_size: int = TOKENS) -> PromptTree:
    words = np.random.default_rng(0).integers(3, vocabulary_size, 12).astype(np.int32)
    trunk = Segment(words[:6], start=0)
    return join_segments([trunk], [Segment(words[at : at + 3], start=6, sees=(0,), slots=((2, at),)) for at in (6, 9)])


def test_a_loaded_backbone_answers_trees_as_the_stock_model(family: str, model_folder: Folders):
    loaded = load_backbone(ask(model_folder(family)))
    tree = small_tree()
    with torch.inference_mode():
        logits = LanguageModel(loaded.causal, answers=((7,), (11,))).eval()(pack([tree])).numpy()
        stock = build(family, vocab_size=ROWS)
        prompts = [tree.tokens[row] for row in tree.mask()[tree.slots]]
        expected = [stock(input_ids=torch.from_numpy(one).long()[None]).logits[0, -1, [7, 11]] for one in prompts]
    np.testing.assert_allclose(logits, np.stack(expected), rtol=0, atol=1e-5)
    assert len(loaded.vocabulary) == len(loaded.tokenizer)
    assert loaded.vocabulary.opening == (0,)
    assert not loaded.causal.training


def test_all_weights_tuned_and_saved_are_found_again(named_family: str, model_folder: Folders, tmp_path: Path):
    loaded = load_backbone(ask(model_folder(named_family)), tune=FULL)
    prepare_for_tuning(loaded.causal, FULL)
    assert all(weight.requires_grad for weight in loaded.causal.parameters())
    with torch.no_grad():
        for weight in loaded.causal.parameters():
            weight.add_(0.01)
    save_backbone(loaded.causal, loaded.tokenizer, tmp_path / "saved")
    again = load_backbone(ask(tmp_path / "saved"))
    state = loaded.causal.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in again.causal.state_dict().items())
    assert again.vocabulary.tokenizer.to_str() == loaded.vocabulary.tokenizer.to_str()


def test_none_tunes_nothing(model_folder: Folders):
    causal = load_backbone(ask(model_folder("llama"))).causal
    prepare_for_tuning(causal, TuningSettings(method="none", gradient_checkpointing=True))
    assert not any(weight.requires_grad for weight in causal.parameters())


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_weights_have_the_type_asked_for(dtype: str, expected: torch.dtype, model_folder: Folders):
    for tune in (None, FULL):
        assert load_backbone(ask(model_folder("qwen3"), dtype=dtype), tune=tune).causal.dtype == expected


def gradients(causal: PreTrainedModel, *, settings: TuningSettings) -> dict[str, torch.Tensor]:
    prepare_for_tuning(causal, settings, seed=3)
    model = LanguageModel(causal, answers=((7,), (11, 4))).train()
    torch.manual_seed(0)
    tree = small_tree()
    model(pack([tree, tree])).diff().sum().backward()
    return {name: weight.grad for name, weight in causal.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_checkpointing_changes_no_gradient(family: str, method: str, model_folder: Folders):
    plain, again = (
        gradients(
            load_backbone(ask(model_folder(family))).causal,
            settings=TuningSettings.model_validate({"method": method, "gradient_checkpointing": checkpointing}),
        )
        for checkpointing in (False, True)
    )
    assert plain.keys() == again.keys()
    assert any(bool(slope.any()) for slope in plain.values())
    for name, slope in plain.items():
        torch.testing.assert_close(again[name], slope, msg=name)


def test_checkpointing_leaves_serving_alone(model_folder: Folders):
    causal = load_backbone(ask(model_folder("qwen3"))).causal
    prepare_for_tuning(causal, TuningSettings(method="lora", gradient_checkpointing=True))
    model = LanguageModel(causal, answers=((7,), (11,))).train()
    with torch.inference_mode():
        assert model(pack([small_tree()])).shape == (2, 2)


def damaged(folder: Path, copy: Path, **changes: str | None) -> PretrainedBackbone:
    """Copy a model folder with some files replaced, or left out."""
    shutil.copytree(folder, copy)
    for name, text in changes.items():
        file = copy / f"{name}.json" if name != "weights" else copy / "model.safetensors"
        file.unlink() if text is None else file.write_text(text)
    return ask(copy)


def test_folders_that_are_no_backbone_are_refused(model_folder: Folders, tmp_path: Path):
    llama = model_folder("llama")
    unknown = json.dumps({"model_type": "nobody_knows"})
    for number, (changes, message) in enumerate(
        (
            ({"config": json.dumps(T5Config().to_dict())}, "does not write text from left to right"),
            ({"config": unknown}, "family that the installed transformers does not know"),
            ({"config": "{"}, "cannot be loaded"),
            ({"weights": None}, "cannot be loaded"),
            ({"weights": "torn"}, "cannot be loaded"),
            ({"tokenizer": None, "tokenizer_config": None}, "cannot be loaded"),
        )
    ):
        with pytest.raises(ModelError, match=message):
            load_backbone(damaged(llama, tmp_path / str(number), **changes))
    for name in ("./no/such/folder", "not a name!"):
        with pytest.raises(ModelError, match="neither a folder nor a model"):
            load_backbone(PretrainedBackbone(name=name))


def test_a_model_without_its_output_layer_is_refused(tmp_path: Path):
    sizes: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 8, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=TOKENS, **sizes)).save_pretrained(tmp_path)
    make_tokenizer(begins=False).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="without the weights of a language model"):
        load_backbone(ask(tmp_path))


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path):
    build("llama").save_pretrained(tmp_path)
    make_tokenizer(begins=True).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="300 tokens for 61 input vectors"):
        load_backbone(ask(tmp_path))


def wrapped(inner: Exception) -> OSError:
    """Raise as the libraries do: the cause inside a general error."""
    try:
        raise OSError("We could not connect") from inner
    except OSError as error:
        return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (wrapped(LocalEntryNotFoundError("not cached")), "hub cannot be reached"),
        (wrapped(OfflineModeIsEnabled("offline")), "hub cannot be reached"),
        (wrapped(HFValidationError("bad name")), "neither a folder nor a model"),
        (ValueError("loading it requires trust_remote_code=True"), "code of its own"),
        (PermissionError(13, "denied", "model.safetensors"), "not allowed"),
        (OSError("torn"), "OSError: torn"),
    ],
)
def test_the_innermost_cause_speaks(error: Exception, message: str):
    explained = explain(error, name="someone/something")
    assert isinstance(explained, RecollectError)
    assert message in str(explained)
