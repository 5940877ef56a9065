"""The native decoder: branches and events through `branches.cpp`, all else through the compact decoder in bfloat16.

What it decides: each thread takes some branches through all layers, so threads meet only at the end of a query; an
event is taken by all together, and its keys and values are written where the store keeps them. Weights are packed once,
a trunk's keys and values in every query, which costs a few hundredths of it. Widths must be multiples of 32.

Dimension letters: C branches, L tokens of a branch, N places asked of a branch, T tokens, D width,
O outputs, I inputs, K key/value heads, P trunk tokens, E width of a head.
"""

from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from typing import Any, Final, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.model.cache_plans import AppendPlan, AppendsPlan
from recollect.model.compact import CompactBased, CompactDecoder, Trunks
from recollect.model.compact_layer import KeysAndValues, Layer, Linear
from recollect.model.native.library import DecoderNumbers, LayerWeights, Query, lacks_tiles, load_kernel

__all__ = ["NativeDecoder", "lacks_for_native"]

_STEP: Final = 32  # numbers of a tile's row
_TOGETHER: Final = 384  # tokens that a thread takes through the layers at once: their states stay in its cache
_EVENT_TOKENS: Final = 128  # up to which the kernel appends faster than product by product
_CHUNK_TOKENS: Final = 16_384  # branch tokens of one call
_HUGE_PAGE: Final = 2 << 20  # bytes
_PRODUCTS: Final = ("query", "key", "value", "out", "gate", "up", "down")


def lacks_for_native(decoder: CompactDecoder) -> str | None:
    """Name what the machine or this decoder lacks for the native kernel; None if nothing.

    Parameters
    ----------
    decoder
        Of any type.
    """
    if lacking := lacks_tiles():
        return lacking
    widths = {
        decoder.shape.width,
        *(size for layer in decoder.layers for part in layer if isinstance(part, Linear) for size in part.weight.shape),
    }
    odd = sorted(width for width in widths if width % _STEP)
    return f"widths that are no multiples of {_STEP}: {odd}" if odd else None


