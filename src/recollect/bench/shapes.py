"""Backbones to measure: shapes of the Qwen3 family with random weights, or a model folder.

It decides five sizes: three that fit a small machine (their heads are 64 wide, input and output vectors tied), two of
the family's own for a GPU, and a tiny one that only shows that everything runs. Speed does not depend on what weights
say, so none are downloaded. Source of the two: the model cards of Qwen3-0.6B-Base and Qwen3-8B-Base.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import torch
from torch import nn
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from recollect.errors import UsageError
from recollect.model.backbone import load_backbone
from recollect.model.settings import PretrainedBackbone

__all__ = ["SHAPES", "Shape", "build_backbone"]

_POSITIONS: Final = 8192


@dataclass(frozen=True, slots=True)
class Shape:
    """Set the size of a decoder of the Qwen3 family."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int
    head_width: int = 64
    tied: bool = True


SHAPES: Final = {
    "tiny": Shape(64, 2, 2, 1, 128, 512, head_width=32),
    "10M": Shape(256, 8, 4, 2, 768, 16_384),
    "30M": Shape(512, 7, 8, 4, 1536, 16_384),
    "135M": Shape(576, 30, 9, 3, 1536, 49_152),
    "0.6B": Shape(1024, 28, 16, 8, 3072, 151_936, head_width=128),
    "8B": Shape(4096, 36, 32, 8, 12_288, 151_936, head_width=128, tied=False),
}
"""Sizes by name."""


def build_backbone(name: str, *, dtype: torch.dtype, device: torch.device, seed: int = 0) -> PreTrainedModel:
    """Make a decoder with random weights, or load one.

    Parameters
    ----------
    name
        One of `SHAPES`, or a model folder.
    dtype, device
        Of the weights, which are made where they will stand.
    seed
        Of random weights; the global generator of torch is left as it was.

    Raises
    ------
    UsageError
        If it is neither.
    ModelError
        If the folder holds no causal language model.
    RecollectError
        If the system does not let us read it.
    """
    if name in SHAPES:
        return _random(SHAPES[name], dtype=dtype, device=device, seed=seed)
    if Path(name).is_dir():
        loaded = load_backbone(PretrainedBackbone(name=name), device=device).causal
        return cast(PreTrainedModel, cast(nn.Module, loaded).to(dtype))
    raise UsageError(
        "no such backbone", got=name, expected=f"a model folder, or one of {', '.join(SHAPES)}", do="choose one"
    )


def _random(shape: Shape, *, dtype: torch.dtype, device: torch.device, seed: int) -> PreTrainedModel:
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head_width,
        max_position_embeddings=_POSITIONS,
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        dtype=dtype,
    )
    devices = [device] if device.type == "cuda" else []
    before = torch.get_default_dtype()
    with torch.random.fork_rng(devices=devices), torch.device(device):
        torch.manual_seed(seed)
        torch.set_default_dtype(dtype)
        try:
            model = Qwen3ForCausalLM(config)
        finally:
            torch.set_default_dtype(before)
    return model.eval()
