"""Attention of many query rows to one prefix, each row under its own bias, differentiable by queries and bias.

What it is: `attend_prefix`. The bias is a number per row and column, such as the logarithm of a gate (spec `lrgd`,
section 3.2), and its derivative is the negative *demonstration effect* once it is summed over the columns of a
demonstration: -sum <dl/do, a_j (o_j - o)>.

What it decides: keys and values of the prefix are given and never ask for a gradient, so the derivative is written out
here. Nothing but outputs and log-sum-exps is kept between the passes; weights are computed again, a tile at a time that
fits a core's cache, and not at all for tokens on which nothing depends, such as all but the answer's in the last layer.
Grouped query heads are rows of one product with the key/value head that they share. On the CPU the forward pass is
torch's fused function, which reads one copy of the prefix for all rows.

Dimension letters: R query rows, L tokens of a row, H heads, K key/value heads, g = H / K, P tokens of the prefix,
E width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Final, cast

import numpy as np
import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

__all__ = ["attend_prefix"]

_TILE: Final = {"cpu": 2**18, "cuda": 2**26}  # scores of a tile: one megabyte of a core's cache


def attend_prefix(
    query: Float[Tensor, "R H L E"],
    key: Float[Tensor, "K P E"],
    value: Float[Tensor, "K P E"],
    *,
    bias: Float[Tensor, "R P"],
    scaling: float,
    softcap: float | None = None,
    mask: Float[Tensor, "M P"] | None = None,
) -> tuple[Float[Tensor, "R H L E"], Float[Tensor, "R H L"]]:
    """Attend all rows to the prefix, and return the log-sum-exp of each token's scores.

    Gradients reach the query and the bias, never the prefix.

    Parameters
    ----------
    query
        Of all rows.
    key, value
        The prefix, at least one column.
    bias
        Added to the scores of each row.
    scaling, softcap
        As in `recollect.model.attention.attend`.
    mask
        The bias once more for each of the M = R L tokens, for callers who make it once for all layers.
    """
    spread = bias.detach().repeat_interleave(query.shape[2], 0) if mask is None else mask
    return cast(tuple[Tensor, Tensor], _PrefixAttention.apply(query, bias, key, value, spread, scaling, softcap))


class _PrefixAttention(torch.autograd.Function):
    """The function with its derivative written out."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        bias: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        scaling: float,
        softcap: float | None,
    ) -> tuple[Tensor, Tensor]:
        if query.device.type == "cpu" and softcap is None and key.shape[2] == value.shape[2]:
            output, lse = _fused(query, key, value, mask=mask, scaling=scaling)
        else:
            output, lse = _tiled(query, key, value, bias=bias, scaling=scaling, softcap=softcap)
        ctx.save_for_backward(query, bias, key, value, output, lse)
        ctx.scaling, ctx.softcap = scaling, softcap
        return output, lse

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        deep = ctx.needs_input_grad[0]  # not in the first layer, below which no gate stands
        found = _derivative(*ctx.saved_tensors, *grads, scaling=ctx.scaling, softcap=ctx.softcap, deep=deep)
        return (*found, None, None, None, None, None)


