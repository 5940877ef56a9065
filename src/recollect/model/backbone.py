"""Backbones from anywhere: a causal language model with its tokenizer, from a folder or by name; prepared, saved.

What it is: loading, which ends in a `LoadedBackbone` or in an error that says what to do; the choice of the weights
that are tuned; saving, as an ordinary folder of `transformers` or as an adapter of `peft`.

What it decides: weights are float32 where they are tuned or computed on a CPU, and bfloat16 where a GPU only answers,
unless the settings say otherwise. An adapter is merged into its base when it is loaded, in float32, so that serving
pays nothing for it. Code that comes with a model is never run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from recollect.errors import ModelError
from recollect.model.adapters import add_lora, has_lora, merge_lora
from recollect.model.load_failures import loading
from recollect.model.settings import PretrainedBackbone, TuningSettings
from recollect.model.tokenization import vocabulary_of
from recollect.prompt.vocabulary import Vocabulary

__all__ = ["LoadedBackbone", "load_backbone", "prepare_for_tuning", "save_backbone"]

_ADAPTER: Final = "adapter_config.json"
_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, eq=False, slots=True)
class LoadedBackbone:
    """Hold a causal language model with its tokenizer, and the same tokenizer as the prompt room reads it."""

    causal: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary


def load_backbone(
    settings: PretrainedBackbone,
    *,
    tune: TuningSettings | None = None,
    device: torch.device | None = None,
    adapter: Literal["merge", "keep"] = "merge",
) -> LoadedBackbone:
    """Load a causal language model and its tokenizer.

    Parameters
    ----------
    settings
        Folder or name, revision and type of the weights.
    tune
        How it will be tuned; None if it only answers.
    device
        Where its weights shall be; the CPU if None.
    adapter
        What becomes of an adapter that the folder holds.

    Returns
    -------
    LoadedBackbone
        Set to evaluation.

    Raises
    ------
    ModelError
        If there is no such model, it cannot be reached, is no causal language model, or its tokenizer does not fit.
    RecollectError
        If the system does not let us read it.
    """
    place = device or torch.device("cpu")
    name, revision = _where(settings)
    dtype = _dtype(settings, tuned=tune is not None and tune.method != "none", device=place)
    tokenizer = load_tokenizer(name, revision=revision)
    vocabulary = vocabulary_of(tokenizer)
    with loading(settings.name):
        causal = _load_weights(name, dtype=dtype, revision=revision, adapter=adapter)
    _require_room(causal, len(tokenizer), settings.name)
    return LoadedBackbone(cast(Any, causal).to(place).eval(), tokenizer, vocabulary)


def load_tokenizer(name: str, *, revision: str = "main") -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or by name.

    Raises
    ------
    ModelError
        If there is none, or it cannot be reached.
    RecollectError
        If the system does not let us read it.
    """
    load = cast(Callable[..., PreTrainedTokenizerBase], AutoTokenizer.from_pretrained)
    with loading(name):
        return load(name, revision=revision)


def prepare_for_tuning(
    causal: PreTrainedModel, settings: TuningSettings, *, seed: int = 0, revision: str = "main"
) -> None:
    """Choose which weights are tuned: all of them, those of a new adapter, or none.

    Parameters
    ----------
    causal
        The model, changed in place.
    settings
        Method, adapter, and whether activations are computed again in the backward pass.
    seed
        Of the adapter's random weights.
    revision
        Of the base on the model hub, kept with the adapter.

    Raises
    ------
    ModelError
        If the model cannot carry the adapter asked for, or cannot compute activations again.
    """
    causal.requires_grad_(settings.method == "full")
    if settings.method == "lora":
        add_lora(causal, settings, seed=seed, revision=revision)
    if settings.gradient_checkpointing and settings.method != "none":
        _enable_checkpointing(causal)


def save_backbone(causal: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write an ordinary model folder, or an adapter folder if the model has an adapter; the tokenizer beside it.

    Parameters
    ----------
    causal
        The model.
    tokenizer
        As it was loaded.
    folder
        Made if it is not there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    causal.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _where(settings: PretrainedBackbone) -> tuple[str, str]:
    """Return the folder, from the root, or the name, and the revision of what must be fetched."""
    folder = Path(settings.name).expanduser()
    if not folder.is_dir():
        return settings.name, settings.revision
    card = folder / _ADAPTER
    if not card.is_file():
        return str(folder.resolve()), settings.revision
    with loading(settings.name):
        known = cast(dict[str, Any], json.loads(card.read_text(encoding="utf-8")))
    return str(folder.resolve()), str(known.get("revision") or settings.revision)


def _load_weights(
    name: str, *, dtype: torch.dtype, revision: str, adapter: Literal["merge", "keep"]
) -> PreTrainedModel:
    """Load the model, and merge its adapter in float32.

    Raises
    ------
    ModelError
        If weights of the language model are missing.
    """
    merging = adapter == "merge" and (Path(name) / _ADAPTER).is_file()
    load = cast(Callable[..., tuple[PreTrainedModel, dict[str, Any]]], AutoModelForCausalLM.from_pretrained)
    causal, found = load(name, revision=revision, dtype=torch.float32 if merging else dtype, output_loading_info=True)
    if found["missing_keys"]:
        raise ModelError(
            "a model without the weights of a language model",
            got=f"{name} without {', '.join(sorted(found['missing_keys'])[:3])}",
            expected="a causal language model with all its weights",
            do="choose a decoder; a sentence encoder can give item vectors instead (vectors.text)",
        )
    if adapter == "merge" and has_lora(causal):
        merge_lora(causal)
    return cast(Any, causal).to(dtype)


def _dtype(settings: PretrainedBackbone, *, tuned: bool, device: torch.device) -> torch.dtype:
    if settings.dtype != "auto":
        return _DTYPES[settings.dtype]
    return torch.float32 if tuned or device.type == "cpu" else torch.bfloat16


def _require_room(causal: PreTrainedModel, tokens: int, name: str) -> None:
    """Check that every token of the tokenizer has an input vector.

    Raises
    ------
    ModelError
        If not.
    """
    rows = len(cast(torch.nn.Embedding, causal.get_input_embeddings()).weight)
    if tokens > rows:
        raise ModelError(
            "a tokenizer and a model that do not belong together",
            got=f"{tokens} tokens for {rows} input vectors in {name}",
            expected="a vector for each token",
            do="put the tokenizer beside the model that it came with",
        )


def _enable_checkpointing(causal: PreTrainedModel) -> None:
    """Keep only the input of each layer, and compute the rest again in the backward pass.

    Raises
    ------
    ModelError
        If the family does not offer it.
    """
    model = cast(Any, causal)  # the older of the two names is deprecated, the newer not yet everywhere
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    try:
        enable({"use_reentrant": False})
    except ValueError as error:
        raise ModelError(
            "this model family cannot compute activations again",
            got=error,
            expected="a family with gradient checkpointing",
            do="set tuning.gradient_checkpointing to false",
        ) from error
    model.disable_input_require_grads()  # needed by the other kind of checkpointing only, and it forbids inference
