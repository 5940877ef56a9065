"""Costs by arithmetic that can be checked by eye, and by what torch counts on real small models."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from recollect.errors import ModelError
from recollect.model.backbone import load_backbone, prepare_for_tuning
from recollect.model.estimate import (
    ModelShape,
    Work,
    measure_speed,
    sketch,
    tuning_flops,
    tuning_hours,
    tuning_memory,
)
from recollect.model.language_model import LanguageModel
from recollect.model.settings import PretrainedBackbone, TuningSettings
from recollect.prompt.packing import pack
from recollect.prompt.tree import Segment, join_segments

FULL, NONE = TuningSettings(method="full"), TuningSettings(method="none")
LORA = TuningSettings(method="lora", lora_rank=4)
AGAIN = {"gradient_checkpointing": True}
SHAPE = ModelShape(
    total=1000, body=700, tuned=1000, adapter=0, layers=2, width=8, attention=6, feed_forward=16, vocabulary=30
)
WORK = Work(tokens=100, slots=10, row_tokens=20, batch_tokens=40, rows_per_slot=2)


@pytest.mark.parametrize(
    ("tuning", "adapter", "expected"),
    [
        # tokens * (weights + attention over L T A = 2 * 20 * 6 = 240) + slots * rows * D = 10 * 2 * 8 = 160
        (NONE, 0, 100 * (2 * 700 + 4 * 240) + 2 * 160),
        (FULL, 0, 100 * (6 * 700 + 12 * 240) + 6 * 160),
        (FULL.model_copy(update=AGAIN), 0, 100 * (8 * 700 + 16 * 240) + 6 * 160),
        (LORA, 50, 100 * (4 * 700 + 6 * 50 + 12 * 240) + 4 * 160),
        (LORA.model_copy(update=AGAIN), 50, 100 * (6 * 700 + 8 * 50 + 16 * 240) + 4 * 160),
    ],
)
def test_flops(tuning: TuningSettings, adapter: int, expected: int):
    sizes = {name: getattr(SHAPE, name) for name in ModelShape.__slots__} | {"adapter": adapter}
    assert tuning_flops(ModelShape(**sizes), WORK, tuning) == expected


def test_memory():
    memory = tuning_memory(SHAPE, WORK, FULL)
    assert (memory.weights, memory.gradients, memory.moments, memory.copies) == (4000, 4000, 8000, 12000)
    # a layer keeps 10 * 8 + 4 * 16 = 144 numbers of a token, and the mask has 20 for it
    assert memory.activations == 40 * (2 * 144 + 20) * 4
    assert memory.total == 28000 + memory.activations
    again = tuning_memory(SHAPE, WORK, FULL.model_copy(update=AGAIN))
    assert again.activations == 40 * (2 * 8 + 144 + 20) * 4
    half = tuning_memory(SHAPE, WORK, FULL.model_copy(update={"precision": "bfloat16"}), weight_bytes=2)
    assert (half.weights, half.gradients, half.activations) == (2000, 4000, 40 * (2 * 144 + 20) * 2)


def test_hours_and_speed():
    assert tuning_hours(7_200_000, speed=4000.0, utilisation=0.25) == 2
    ticks = itertools.count(0.0, 0.25)
    # products end at 0.25, 0.5, 0.75 and 1.0 seconds: three of them until 0.75 have passed
    assert measure_speed(torch.device("cpu"), size=10, seconds=0.75, clock=lambda: next(ticks)) == 2 * 2000 / 0.75


def test_a_sketch_has_the_sizes_of_the_model(family: str, model_folder: Callable[[str], Path]):
    settings = PretrainedBackbone(name=str(model_folder(family)))
    drawn, real = sketch(settings), load_backbone(settings).causal
    assert {weight.device.type for weight in drawn.parameters()} == {"meta"}
    assert ModelShape.of(drawn, FULL) == ModelShape.of(real, FULL)
    assert ModelShape.of(drawn, FULL).total == sum(weight.numel() for weight in real.parameters())
    counted = ModelShape.of(drawn, LORA).adapter
    prepare_for_tuning(real, LORA)
    assert counted == sum(weight.numel() for weight in real.parameters() if weight.requires_grad)


def test_the_shape_of_a_llama():
    config = LlamaConfig(
        vocab_size=50, hidden_size=8, intermediate_size=12, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    shape = ModelShape.of(LlamaForCausalLM(config), LORA)
    layer = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 12 + 2 * 8  # queries, keys and values, output, feed-forward, norms
    assert shape.body == 3 * layer + 8
    assert shape.total - shape.adapter == shape.body + 50 * 8
    assert shape.adapter == shape.tuned == 3 * 4 * ((8 + 8) + (8 + 4))
    assert (shape.attention, shape.width, shape.feed_forward, shape.vocabulary) == (8, 8, 12, 50)


@pytest.mark.parametrize("method", ["none", "full", "lora"])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("answers", [((7,), (11,)), ((7,), (11, 3))], ids=["one token", "two tokens"])
def test_torch_counts_about_the_same(method: str, again: bool, answers: Any, tmp_path: Path):
    """All but attention, which torch does not count on a CPU; the output layer is large enough to be missed."""
    vocabulary = 20_000
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=160, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=4,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tuning = TuningSettings.model_validate({"method": method, "gradient_checkpointing": again, "lora_dropout": 0})
    causal = LlamaForCausalLM.from_pretrained(tmp_path)
    shape = ModelShape.of(causal, tuning)
    prepare_for_tuning(causal, tuning)
    model = LanguageModel(causal, answers=answers).train()
    k = model.slots_per_question
    trees = [
        join_segments(
            [Segment(np.arange(64, dtype=np.int32), start=0, slots=tuple((at, at) for at in range(4, 4 + 4 * k)))]
        )
        for _ in range(4)
    ]
    packed = pack(trees)
    with FlopCounterMode(display=False) as counter:
        score = model(packed).diff().sum()
        if method != "none":
            score.backward()
    work = Work(
        tokens=packed.tokens.size, slots=len(packed.slots), row_tokens=0, batch_tokens=256,
        rows_per_slot=2 if k == 1 else vocabulary,
    )  # fmt: skip
    assert tuning_flops(shape, work, tuning) == pytest.approx(counter.get_total_flops(), rel=0.1)


def test_a_sketch_of_nothing_is_refused():
    with pytest.raises(ModelError, match="neither a folder nor a model"):
        sketch(PretrainedBackbone(name="./no/such/folder"))