def _fused(
    query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor, scaling: float
) -> tuple[Float[Tensor, "R H L E"], Float[Tensor, "R H L"]]:
    """Attend by torch's fused function: heads of a group are its heads, groups its batch, rows one after the other."""
    rows, heads, length, width = query.shape
    shared, columns = key.shape[:2]
    shape = (shared, heads // shared)
    folded = query.transpose(0, 1).reshape(*shape, rows * length, width)
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(  # noqa: SLF001 the public call drops the log-sum-exp
        folded,
        key[:, None].expand(*shape, columns, width),
        value[:, None].expand(*shape, columns, width),
        0.0,
        False,  # noqa: FBT003 not causal; the function takes it by place
        attn_mask=mask[None, None],
        scale=scaling,
    )
    return (
        output.reshape(heads, rows, length, width).transpose(0, 1),
        lse.reshape(heads, rows, length).transpose(0, 1),
    )


def _tiled(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor, scaling: float, softcap: float | None
) -> tuple[Float[Tensor, "R H L E"], Float[Tensor, "R H L"]]:
    """Attend a tile of rows and heads at a time: any device, soft-capped or not."""
    grouped = _grouped(query, key.shape[0])
    output = grouped.new_empty((*grouped.shape[:-1], value.shape[-1]))
    lse = grouped.new_empty(grouped.shape[:-1])
    for rows, heads in _tiles(grouped, key.shape[1]):
        scores = grouped[rows, heads].flatten(2, 3) @ key[heads].mT * scaling
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        scores += bias[rows, None, None]
        found = scores.logsumexp(-1)
        weights = scores.sub_(found.unsqueeze(-1)).exp_()
        shape = output[rows, heads].shape
        lse[rows, heads] = found.view(shape[:-1])
        output[rows, heads] = (weights @ value[heads]).view(shape)
    return output.flatten(1, 2), lse.flatten(1, 2)


def _derivative(
    query: Tensor,
    bias: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    lse: Tensor,
    output_grad: Tensor,
    lse_grad: Tensor,
    *,
    scaling: float,
    softcap: float | None,
    deep: bool,
) -> tuple[Float[Tensor, "R H L E"] | None, Float[Tensor, "R P"]]:
    """Compute the gradients of query (if it is deep enough to have one) and bias, a tile of one row at a time.

    The derivative of score i is w_i (<do, v_i> - <do, o> + dlse). What is added to all scores of a token or of a column
    is one more number of their product, since a pass over the tile would cost a good part of a product.
    """
    shared, total = key.shape[0], lse[..., None]
    moved = (output_grad * output).sum(-1, keepdim=True) - lse_grad[..., None]
    asked = _grouped(torch.cat([query * scaling, -total, torch.ones_like(total)], dim=-1), shared)
    wanted = _grouped(torch.cat([output_grad, -moved], dim=-1), shared)
    keys, values = (functional.pad(one.mT, (0, 0, 0, more), value=1.0) for one, more in ((key, 2), (value, 1)))
    query_grad, bias_grad = torch.zeros_like(asked[..., :-2]), torch.zeros_like(bias)
    used = (wanted != 0).any(-1).flatten(1, 2).any(1).numpy(force=True)
    for row in np.flatnonzero(used.any(axis=1)).tolist():
        keys[:, -1] = bias[row]
        some = np.flatnonzero(used[row])
        tokens = slice(int(some[0]), int(some[-1]) + 1)
        for _, heads in _tiles(asked[row : row + 1], key.shape[1]):
            place, slope = (row, heads, slice(None), tokens), None
            left, right = asked[place].flatten(1, 2), keys[heads]
            if softcap is None:
                scores = left @ right
            else:
                scores = softcap * torch.tanh(left[..., :-2] @ right[:, :-2] / softcap)
                slope = 1 - (scores / softcap) ** 2
                scores += left[..., -2:] @ right[:, -2:]
            grad = (wanted[place].flatten(1, 2) @ values[heads]).mul_(scores.exp_())
            bias_grad[row] += grad.sum((0, 1))
            if not deep:
                continue
            if slope is not None:
                grad *= slope
            query_grad[place] = (grad @ key[heads] * scaling).view(query_grad[place].shape)
    return query_grad.flatten(1, 2) if deep else None, bias_grad


def _grouped(states: Float[Tensor, "R H L E"], shared: int) -> Float[Tensor, "R K g L E"]:
    return states.reshape(states.shape[0], shared, -1, *states.shape[2:])


def _tiles(grouped: Float[Tensor, "R K g L E"], columns: int) -> Iterator[tuple[slice, slice]]:
    """Cut rows, and if need be key/value heads, so that a tile of scores stays small."""
    rows, heads, group, length = grouped.shape[:4]
    limit = _TILE.get(grouped.device.type, _TILE["cuda"])
    some_heads = min(heads, max(1, limit // max(1, group * length * columns)))
    some_rows = max(1, limit // max(1, heads * group * length * columns))
    starts = product(range(0, rows, some_rows), range(0, heads, some_heads))
    return ((slice(row, row + some_rows), slice(head, head + some_heads)) for row, head in starts)
