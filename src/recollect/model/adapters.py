"""Low-rank adapters (LoRA): added to a frozen backbone for tuning, merged into it for serving.

    W x  becomes  W x + (alpha / r) B A x        A: r x in, random; B: out x r, zeros at first

What it is: a few calls of `peft` and `transformers` in our words. Source: Hu et al., "LoRA" (2022); rank 8, alpha 16
and dropout 0.05 on queries and values are what TALLRec and ReLLa use (specs `recicl`, section 4, `rella`, section 3).

What it decides: targets that are not named are the query and value projections that `peft` knows for the family, as far
as they belong to attention; for a family that it does not know, every linear layer of attention. An adapter remembers
its base by name and revision, so a base that stands nowhere is refused before anything is tuned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from recollect.errors import ModelError
from recollect.model.settings import TuningSettings

__all__ = ["add_lora", "count_lora", "has_lora", "merge_lora"]

_LINEAR: Final = (nn.Linear, Conv1D)


def add_lora(causal: PreTrainedModel, settings: TuningSettings, *, seed: int, revision: str = "main") -> None:
    """Freeze a backbone and add low-rank weights to it, which change nothing until they are tuned.

    Parameters
    ----------
    causal
        A model that was loaded from a folder or by name.
    settings
        Rank, alpha, dropout and targets.
    seed
        Of the random half of the new weights; the global generator of torch is left as it was.
    revision
        Of the base on the model hub, kept with the adapter.

    Raises
    ------
    ModelError
        If the model stands nowhere, has an adapter already, or has no module of the names asked for.
    """
    from peft import LoraConfig

    _require_base(causal)
    targets = _targets(causal, settings.lora_targets)
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=cast(Any, settings.lora_alpha),  # declared as a whole number, used as any
        lora_dropout=settings.lora_dropout,
        target_modules=targets,
        fan_in_fan_out=any(isinstance(module, Conv1D) for _, module in _named(causal, targets)),
        revision=revision,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        causal.add_adapter(config)
    causal.train(causal.training)  # the new layers too


def count_lora(causal: PreTrainedModel, settings: TuningSettings) -> int:
    """Count the weights that an adapter would have.

    Raises
    ------
    ModelError
        If the model has no module of the names asked for.
    """
    targets = _targets(causal, settings.lora_targets)
    return settings.lora_rank * sum(sum(cast(Tensor, one.weight).shape) for _, one in _named(causal, targets))


def has_lora(causal: PreTrainedModel) -> bool:
    """Tell whether a model carries an adapter."""
    return bool(getattr(causal, "peft_config", None))


def merge_lora(causal: PreTrainedModel) -> None:
    """Add the adapter's product to the base weights, and take the adapter away: the same answers, nothing to pay.

    The model then stands nowhere until it is saved whole, since its weights are those of no folder.

    Parameters
    ----------
    causal
        A model with an adapter; one without is left as it is.
    """
    if not has_lora(causal):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(_modules(causal)):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            causal.set_submodule(name, layer.get_base_layer())
    del causal.peft_config
    cast(Any, causal)._hf_peft_config_loaded = False  # noqa: SLF001 - how transformers knows an adapter
    causal.name_or_path = ""


def _require_base(causal: PreTrainedModel) -> None:
    if has_lora(causal) or not causal.name_or_path:
        raise ModelError(
            "an adapter needs a base that can be found again",
            got="a model with an adapter" if has_lora(causal) else "a model with weights of no folder",
            expected="a model as it was loaded from a folder or by name",
            do="save the model whole and load it from there, or set tuning.method to full",
        )


def _targets(causal: PreTrainedModel, wanted: tuple[str, ...]) -> list[str]:
    """Choose the names of the modules that are tuned.

    Raises
    ------
    ModelError
        If there is none.
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN_TARGETS

    attention = sorted(set(_attention_names(causal)))
    known = KNOWN_TARGETS.get(causal.config.get_text_config().model_type, [])
    targets = list(wanted) or [name for name in attention if name in known] or attention
    missing = [name for name in targets if not any(_named(causal, [name]))]
    if missing or not targets:
        raise ModelError(
            "no module of that name can be tuned by low rank",
            got=f"{', '.join(missing) or 'no attention layer'} in {type(causal).__name__}",
            expected=f"linear layers, such as {', '.join(attention) or 'those of another model'}",
            do="set tuning.lora_targets to names of linear layers, or leave it empty",
        )
    return targets


def _attention_names(causal: PreTrainedModel) -> Iterator[str]:
    for module in causal.modules():
        if "attention" in type(module).__name__.lower():
            yield from (name for name, child in module.named_children() if isinstance(child, _LINEAR))


def _named(causal: PreTrainedModel, endings: list[str]) -> Iterator[tuple[str, nn.Module]]:
    """List the linear layers whose name, or last part of it, is asked for, as `peft` matches them."""
    for name, module in _modules(causal):
        if isinstance(module, _LINEAR) and any(name == one or name.endswith(f".{one}") for one in endings):
            yield name, module


def _modules(causal: PreTrainedModel) -> Iterator[tuple[str, nn.Module]]:
    return cast(Iterator[tuple[str, nn.Module]], causal.named_modules())
