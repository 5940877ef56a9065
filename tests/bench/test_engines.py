"""Engines and the plain way: all of them give the same answers, and a way that does not is caught."""

import pytest
import torch

from recollect.bench.engines import AGREEMENT, largest_difference, make_engines, require_agreement
from recollect.bench.plain import PlainWay
from recollect.bench.questions import FIRST_TOKEN, make_question
from recollect.bench.shapes import SHAPES, build_backbone
from recollect.errors import ModelError, UsageError

CPU = torch.device("cpu")
QUESTION = make_question(candidates=3, trunk=20, branch=4, vocabulary=SHAPES["tiny"].vocabulary)


@pytest.fixture(scope="module")
def engines():
    causal = build_backbone("tiny", dtype=torch.float32, device=CPU)
    return make_engines(causal, precisions=("float32", "int8"), compiled=False)


def test_stock_ways_and_ours_agree(engines):
    plain = PlainWay(engines[0].model, QUESTION.trunk, QUESTION.branches)
    expected = plain.score(batch=2)
    assert largest_difference(plain.score_cached(), expected) <= AGREEMENT
    assert largest_difference(plain.score(batch=1, count=2), expected[:2]) <= AGREEMENT
    assert require_agreement(QUESTION, engines, expected=expected) <= AGREEMENT


def test_a_way_that_answers_otherwise_is_not_timed(engines):
    expected = PlainWay(engines[0].model, QUESTION.trunk, QUESTION.branches).score(batch=3)
    with pytest.raises(ModelError, match="gives other answers than stock transformers"):
        require_agreement(QUESTION, engines, expected=expected + 1e-3)


def test_questions_hold_no_marks():
    assert QUESTION.trunk.tokens.min() >= FIRST_TOKEN
    assert QUESTION.branches.tokens.min() >= FIRST_TOKEN


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_random_weights_follow_from_the_seed_alone(dtype):
    before = torch.get_rng_state()
    one, other = (build_backbone("tiny", dtype=dtype, device=CPU, seed=seed) for seed in (0, 0))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert {weight.dtype for weight in one.parameters()} == {dtype}
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_default_dtype() == torch.float32


def test_a_backbone_that_is_not_there():
    with pytest.raises(UsageError, match="no such backbone"):
        build_backbone("12M", dtype=torch.float32, device=CPU)