class NativeDecoder(CompactBased):
    """Compute hidden states in bfloat16, those of branches and events by the kernel. Make one with `NativeDecoder.of`.

    Parameters
    ----------
    compact
        The same weights in bfloat16, for trunks and packed trees.
    numbers
        Sizes, and pointers to packed weights.
    kept
        What the pointers point at.
    """

    def __init__(self, compact: CompactDecoder, numbers: DecoderNumbers, kept: list[Any]) -> None:
        super().__init__(compact)
        self._numbers = numbers
        self._kept = kept

    @classmethod
    def of(cls, decoder: CompactDecoder) -> Self:
        """Pack the weights of a decoder; they are copied, so later changes are not followed.

        Parameters
        ----------
        decoder
            One that lacks nothing (`lacks_for_native`).

        Raises
        ------
        ModelError
            If the kernel cannot be built or run.
        """
        packing = _Packing(decoder.layers)
        layers = (LayerWeights * len(decoder.layers))(*map(packing.layer, decoder.layers))
        first = decoder.layers[0]
        sizes = (_outputs(first.query), _outputs(first.key))
        numbers = DecoderNumbers(
            layers=len(decoder.layers),
            width=len(decoder.norm),
            heads=sizes[0] // decoder.shape.width,
            shared=sizes[1] // decoder.shape.width,
            head_width=decoder.shape.width,
            feed=_outputs(first.gate),
            scaling=decoder.shape.scaling,
            epsilon=decoder.shape.epsilon,
            layer=layers,
            norm=packing.vector(decoder.norm),
        )
        return cls(decoder.converted(torch.bfloat16), numbers, [layers, packing])

    def chunk(self, length: int) -> int:
        """Return how many branches one call takes."""
        return max(1, _CHUNK_TOKENS // length)

    def append(
        self, embedded: Float[Tensor, "1 T D"], positions: Int64[Tensor, "1 T"], *, plan: AppendPlan | AppendsPlan
    ) -> None:
        """Write the keys and values of new trunk tokens, as `CompactDecoder.append`; a few of them by the kernel.

        Parameters
        ----------
        embedded, positions, plan
            As in `CompactDecoder.append`. Several trunks grow one after the other, each as it would alone.
        """
        if isinstance(plan, AppendsPlan):
            for own, part in plan.spans():
                self.append(embedded[:, own], positions[:, own], plan=part)
            return
        few = plan.mask is None and plan.after and embedded.shape[1] <= _EVENT_TOKENS and plan.store.kind != "int8"
        kept = [plan.store.read(number, plan.after) for number in range(len(self.compact.layers))] if few else []
        if not _grows_in_place(kept, self.dtype):
            self.compact.append(embedded, positions, plan=plan)
            return
        self._ask(embedded, positions, trunk=_Trunk(kept, layers=1), ends=[1], grows=1)

    def read(
        self,
        embedded: Float[Tensor, "C L D"],
        positions: Int64[Tensor, "#C L"],
        *,
        places: Int64[Tensor, "C N"],
        trunks: Trunks,
    ) -> Float[Tensor, "C N D"]:
        """Compute the last hidden states at some places of each branch, in float32.

        Parameters
        ----------
        embedded, positions, places, trunks
            As in `CompactDecoder.read`; no more places than tokens.
        """
        states: list[Tensor] = []
        start = 0
        for count, trunk in trunks:
            own = slice(start, start + count)
            turned = positions[own] if len(positions) > 1 else positions
            states.append(self._read(embedded[own], turned, places[own], trunk))
            start += count
        return torch.cat(states)

    def _read(
        self, embedded: Tensor, positions: Tensor, places: Tensor, trunk: list[KeysAndValues]
    ) -> Float[Tensor, "C N D"]:
        """Read the branches behind one trunk."""
        count, length = embedded.shape[:2]
        asked = places.contiguous()
        out = torch.empty((*asked.shape, embedded.shape[2]))
        ends = _share_ends(count, length, threads=torch.get_num_threads())
        more = {"asks": asked.shape[1], "places": asked.data_ptr(), "out": out.data_ptr()}
        self._ask(embedded, positions, trunk=_Trunk(trunk), ends=ends, **more)
        return out

    def _ask(self, embedded: Tensor, positions: Tensor, *, trunk: "_Trunk", ends: Sequence[int], **more: int) -> None:
        """Call the kernel."""
        states = embedded.float().contiguous()
        cosines, sines = (one.float().contiguous() for one in self.compact.rotary(states, positions))
        query = Query(
            threads=torch.get_num_threads(),
            shares=len(ends),
            length=embedded.shape[1],
            turned=len(cosines),
            embedded=states.data_ptr(),
            cosines=cosines.data_ptr(),
            sines=sines.data_ptr(),
            ends=(c_int64 * len(ends))(*ends),
            **trunk.named,
            **more,
        )
        load_kernel().read_branches(self._numbers, query)


class _Trunk:
    """Point at the keys and values of a trunk, and at room for those of some or all layers as tiles want them.

    Attributes
    ----------
    named
        Fields of a query.
    """

    def __init__(self, trunk: Sequence[KeysAndValues], *, layers: int | None = None) -> None:
        self.named: dict[str, Any] = {}
        if trunk:
            self._keys, self._values = (_evenly([layer[kind] for layer in trunk]) for kind in (0, 1))
            _, heads, tokens, width = self._keys[0].shape
            rounded = -(-tokens // _STEP) * _STEP
            self._room = self._keys[0].new_empty((2, layers or len(trunk), heads, rounded, width))
            self.named = {
                "trunk": tokens,
                "keys": _pointers(self._keys),
                "values": _pointers(self._values),
                "key_steps": self._keys[0].stride()[1:3],
                "value_steps": self._values[0].stride()[1:3],
                "packed_keys": self._room[0].data_ptr(),
                "packed_values": self._room[1].data_ptr(),
            }


class _Packing:
    """Pack weights, and keep what was packed: matrices one behind the other, in huge pages where there are any."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._kernel = load_kernel()
        numbers = sum(getattr(layer, name).weight.numel() for layer in layers for name in _PRODUCTS)
        room = torch.empty(2 * numbers + _HUGE_PAGE, dtype=torch.uint8)
        self._kept: list[Tensor] = [room]
        self._free: int = self._kernel.prefer_huge_pages(room.data_ptr(), room.nbytes)

    def layer(self, layer: Layer) -> LayerWeights:
        """Pack one layer."""
        products = {name: getattr(layer, name) for name in _PRODUCTS}
        return LayerWeights(
            before_attention=self.vector(layer.before_attention),
            before_feed=self.vector(layer.before_feed),
            query_norm=self.vector(layer.query_norm),
            key_norm=self.vector(layer.key_norm),
            **{name: self._matrix(product.weight) for name, product in products.items()},
            **{f"{name}_bias": self.vector(product.bias) for name, product in products.items()},
        )

    def vector(self, weight: Tensor | None) -> int | None:
        """Keep a vector in float32, and return where it lies."""
        if weight is None:
            return None
        self._kept.append(weight.detach().float().contiguous())
        return self._kept[-1].data_ptr()

    def _matrix(self, weight: Float[Tensor, "O I"]) -> int:
        rows = weight.detach().bfloat16().contiguous()
        place = self._free
        self._kernel.pack_columns(rows.data_ptr(), *rows.shape, rows.shape[1], place)
        self._free += rows.nbytes
        return place


def _outputs(product: Any) -> int:
    return len(product.weight)


def _grows_in_place(trunk: Sequence[KeysAndValues], dtype: torch.dtype) -> bool:
    """Tell whether there is a trunk behind which the kernel can write: as it computes, and even in all layers."""
    sides = ([layer[kind] for layer in trunk] for kind in (0, 1))
    return bool(trunk) and all(side[0].dtype == dtype and _lie_evenly(side) for side in sides)


def _lie_evenly(layers: Sequence[Tensor]) -> bool:
    return len({one.stride() for one in layers}) <= 1 and all(one.stride(3) == 1 for one in layers)


def _evenly(layers: list[Tensor]) -> list[Tensor]:
    """Return keys or values whose heads and tokens lie as far apart in every layer, numbers side by side."""
    if _lie_evenly(layers):
        return layers
    return [one.clone(memory_format=torch.contiguous_format) for one in layers]


def _pointers(states: Sequence[Tensor]) -> Any:
    return (c_void_p * len(states))(*(one.data_ptr() for one in states))


def _share_ends(count: int, length: int, *, threads: int) -> list[int]:
    """Cut branches into shares of about the same size, as many for each thread, small enough for its cache."""
    rounds = max(1, -(-count * length // (threads * _TOGETHER)))
    return np.linspace(0, count, 1 + min(count, threads * rounds)).round().astype(int)[1:].tolist()
