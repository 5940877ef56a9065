"""Gated attention is one softmax with biases, and its gradient is the closed form of the demonstration effect."""

import pytest
import torch

from recollect.model.gated_attention import GatedPlan, HeadReadings, attend_row
from recollect.model.prefix_attention import attend_prefix

ROWS, HEADS, SHARED, LENGTH, WIDTH = 3, 4, 2, 5, 8
START, LENGTHS = 2, (4, 1, 6)
COLUMNS = START + sum(LENGTHS)
BLOCKS = torch.repeat_interleave(torch.tensor([3, 0, 1, 2]), torch.tensor([START, *LENGTHS]))
SCALING, CAPS = WIDTH**-0.5, (None, 4.0)


def draw(dtype: torch.dtype, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw queries, keys and values with peaked scores, and gates of which one hides."""
    random = torch.Generator().manual_seed(seed)
    sizes = {
        "query": (ROWS, HEADS, LENGTH, WIDTH),
        "key": (ROWS, SHARED, LENGTH, WIDTH),
        "value": (ROWS, SHARED, LENGTH, WIDTH),
        "before_key": (SHARED, COLUMNS, WIDTH),
        "before_value": (SHARED, COLUMNS, WIDTH),
        "wanted": (ROWS, HEADS, LENGTH, WIDTH),
    }
    drawn = {name: torch.randn(size, generator=random, dtype=dtype) for name, size in sizes.items()}
    drawn["query"] *= 3
    drawn["gates"] = torch.rand(ROWS, len(LENGTHS), generator=random, dtype=dtype) + 0.1
    drawn["gates"][1, 2] = 0
    return drawn


def bias_of(gates: torch.Tensor) -> torch.Tensor:
    logs = torch.where(gates > 0, gates.log(), torch.finfo(gates.dtype).min)
    return torch.cat([logs, torch.zeros(ROWS, 1, dtype=gates.dtype)], 1)[:, BLOCKS]


def explicit_weights(drawn: dict[str, torch.Tensor], bias: torch.Tensor, cap: float | None) -> torch.Tensor:
    """Compute one softmax over prefix and own tokens: R x H x L x (P + L)."""
    group = HEADS // SHARED
    before = drawn["before_key"].repeat_interleave(group, 0).expand(ROWS, -1, -1, -1)
    keys = torch.cat([before, drawn["key"].repeat_interleave(group, 1)], 2)
    scores = drawn["query"] @ keys.mT * SCALING
    scores = scores if cap is None else cap * torch.tanh(scores / cap)
    own = torch.zeros(LENGTH, LENGTH, dtype=bias.dtype).masked_fill(
        torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1), -torch.inf
    )
    added = torch.cat([bias[:, None].expand(-1, LENGTH, -1), own.expand(ROWS, -1, -1)], -1)
    return (scores + added[:, None]).softmax(-1)


def explicit_values(drawn: dict[str, torch.Tensor]) -> torch.Tensor:
    group = HEADS // SHARED
    before = drawn["before_value"].repeat_interleave(group, 0).expand(ROWS, -1, -1, -1)
    return torch.cat([before, drawn["value"].repeat_interleave(group, 1)], 2)


def gated(drawn: dict[str, torch.Tensor], bias: torch.Tensor, cap: float | None, **more) -> torch.Tensor:
    keys, values = ([drawn[name]] * 2 for name in ("before_key", "before_value"))
    plan = GatedPlan.of(keys, values, bias=bias, length=LENGTH, **more)
    return plan.attend(1, drawn["query"], drawn["key"], drawn["value"], scaling=SCALING, softcap=cap)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("cap", CAPS)
def test_one_softmax_over_prefix_and_own_tokens(dtype, close, cap):
    drawn = draw(dtype)
    bias = bias_of(drawn["gates"])
    expected = explicit_weights(drawn, bias, cap) @ explicit_values(drawn)
    assert (gated(drawn, bias, cap) - expected).abs().max() <= close


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("times", [1, 2100], ids=["in one piece", "in tiles"])
def test_gradients_are_those_of_the_explicit_softmax(cap, times):
    drawn = draw(torch.float64)
    leaves = [drawn[name].requires_grad_() for name in ("query", "key", "value")]
    drawn |= {name: drawn[name].repeat(1, times, 1) for name in ("before_key", "before_value")}
    bias = bias_of(drawn["gates"]).repeat(1, times).requires_grad_()
    drawn["wanted"][:, :, 3:] = 0  # nothing depends on these tokens
    found, expected = (
        torch.autograd.grad((output * drawn["wanted"]).sum(), [*leaves, bias])
        for output in (gated(drawn, bias, cap), explicit_weights(drawn, bias, cap) @ explicit_values(drawn))
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    assert found[-1].abs().max() * times > 0.1
    assert (found[-1][1, BLOCKS.repeat(times) == 2] == 0).all()  # hidden


def test_effect_has_its_closed_form():
    """Minus the derivative by log gates is -sum <dl/do, a_j (o_j - o)> (spec `lrgd`, section 3.3)."""
    drawn = draw(torch.float64)
    bias = bias_of(drawn["gates"]).requires_grad_()
    output = gated(drawn, bias, None)
    (slope,) = torch.autograd.grad((output * drawn["wanted"]).sum(), bias)
    weights, values = explicit_weights(drawn, bias.detach(), None), explicit_values(drawn)
    for block in range(len(LENGTHS)):
        inside = torch.zeros(COLUMNS + LENGTH, dtype=torch.bool)
        inside[:COLUMNS] = block == BLOCKS
        moved = (weights * inside) @ values - (weights * inside).sum(-1, keepdim=True) * output.detach()
        closed = (drawn["wanted"] * moved).sum((1, 2, 3))
        torch.testing.assert_close(slope[:, block == BLOCKS].sum(1), closed, rtol=0, atol=1e-12)


def test_readings_are_shares_and_products_of_what_demonstrations_add():
    drawn = draw(torch.float64)
    bias, slots = bias_of(drawn["gates"]), torch.tensor([4, 2, 3])
    columns = torch.tensor([[2, 3, 4, 5, 13, 13], [6, 13, 13, 13, 13, 13], [7, 8, 9, 10, 11, 12]])
    readings = HeadReadings(slots, columns)
    output = gated(drawn, bias, None, readings=readings)
    rows = torch.arange(ROWS)
    weights, values = explicit_weights(drawn, bias, None)[rows, :, slots], explicit_values(drawn)
    parts = [weights[..., :COLUMNS] * (block == BLOCKS) for block in range(len(LENGTHS))]
    share = torch.stack([part.sum(-1) for part in parts])
    added = torch.stack([torch.einsum("rhp,rhpe->rhe", part, values[:, :, :COLUMNS]) for part in parts])
    moved = (added - share[..., None] * output[rows, :, slots]).flatten(1)
    torch.testing.assert_close(readings.share, share.sum(-1).T, rtol=0, atol=1e-12)
    torch.testing.assert_close(readings.gram, moved @ moved.T, rtol=0, atol=1e-12)
    assert readings.heads == HEADS


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_hidden_prefix_leaves_the_row_alone(dtype):
    drawn = draw(dtype)
    bias = torch.full((ROWS, COLUMNS), torch.finfo(dtype).min, dtype=dtype).requires_grad_()
    output = gated(drawn, bias, None)
    alone, _ = attend_row(drawn["query"], drawn["key"], drawn["value"], scaling=SCALING)
    torch.testing.assert_close(output, alone, rtol=0, atol=0)
    (slope,) = torch.autograd.grad(output.sum(), bias)
    assert (slope == 0).all()


def test_narrow_types_are_widened():
    drawn = {name: states.bfloat16() for name, states in draw(torch.float32).items()}
    wide = {name: states.float() for name, states in drawn.items()}
    bias = bias_of(wide["gates"])
    plan = GatedPlan.of([wide["before_key"]], [wide["before_value"]], bias=bias, length=LENGTH)
    output = plan.attend(0, drawn["query"], drawn["key"], drawn["value"], scaling=SCALING, softcap=None)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, gated(wide, bias, None).bfloat16())


def test_rows_do_not_depend_on_the_batch():
    drawn = draw(torch.float64)
    bias = bias_of(drawn["gates"])
    one = slice(1, 2)
    whole = attend_prefix(drawn["query"], drawn["before_key"], drawn["before_value"], bias=bias, scaling=SCALING)
    alone = attend_prefix(
        drawn["query"][one], drawn["before_key"], drawn["before_value"], bias=bias[one], scaling=SCALING
    )
    torch.testing.assert_close([part[one] for part in whole], list(alone), rtol=0, atol=1e-14)
