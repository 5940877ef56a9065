"""The cascade is one exact softmax over trunk and branch, whichever way its parts are computed."""

import pytest
import torch
from torch import Tensor

from recollect.errors import ModelError
from recollect.model import attention
from recollect.model.attention import attend, attend_cascade, attention_forward


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_definition(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, *, cap: float | None = None) -> Tensor:
    groups = query.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
    scores = query @ keys.mT * 0.3
    scores = scores if cap is None else cap * torch.tanh(scores / cap)
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), -1) @ values


@pytest.mark.parametrize("cap", [None, 1.5], ids=["plain", "soft-capped"])
@pytest.mark.parametrize("heads", [2, 6], ids=["own heads", "grouped heads"])
@pytest.mark.parametrize(("length", "trunk"), [(1, 7), (4, 7), (4, 0), (1, 0)])
def test_cascade_is_one_softmax(length: int, trunk: int, heads: int, cap: float | None):
    query = 3 * draw(5, heads, length, 8, seed=1)
    key, value = 3 * draw(5, 2, length, 8, seed=2), draw(5, 2, length, 8, seed=3)
    trunk_key, trunk_value = 3 * draw(1, 2, trunk, 8, seed=4), draw(1, 2, trunk, 8, seed=5)
    got = attend_cascade(query, key, value, trunk_key=trunk_key, trunk_value=trunk_value, scaling=0.3, softcap=cap)
    mask = torch.cat([torch.ones(length, trunk), torch.ones(length, length).tril()], dim=1).bool()
    keys = torch.cat([trunk_key.expand(5, -1, -1, -1), key], dim=2)
    values = torch.cat([trunk_value.expand(5, -1, -1, -1), value], dim=2)
    torch.testing.assert_close(got, by_definition(query, keys, values, mask, cap=cap), rtol=0, atol=1e-5)


def test_large_scores_do_not_overflow():
    query, key = torch.full((1, 1, 1, 4), 100.0), torch.full((1, 1, 1, 4), 100.0)
    got = attend_cascade(
        query, key, torch.ones(1, 1, 1, 4), trunk_key=-key, trunk_value=torch.zeros(1, 1, 1, 4), scaling=1.0
    )
    torch.testing.assert_close(got, torch.ones(1, 1, 1, 4))


@pytest.mark.parametrize("cap", [None, 1.5])
def test_attend_under_a_mask_or_causally(cap: float | None):
    query, key, value = draw(2, 4, 5, 8, seed=1), draw(2, 2, 5, 8, seed=2), draw(2, 2, 5, 8, seed=3)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    expected = by_definition(query, key, value, mask, cap=cap)
    added = torch.zeros(5, 5).masked_fill(~mask, float("-inf"))
    for causal, given in ((True, None), (False, mask), (False, added)):
        got = attend(query, key, value, scaling=0.3, softcap=cap, causal=causal, mask=given)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_both_ways_give_one_output_and_one_log_sum_exp(causal: bool):
    query, key, value = (draw(2, 4, 5, 8, seed=n) for n in range(3))
    fast = attention._attend_with_lse(query, key, value, scaling=0.3, softcap=None, causal=causal)
    mask = attention._additive(None, query, causal=causal)
    plain = attention._attend_explicitly(query, key, value, mask=mask, scaling=0.3, cap=None)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("cap", [None, 1.5])
@pytest.mark.parametrize("causal", [False, True])
def test_flex_attention_gives_the_same_output_and_log_sum_exp(causal: bool, cap: float | None):
    query, key, value = (draw(2, 4, 16, 16, seed=n) for n in range(3))
    mask = attention._additive(None, query, causal=causal)
    with torch.inference_mode():
        flexible = attention._attend_flexibly(query, key, value, scaling=0.3, softcap=cap, causal=causal)
    plain = attention._attend_explicitly(query, key, value, mask=mask, scaling=0.3, cap=cap)
    torch.testing.assert_close(flexible, plain, rtol=0, atol=1e-5)


def test_terms_that_we_do_not_know_are_refused():
    states = torch.ones(1, 1, 2, 4)
    with pytest.raises(ModelError, match="s_aux"):
        attention_forward(torch.nn.Identity(), states, states, states, None, s_aux=torch.ones(1))
