"""Attention of packed trees on AMX tiles, with its derivative: `attention.cpp` as an `AttentionPlan`.

What it decides: it takes part where products are bfloat16 anyway, in tuning under autocast or with such weights, so
float32 stays what it was. The relation of a batch becomes bits once, for all layers; each key/value head of each row is
one task of a thread.

Dimension letters: B rows, T tokens, H heads, K key/value heads, E width of a head, W words of 32 tokens.
"""

from dataclasses import dataclass
from typing import Any, Final, Self, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt32
from torch import Tensor

from recollect.model.attention import attend
from recollect.model.native.library import Trees, load_kernel

__all__ = ["TilePlan"]

_WORD: Final = 32


@dataclass(frozen=True, eq=False, slots=True)
class TilePlan:
    """Attend blocks of 32 tokens in which somebody sees somebody; an `AttentionPlan`.

    Parameters
    ----------
    mask
        Who sees whom, per row.
    seen
        Bits of the tokens that each token sees.
    asking
        Bits of the tokens that see each token.
    """

    mask: Bool[np.ndarray, "B T T"]
    seen: UInt32[np.ndarray, "B T W"]
    asking: UInt32[np.ndarray, "B T W"]

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "B T T"]) -> Self:
        """Turn visibility into bits.

        Parameters
        ----------
        mask
            Who sees whom, per row.
        """
        return cls(mask, _bits(mask), _bits(mask.transpose(0, 2, 1)))

    def attend(
        self,
        layer: int,  # noqa: ARG002 - all layers alike
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scaling: float,
        softcap: float | None,
    ) -> Float[Tensor, "B H T E"]:
        """Attend in bfloat16; heads of odd widths and capped scores take the ordinary way under the same mask."""
        if softcap is not None or query.shape[3] % _WORD or query.shape[3] != value.shape[3]:
            mask = torch.from_numpy(self.mask)[:, None]
            return attend(query, key, value, mask=mask, scaling=scaling, softcap=softcap)
        return cast(Tensor, _TreeAttention.apply(query, key, value, self, scaling))


class _TreeAttention(torch.autograd.Function):
    """The two calls of the kernel."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: TilePlan, scaling: float) -> Tensor:
        query, key, value = map(_in_pieces, (query, key, value))
        rows, heads, tokens, width = query.shape
        out = query.new_empty((rows, tokens, heads, width))
        totals = torch.empty((rows, heads, tokens), dtype=torch.float32)
        trees = _trees(plan, scaling, query, key, value)
        trees.out, trees.log_totals = out.data_ptr(), totals.data_ptr()
        load_kernel().attend_trees(trees)
        ctx.save_for_backward(query, key, value, out, totals)
        ctx.plan, ctx.scaling = plan, scaling
        return out.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, totals = ctx.saved_tensors
        grad = _in_pieces(grads[0])
        found = [one.new_empty((one.shape[0], one.shape[2], one.shape[1], one.shape[3])) for one in (query, key, value)]
        trees = _trees(ctx.plan, ctx.scaling, query, key, value, grad)
        trees.out, trees.log_totals = out.data_ptr(), totals.data_ptr()
        trees.query_grad, trees.key_grad, trees.value_grad = (one.data_ptr() for one in found)
        load_kernel().derive_trees(trees)
        return (*(one.transpose(1, 2) for one in found), None, None)


def _trees(plan: TilePlan, scaling: float, *states: Tensor) -> Trees:
    """Point at queries, keys, values and perhaps the gradient of what was attended to."""
    query, key = states[:2]
    named = dict(zip(("query", "key", "value", "grad"), states, strict=False))
    return Trees(
        threads=torch.get_num_threads(),
        rows=query.shape[0],
        tokens=query.shape[2],
        heads=query.shape[1],
        shared=key.shape[1],
        width=query.shape[3],
        scaling=scaling,
        seen=plan.seen.ctypes.data,
        asking=plan.asking.ctypes.data,
        **{name: one.data_ptr() for name, one in named.items()},
        **{f"{name}_steps": one.stride()[:3] for name, one in named.items()},
    )


def _in_pieces(states: Tensor) -> Tensor:
    """Return states in bfloat16 with each head of a token in one piece."""
    narrow = states.bfloat16()
    return narrow if narrow.stride(3) == 1 else narrow.contiguous()


def _bits(mask: Bool[np.ndarray, "B T T"]) -> UInt32[np.ndarray, "B T W"]:
    """Pack the last axis into words, least bits first."""
    padding = -mask.shape[2] % _WORD
    padded = np.pad(mask, ((0, 0), (0, 0), (0, padding)))
    return np.ascontiguousarray(np.packbits(padded, axis=2, bitorder="little")).view("<u4")
