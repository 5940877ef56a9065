"""The cost model: counts that can be checked by eye, and against real weights and real masks."""

import numpy as np
import pytest
import torch

from recollect.bench.cost import (
    Dimensions,
    append_cost,
    cold_cost,
    encode_cost,
    expanded_cost,
    prompts_cost,
    tuning_cost,
    warm_cost,
)
from recollect.bench.questions import make_question
from recollect.bench.shapes import build_backbone
from recollect.prompt.growth import attach

# one layer, width 2, one head of 2, feed-forward 3: 2 x 2 x 4 + 3 x 2 x 3 = 34 weights; 4 numbers of keys and values
SMALL = Dimensions(width=2, layers=1, heads=1, key_value_heads=1, head_width=2, feed_forward=3, vocabulary=10)


def test_body_and_states_by_eye():
    assert SMALL.body == 34
    assert SMALL.state_numbers() == 4


@pytest.mark.parametrize("name", ["tiny", "10M"])
def test_body_is_what_the_layers_hold(name):
    causal = build_backbone(name, dtype=torch.float32, device=torch.device("cpu"))
    matrices = [weight for key, weight in causal.named_parameters() if "layers" in key and weight.ndim == 2]
    assert Dimensions.of(causal.config).body == sum(weight.numel() for weight in matrices)


def test_a_warm_trunk_costs_the_branches_alone():
    cost = warm_cost(SMALL, candidates=3, trunk=5, branch=2, answers=2)
    # 6 tokens; each of 3 branches sees 2 x 5 + 3 pairs; 3 answers of 2 rows
    assert cost.flops == 2 * 34 * 6 + 4 * 2 * 39 + 2 * 2 * 3 * 2
    assert cost.numbers == (34 + 2 * 2) + 4 * (5 + 2 * 6)


def test_whole_prompts_cost_every_token_of_every_candidate():
    cost = prompts_cost(SMALL, candidates=3, trunk=5, branch=2, batch=2)
    assert cost.flops == 2 * 34 * 21 + 4 * 2 * 3 * 28 + 2 * 2 * 3 * 10
    assert cost.numbers == 2 * (34 + 2 * 10) + 4 * 2 * 21  # two batches


def test_an_expanded_cache_moves_the_trunk_twice_for_each_candidate():
    sizes = {"candidates": 3, "trunk": 5, "branch": 2}
    more = expanded_cost(SMALL, **sizes).numbers - warm_cost(SMALL, **sizes, answers=10).numbers
    assert more == 4 * 2 * 3 * 5


def test_cold_is_encoding_and_warm_and_appending_twice_is_encoding_once():
    sizes = {"candidates": 3, "trunk": 5, "branch": 2, "answers": 2}
    assert cold_cost(SMALL, **sizes) == encode_cost(SMALL, tokens=5) + warm_cost(SMALL, **sizes)
    halves = append_cost(SMALL, tokens=3, after=0) + append_cost(SMALL, tokens=2, after=3)
    assert halves.flops == encode_cost(SMALL, tokens=5).flops


def test_pairs_of_a_cold_question_are_those_of_the_mask():
    question = make_question(candidates=3, trunk=5, branch=2, vocabulary=50)
    pairs = int(attach(question.trunk, question.branches).mask().sum())
    ours = cold_cost(SMALL, candidates=3, trunk=5, branch=2, answers=0)
    assert ours.flops == 2 * 34 * 11 + 4 * 2 * pairs


def test_a_step_of_tuning_costs_three_forward_passes():
    cost = tuning_cost(SMALL, tokens=7, pairs=28, rows=7, columns=10)
    assert cost.flops == 3 * (2 * 34 * 7 + 4 * 2 * 28 + 2 * 2 * 7 * 10)
    assert np.isclose(cost.times(2.0).flops, 2 * cost.flops)
