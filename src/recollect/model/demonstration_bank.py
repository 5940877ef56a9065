"""The bank of demonstrations: each one encoded once, alone behind the start of the prompt, and kept.

What it is: `Banks` encodes blocks of tokens and keeps their keys and values up to a limit of bytes; `Bank` is the start
and some blocks side by side, the prefix of a query pass (`recollect.model.demonstrations`).

What it decides: no block sees another, all begin at the position where the start ends, and queries begin where the
longest block ends (parallel context windows; spec `lrgd`, sections 2.7 and 3.5). So what a block contributes depends
neither on the others nor on queries, and is known by the model's revision and type, the start's tokens and its own. The
least recently used blocks are forgotten first. A bank holds no padding: blocks stand end to end.

Dimension letters: N blocks, T tokens of the longest, P tokens of start and blocks, K key/value heads, E width
of a head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from recollect.errors import ModelError
from recollect.model.cache_plans import CascadePlan
from recollect.model.check import evaluating
from recollect.model.gated_attention import widened
from recollect.model.language_model import LanguageModel
from recollect.model.plan_pass import require_gates, run_rows
from recollect.prompt.branches import Branches

__all__ = ["Bank", "Banks"]

_CHUNK_TOKENS: Final = 2048  # of blocks encoded together, padding included
_Key = tuple[str, str, bytes, bytes]
_Layers = tuple[tuple[Tensor, Tensor], ...]  # keys and values of each layer, K x T x E


@dataclass(frozen=True, eq=False, slots=True)
class Bank:
    """Hold an encoded start and encoded blocks behind it. Make one with `Banks.bank`.

    Parameters
    ----------
    keys, values
        One of each per layer.
    start
        Tokens of the start, the first columns.
    lengths
        Tokens of each block; blocks follow in order.
    """

    keys: tuple[Float[Tensor, "K P E"], ...]
    values: tuple[Float[Tensor, "K P E"], ...]
    start: int
    lengths: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def next_position(self) -> int:
        """Position where queries begin: behind the longest block."""
        return self.start + int(self.lengths.max(initial=0))

    def blocks(self) -> Int64[np.ndarray, " P"]:
        """Say of each column which block it belongs to; N for the start."""
        count = len(self)
        return np.repeat(np.r_[count, np.arange(count)], np.r_[self.start, self.lengths])

    def columns(self) -> Int64[np.ndarray, "N T"]:
        """List the columns of each block; P where it has no more."""
        ends = self.start + np.cumsum(self.lengths)
        places = np.arange(int(self.lengths.max(initial=0))) + (ends - self.lengths)[:, None]
        return np.where(places < ends[:, None], places, self.start + int(self.lengths.sum()))

    def take(self, kept: Int64[np.ndarray, " N"]) -> Bank:
        """Return a bank with some of the blocks; queries of the whole bank keep their positions.

        Parameters
        ----------
        kept
            Numbers of blocks.
        """
        places = [np.flatnonzero(self.blocks() == block) for block in (len(self), *kept.tolist())]
        columns = torch.from_numpy(np.concatenate(places)).to(self.keys[0].device)
        keys = tuple(layer.index_select(1, columns) for layer in self.keys)
        values = tuple(layer.index_select(1, columns) for layer in self.values)
        return Bank(keys, values, self.start, self.lengths[kept])


class Banks:
    """Encode blocks of demonstrations and keep them, the most recently used ones first.

    Parameters
    ----------
    model
        Encodes them.
    revision
        Digest of its weights; what another revision encoded is never used.
    limit_bytes
        Most bytes of keys and values that are kept.

    Raises
    ------
    ModelError
        If the backbone's attention takes no gates.
    """

    def __init__(self, model: LanguageModel, *, revision: str, limit_bytes: int = 2**28) -> None:
        require_gates(model)
        self.model = model
        self.revision = revision
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[_Key, _Layers] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values kept."""
        return self._bytes

    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def bank(self, start: Int32[np.ndarray, " S"], blocks: Sequence[Int32[np.ndarray, "_"]]) -> Bank:
        """Put the start and some blocks side by side, encoding those that are not kept.

        Parameters
        ----------
        start
            Tokens before every block; may be none.
        blocks
            Tokens of each block, at least one; there is at least one block.

        Raises
        ------
        ModelError
            If there is no block, one has no tokens, or one lies farther than the backbone can look.
        """
        if not blocks or not all(map(len, blocks)):
            raise ModelError(
                what="a bank needs demonstrations, each with at least one token",
                got=f"blocks of {[len(block) for block in blocks]} tokens",
                expected="one or more blocks of one or more tokens",
                do="leave empty demonstrations out",
            )
        first = self._encoded(start[:0], [start])[0] if len(start) else ()
        rest = self._encoded(start, blocks)
        parts = [part for part in (first, *rest) if part]
        layers = list(zip(*parts, strict=True))
        keys = tuple(torch.cat([part[0] for part in layer], 1) for layer in layers)
        values = tuple(torch.cat([part[1] for part in layer], 1) for layer in layers)
        return Bank(keys, values, len(start), np.array([len(block) for block in blocks], np.int64))

    def _encoded(self, start: Int32[np.ndarray, " S"], blocks: Sequence[Int32[np.ndarray, "_"]]) -> list[_Layers]:
        """Look blocks up, or encode them."""
        dtype = str(self.model.causal.dtype)
        names = [(self.revision, dtype, start.tobytes(), block.tobytes()) for block in blocks]
        with self._lock:
            found = {name: self._kept[name] for name in names if name in self._kept}
        missing = {name: block for name, block in zip(names, blocks, strict=True) if name not in found}
        if missing:
            before = self._encoded(start[:0], [start])[0] if len(start) else ()
            found |= dict(zip(missing, _encode(self.model, before, list(missing.values())), strict=True))
        self._keep({name: found[name] for name in names})
        return [found[name] for name in names]

    def _keep(self, used: dict[_Key, _Layers]) -> None:
        """Note what was used, and forget the oldest beyond the limit."""
        with self._lock:
            for name, layers in used.items():
                if name not in self._kept:
                    self._bytes += _size(layers)
                self._kept[name] = layers
                self._kept.move_to_end(name)
            while self._bytes > self.limit_bytes:
                self._bytes -= _size(self._kept.popitem(last=False)[1])


