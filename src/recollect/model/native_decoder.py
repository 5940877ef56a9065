"""The native decoder: branches through `amx.cpp`, all else through the compact decoder in bfloat16.

What it decides: each thread takes some branches through all layers, so threads meet only at the end of a query; the
threads are ours and never torch's, since its own products keep settings of the tiles per thread. Weights are packed
once, a trunk's keys and values in every query, which costs about a hundredth of it. Widths must be multiples of 32, as
those of all published models are.

Dimension letters: C branches, L tokens of a branch, N places asked of a branch, B rows, T tokens, S slots, D width,
O outputs, I inputs, K key/value heads, P trunk tokens, E width of a head.
"""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_void_p
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from recollect.model.cache import AppendPlan
from recollect.model.compact import CompactDecoder
from recollect.model.compact_layer import KeysAndValues, Layer, Linear
from recollect.model.native import DecoderNumbers, LayerWeights, Query, lacks_tiles, load_kernel

__all__ = ["NativeDecoder", "lacks_for_native"]

_STEP: Final = 32  # numbers of a tile's row
_TOGETHER: Final = 384  # tokens that a thread takes through the layers at once: their states stay in its cache
_CHUNK_TOKENS: Final = 16_384  # branch tokens of one call
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


class NativeDecoder:
    """Compute hidden states in bfloat16, those of branches by the native kernel. Make one with `NativeDecoder.of`.

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
        self.compact = compact
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
        packing = _Packing()
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

    @property
    def dtype(self) -> torch.dtype:
        """Type of keys and values."""
        return self.compact.dtype

    def chunk(self, length: int) -> int:
        """Return how many branches one call takes."""
        return max(1, _CHUNK_TOKENS // length)

    def append(self, embedded: Float[Tensor, "1 T D"], positions: Int64[Tensor, "1 T"], *, plan: AppendPlan) -> None:
        """Write the keys and values of new trunk tokens, as `CompactDecoder.append`."""
        self.compact.append(embedded, positions, plan=plan)

    def encode(
        self,
        embedded: Float[Tensor, "B T D"],
        positions: Int64[Tensor, "#B T"],
        *,
        mask: Bool[Tensor, "B T T"],
        slots: Int64[Tensor, "S 2"],
    ) -> Float[Tensor, "S D"]:
        """Compute the last hidden states at the slots of packed trees, as `CompactDecoder.encode`."""
        return self.compact.encode(embedded, positions, mask=mask, slots=slots)

    def read(
        self,
        embedded: Float[Tensor, "C L D"],
        positions: Int64[Tensor, "#C L"],
        *,
        places: Int64[Tensor, "C N"],
        trunk: list[KeysAndValues],
    ) -> Float[Tensor, "C N D"]:
        """Compute the last hidden states at some places of each branch, in float32.

        Parameters
        ----------
        embedded, positions, places, trunk
            As in `CompactDecoder.read`; no more places than tokens.
        """
        count, length = embedded.shape[:2]
        states = embedded.float().contiguous()
        cosines, sines = (one.float().contiguous() for one in self.compact.rotary(states, positions))
        asked, out = places.contiguous(), states.new_empty((count, places.shape[1], states.shape[2]))
        packed = _PackedTrunk(trunk)
        query = Query(
            length=length,
            asks=places.shape[1],
            trunk=packed.length,
            turned=len(cosines),
            embedded=states.data_ptr(),
            cosines=cosines.data_ptr(),
            sines=sines.data_ptr(),
            places=asked.data_ptr(),
            keys=packed.keys,
            values=packed.values,
            out=out.data_ptr(),
        )
        kernel, numbers = load_kernel(), self._numbers
        shares = _shares(count, length, threads=torch.get_num_threads())

        def read(share: range) -> None:
            kernel.read_branches(numbers, query, share.start, len(share))

        list(_threads().map(read, shares))
        return out


class _Packing:
    """Pack weights, and keep what was packed."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []
        self._kernel = load_kernel()

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
        self._kept.append(torch.zeros_like(rows))
        self._kernel.pack_columns(rows.data_ptr(), *rows.shape, rows.shape[1], self._kept[-1].data_ptr())
        return self._kept[-1].data_ptr()


class _PackedTrunk:
    """Pack the keys and values of a trunk for one query.

    Attributes
    ----------
    length
        Tokens.
    keys, values
        Pointers, one per layer.
    """

    def __init__(self, trunk: Sequence[KeysAndValues]) -> None:
        self.length = trunk[0][0].shape[2] if trunk else 0
        shape = (2, len(trunk), *(trunk[0][0].shape[1:] if trunk else (0, 0, 0)))
        room = torch.zeros((*shape[:3], -(-self.length // _STEP) * _STEP, shape[4]), dtype=torch.bfloat16)
        self._room, self._trunk = room, trunk
        self.keys, self.values = ((c_void_p * len(trunk))(*(part.data_ptr() for part in kind)) for kind in room)
        list(_threads().map(self._pack, range(len(trunk))))

    def _pack(self, layer: int) -> None:
        """Pack one layer: keys are columns of numbers, values are rows."""
        kernel, width = load_kernel(), self._room.shape[-1]
        keys, values = (part[0] if part.stride(3) == 1 else part[0].contiguous() for part in self._trunk[layer])
        for head, (key, value) in enumerate(zip(keys, values, strict=True)):
            to_keys, to_values = (part.data_ptr() for part in self._room[:, layer, head])
            kernel.pack_columns(key.data_ptr(), self.length, width, key.stride(0), to_keys)
            kernel.pack_rows(value.data_ptr(), width, self.length, value.stride(0), to_values)


def _outputs(product: Any) -> int:
    return len(product.weight)


def _shares(count: int, length: int, *, threads: int) -> list[range]:
    """Cut branches into shares of about the same size, as many for each thread, small enough for its cache."""
    rounds = max(1, -(-count * length // (threads * _TOGETHER)))
    ends: list[int] = np.linspace(0, count, 1 + min(count, threads * rounds)).round().astype(int).tolist()
    return [range(start, end) for start, end in pairwise(ends)]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="recollect-native")
