"""The compact decoder computes what the backbone computes, and copies nothing of it."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from backbones import build

from recollect.model.check import repeats_hidden_states
from recollect.model.compact import CompactDecoder, Plainly
from recollect.model.compact_layer import Linear
from recollect.model.language_model import LanguageModel

KNOWN = {"llama", "qwen2", "qwen3", "mistral", "granite"}
"""Granite is of the shape as long as its configuration leaves its factors at 1."""


def test_the_shape_is_observed(family: str, language_model: Callable[[str], LanguageModel]):
    assert (CompactDecoder.of(language_model(family).causal) is not None) == (family in KNOWN)


def test_a_factor_of_the_residuals_is_noticed():
    assert CompactDecoder.of(build("granite")) is not None
    causal = build("granite")
    for layer in cast(Any, causal).base_model.layers:
        layer.residual_multiplier = 0.5
    assert CompactDecoder.of(causal) is None


@pytest.mark.parametrize("scaling", ["linear", "dynamic", "yarn", "llama3"])
def test_scaled_positions_are_the_family_s(scaling: str):
    numbers = {"rope_type": scaling, "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 64}
    more = {"low_freq_factor": 1.0, "high_freq_factor": 4.0} if scaling == "llama3" else {}
    assert CompactDecoder.of(build("llama", **cast(Any, {"rope_parameters": numbers | more}))) is not None


def test_weights_are_the_backbone_s_and_follow_it():
    causal = build("qwen3")
    decoder = CompactDecoder.of(causal)
    assert decoder is not None
    query = decoder.layers[0].query
    assert isinstance(query, Linear)
    assert query.weight is cast(Any, causal).base_model.layers[0].self_attn.q_proj.weight
    with torch.no_grad():
        for weight in causal.parameters():
            weight.mul_(1.1)
    assert repeats_hidden_states(causal, decoder.states)


def test_another_type_is_a_copy_that_stays_near():
    causal = build("qwen3")
    exact, rough = CompactDecoder.of(causal), CompactDecoder.of(causal, torch.bfloat16)
    assert exact is not None
    assert rough is not None
    assert (rough.dtype, exact.dtype) == (torch.bfloat16, torch.float32)
    embedded = causal.get_input_embeddings()(torch.tensor([[3, 1, 4, 1, 5, 9]])).detach()
    with torch.inference_mode():
        states = exact.states(embedded)
        for other, tolerance in ((rough.states(embedded), 0.05), (exact.quantised().states(embedded), 0.1)):
            assert 0 < float((other - states).pow(2).mean().sqrt() / states.std()) < tolerance


def test_padding_changes_nothing():
    class Roomy:
        """Pads to 5 branches of 6 tokens."""

        def chunk(self, length: int) -> int:
            return max(5, length)

        def room(self, count: int, length: int) -> tuple[int, int]:
            return max(5, count), max(6, length)

        def halves(self, count: int, length: int):
            assert (count, length) == (5, 6)
            return Plainly().halves(count, length)

    causal = build("llama")
    plain = CompactDecoder.of(causal)
    assert plain is not None
    padded = CompactDecoder(plain.layers, plain.norm, plain.shape, plain.rotary, Roomy())
    random = np.random.default_rng(0)
    embedded = torch.from_numpy(random.normal(size=(3, 4, 32)).astype(np.float32))
    pairs = [torch.from_numpy(random.normal(size=(2, 1, 2, 7, 8)).astype(np.float32)) for _ in plain.layers]
    trunk = [(keys, values) for keys, values in pairs]
    places, positions = torch.tensor([[1], [3], [2]]), torch.arange(7, 11)[None]
    with torch.inference_mode():
        left, right = (one.read(embedded, positions, places=places, trunks=[(3, trunk)]) for one in (padded, plain))
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5)