@dataclass(frozen=True, eq=False, slots=True)
class _RecordingPlan:
    """Attend rows to what stands before them and to themselves, and keep their keys and values."""

    cascade: CascadePlan
    layers: list[tuple[Tensor, Tensor]]

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "B H T E"]:
        self.layers.append((widened(key), widened(value)))
        return self.cascade.attend(layer, query, key, value, scaling=scaling, softcap=softcap)


def _encode(model: LanguageModel, before: _Layers, blocks: list[Int32[np.ndarray, "_"]]) -> list[_Layers]:
    """Encode blocks behind what stands before them, some at a time, each with others of about its length."""
    order = sorted(range(len(blocks)), key=lambda number: len(blocks[number]))
    found: dict[int, _Layers] = {}
    for numbers in _chunks(order, [len(block) for block in blocks]):
        encoded = _encode_together(model, before, [blocks[number] for number in numbers])
        found |= dict(zip(numbers, encoded, strict=True))
    return [found[number] for number in range(len(blocks))]


def _encode_together(model: LanguageModel, before: _Layers, blocks: list[Int32[np.ndarray, "_"]]) -> list[_Layers]:
    """Encode blocks as rows padded on the right, where causality keeps the padding from having any effect."""
    longest = max(map(len, blocks))
    tokens = np.stack([np.pad(block, (0, longest - len(block))) for block in blocks])
    reach = before[0][0].shape[1] if before else 0
    plan = _RecordingPlan(CascadePlan([(keys[None], values[None]) for keys, values in before]), [])
    with evaluating(model):
        run_rows(model, Branches.of(tokens, start=reach), plan)
    return [
        tuple(
            (keys[row, :, : len(block)].clone(), values[row, :, : len(block)].clone()) for keys, values in plan.layers
        )
        for row, block in enumerate(blocks)
    ]


def _chunks(order: list[int], lengths: list[int]) -> Iterator[list[int]]:
    """Cut numbers of blocks, shortest block first, into stretches of so many padded tokens."""
    chunk: list[int] = []
    for number in order:
        if chunk and (len(chunk) + 1) * lengths[number] > _CHUNK_TOKENS:
            yield chunk
            chunk = []
        chunk.append(number)
    if chunk:
        yield chunk


def _size(layers: _Layers) -> int:
    return sum(states.nbytes for layer in layers for states in layer)
