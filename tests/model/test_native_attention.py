"""Attention on tiles and its derivatives are those of ordinary attention under the same relation."""

from typing import Any

import numpy as np
import pytest
import torch
from backbones import build
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from recollect.model.language_model import LanguageModel
from recollect.model.native.attention import TilePlan
from recollect.model.native.library import lacks_tiles
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach
from recollect.prompt.packing import pack
from recollect.prompt.tree import Segment, join_segments

ROUGH = 0.005
"""Root mean square error over that of the numbers, which stock attention in bfloat16 may exceed where sums cancel."""

pytestmark = pytest.mark.skipif(lacks_tiles() is not None, reason=str(lacks_tiles()))


def relation(kind: str, rows: int, tokens: int) -> np.ndarray:
    causal = np.broadcast_to(np.tri(tokens, dtype=bool), (rows, tokens, tokens))
    if kind == "causal":
        return causal.copy()
    sparse = np.random.default_rng(0).random(causal.shape) < 0.02
    return (causal & sparse) | np.eye(tokens, dtype=bool)


def states(rows: int, tokens: int, heads: int, width: int) -> Tensor:
    made = torch.randn(rows, tokens, heads, width, generator=torch.Generator().manual_seed(heads))
    return made.bfloat16().transpose(1, 2).requires_grad_()


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt())


@pytest.mark.parametrize("kind", ["causal", "sparse"])
@pytest.mark.parametrize(
    ("rows", "heads", "shared", "tokens", "width"),
    [(1, 2, 1, 5, 32), (2, 4, 2, 100, 64), (1, 3, 3, 333, 32), (1, 4, 1, 300, 128)],
)
def test_outputs_and_derivatives(kind: str, rows: int, heads: int, shared: int, tokens: int, width: int):
    mask = relation(kind, rows, tokens)
    given = [states(rows, tokens, count, width) for count in (heads, shared, shared)]
    grad = states(rows, tokens, heads, width).detach()
    exact = [one.detach().double().requires_grad_() for one in given]
    seen = torch.from_numpy(mask)[:, None]
    expected = scaled_dot_product_attention(*exact, attn_mask=seen, scale=0.3, enable_gqa=True)
    query, key, value = given
    found = TilePlan.of(mask).attend(0, query, key, value, scaling=0.3, softcap=None)
    assert error(found.detach(), expected.detach()) < ROUGH
    wanted = torch.autograd.grad(expected, exact, grad.double())
    stock = scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=0.3, enable_gqa=True)
    theirs = torch.autograd.grad(stock, given, grad)
    ours = torch.autograd.grad(found, given, grad)
    for one, their, other in zip(ours, theirs, wanted, strict=True):
        assert error(one, other) < max(ROUGH, 1.2 * error(their, other))


def test_odd_heads_and_capped_scores_take_the_ordinary_way():
    mask = relation("causal", 1, 20)
    for width, softcap in ((16, None), (32, 5.0)):
        query, key, value = (states(1, 20, 2, width).float() for _ in range(3))
        found = TilePlan.of(mask).attend(0, query, key, value, scaling=0.2, softcap=softcap)
        scores = query @ key.mT * 0.2
        scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
        weights = scores.masked_fill(~torch.from_numpy(mask)[:, None], float("-inf")).softmax(-1)
        torch.testing.assert_close(found, weights @ value, rtol=0, atol=1e-5)


def test_tuning_under_autocast_meets_the_gradients_of_float32():
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 32}
    model = LanguageModel(build("qwen3", **sizes), answers=((7,), (11,))).train()
    words = np.random.default_rng(1).integers(1, 61, (4, 9)).astype(np.int32)
    trunk = join_segments([Segment(words[0], start=0)])
    packed = pack([attach(trunk, Branches.of(words[1:], start=9))])
    gradients: list[Tensor] = []
    for narrow in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            logits = model(packed).float()
        (logits[:, 1] - logits[:, 0]).sum().backward()
        weights = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
        gradients.append(torch.cat(weights))
        model.zero_grad()
    assert 0 < error(gradients[1], gradients[0].double()) < 0.05
