"""Attention of packed trees block by block: what no token of a block sees is not computed.

What it is: an `AttentionPlan` for whole packed trees, in tuning and in replay. The mask of each row is cut into blocks
of queries; each block attends, in one call of ordinary attention under its own piece of the mask, to the keys that at
least one of its tokens sees. Autograd does the rest.

What it decides: blocks are read off the mask, so every relation is exact and none is assumed: a trunk's block meets
only what stands before it, a branch no other branch far away, a tree no neighbour in its row. Cuts fall where a token
stops seeing what the one before it sees (there a tree or a branch begins); short stretches share a block. Where blocks
save little or would leave cores idle the dense mask stays, as it does on GPUs, where this was never measured. Joining
a trunk without a mask and its branches by log-sum-exp would skip hardly more: blocks compute some 0.55 of the dense
mask over a trunk of 1,024 tokens with eight branches, and the least that there is is 0.45.

Dimension letters: B rows, T tokens, H heads, L queries and P keys of a block, E width of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from transformers import PreTrainedModel

from recollect.model.attention import AttentionPlan, attend
from recollect.model.native.attention import TilePlan
from recollect.model.native.library import has_kernel

__all__ = ["Block", "BlockPlan", "cut_blocks", "drops_attention", "tree_plan"]

_QUERIES: Final = 128  # of a block, at most: fewer skip more of the triangle, more make larger products
_WORTH: Final = 0.75  # share of the scores above which leaving out the others does not pay
_DROPOUTS: Final = ("attention_dropout", "attn_pdrop")  # what families call dropout of attention weights


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Hold some queries of a row and the keys that they see.

    Parameters
    ----------
    queries
        Tokens that ask.
    keys
        Tokens that are asked: a stretch, or their numbers where much in between is unseen.
    """

    queries: range
    keys: range | Int64[np.ndarray, " P"]


@dataclass(frozen=True, eq=False, slots=True)
class BlockPlan:
    """Attend block by block; an `AttentionPlan`.

    Parameters
    ----------
    rows
        Of each row, its blocks in order: queries, keys, and what is added to their scores (1 x 1 x L x P).
    """

    rows: list[list[tuple[range, range | Tensor, Tensor]]]

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
        """Attend each row's blocks to what they see."""
        rows: list[Tensor] = []
        for number, blocks in enumerate(self.rows):
            own, keys, values = (states[number : number + 1] for states in (query, key, value))
            parts = [
                attend(_take(own, q), _take(keys, k), _take(values, k), mask=mask, scaling=scaling, softcap=softcap)
                for q, k, mask in blocks
            ]
            rows.append(torch.cat(parts, dim=2))
        return torch.cat(rows)


def tree_plan(
    causal: PreTrainedModel,
    mask: Bool[np.ndarray, "B T T"],
    *,
    dtype: torch.dtype,
    added: Callable[[np.ndarray], Tensor],
) -> AttentionPlan | None:
    """Plan attention on tiles, by blocks, or return None where the dense mask does as well.

    Parameters
    ----------
    causal
        The model, whose attention can be plugged.
    mask
        Who sees whom, per row.
    dtype
        Type in which attention computes; tiles hold bfloat16.
    added
        Turns visibility into numbers that are added to scores.
    """
    if causal.device.type != "cpu" or (causal.training and drops_attention(causal.config)):
        return None
    if dtype == torch.bfloat16 and has_kernel():
        return TilePlan.of(mask)
    return _block_plan(causal, mask, added=added)


def _block_plan(
    causal: PreTrainedModel, mask: Bool[np.ndarray, "B T T"], *, added: Callable[[np.ndarray], Tensor]
) -> BlockPlan | None:
    """Plan attention by blocks, or return None where the dense mask does as well."""
    heads: int = causal.config.get_text_config().num_attention_heads
    idle = torch.get_num_threads() > heads  # one row keeps as many cores busy as it has heads
    if idle or mask.shape[1] <= 2 * _QUERIES:
        return None
    rows = [cut_blocks(row) for row in mask]
    if sum(len(block.queries) * len(block.keys) for blocks in rows for block in blocks) > _WORTH * mask.size:
        return None
    return BlockPlan(
        [[_prepared(block, row, added) for block in blocks] for blocks, row in zip(rows, mask, strict=True)]
    )


def drops_attention(config: Any) -> bool:
    """Tell whether a model drops attention weights while it is tuned, which plans do not know.

    Parameters
    ----------
    config
        Of the model.
    """
    text = config.get_text_config()
    return any(getattr(text, name, 0) for name in _DROPOUTS)


def cut_blocks(mask: Bool[np.ndarray, "T T"], *, queries: int = _QUERIES) -> list[Block]:
    """Cut a row into blocks that cover its tokens in order.

    Parameters
    ----------
    mask
        Who sees whom; every token sees at least one.
    queries
        Of a block, at most.

    Examples
    --------
    A tree of 200 tokens and one of 120 in a row:

    >>> mask = np.zeros((320, 320), bool)
    >>> mask[:200, :200], mask[200:, 200:] = np.tri(200), np.tri(120)
    >>> for block in cut_blocks(mask):
    ...     print(block.queries, block.keys)
    range(0, 100) range(0, 100)
    range(100, 200) range(0, 200)
    range(200, 320) range(200, 320)
    """
    return [Block(span, _seen(mask[span.start : span.stop])) for span in _spans(mask, queries)]


def _spans(mask: Bool[np.ndarray, "T T"], queries: int) -> list[range]:
    """Cut where a token stops seeing what the one before it sees; then join short stretches and split long ones."""
    begins = 1 + np.flatnonzero((mask[:-1] & ~mask[1:]).any(axis=1))
    spans: list[range] = []
    for start, end in pairwise([0, *begins.tolist(), len(mask)]):
        if spans and end - spans[-1].start <= queries:
            spans[-1] = range(spans[-1].start, end)
        else:
            cuts = np.linspace(start, end, 1 + -(-(end - start) // queries)).astype(int).tolist()
            spans += [range(first, last) for first, last in pairwise(cuts)]
    return spans


def _seen(mask: Bool[np.ndarray, "L T"]) -> range | Int64[np.ndarray, " P"]:
    seen = np.flatnonzero(mask.any(axis=0))
    whole = range(int(seen[0]), int(seen[-1]) + 1)
    return whole if len(seen) > _WORTH * len(whole) else seen


def _prepared(
    block: Block, mask: Bool[np.ndarray, "T T"], added: Callable[[np.ndarray], Tensor]
) -> tuple[range, range | Tensor, Tensor]:
    queries, keys = block.queries, block.keys
    columns = slice(keys.start, keys.stop) if isinstance(keys, range) else keys
    piece = added(mask[queries.start : queries.stop, columns])[None, None]
    return queries, keys if isinstance(keys, range) else torch.from_numpy(keys).to(piece.device), piece


def _take(states: Tensor, tokens: range | Tensor) -> Tensor:
    """Take tokens of a row; a stretch is a view."""
    return states[:, :, tokens.start : tokens.stop] if isinstance(tokens, range) else states.index_select(2, tokens)
