"""The trunk cache: keys and values of what a person's branches share, so that a new event costs its own tokens only.

What it is: `TrunkCache` is an immutable value (lengths, reach, a store); `KeyValueStore` holds the tensors of all
layers with room to grow. What attention does with them in a pass is said in `recollect.model.cache_plans`.

What it decides: caches that grew from each other share one store. Appending to the newest writes into spare room;
appending to an older one (after a crop, or twice to the same) copies first, so no cache ever changes under its holder.
Segments are remembered by their token spans, so that an appended event may leave out what it must not see. Tokens are
kept as computed, or in fewer bits (`recollect.model.quantised`); new tokens are attended to as they are kept, so that a
trunk which grew step by step stays the trunk read at once. For a family whose attention cannot be plugged the cache
keeps the trunk's prompt tree instead, and scoring packs it anew.

Dimension letters: N layers, K key/value heads, P trunk tokens, E width of a head, G trunk segments, L new tokens.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from recollect.errors import ModelError
from recollect.model.quantised import CacheKind, restored, stored
from recollect.prompt.growth import first_segments
from recollect.prompt.tree import PromptTree

__all__ = ["KeyValueStore", "TrunkCache"]

_GROWTH = 1.5
_ROOM = 64  # least number of spare tokens of a new store

_UNREADABLE = {
    "what": "these tensors are not a trunk cache",
    "expected": "what TrunkCache.export returned, unchanged",
    "do": "encode the trunk again",
}
_TREE_ARRAYS = ("tokens", "items", "features", "segment", "positions", "sees", "slots", "slot_rows")


_Parts = tuple[Tensor, ...]  # what is kept of one layer's keys or values: 1 x K x capacity x E, and scales if int8


class KeyValueStore:
    """Hold keys and values of all layers with spare room behind the filled part.

    Parameters
    ----------
    keys, values
        What `recollect.model.quantised.stored` keeps, with room for `capacity` tokens, one per layer; none at first.
    filled
        Tokens written or promised to a writer.
    capacity
        Tokens that have room.
    kind
        How tokens are kept.
    """

    def __init__(
        self, keys: list[_Parts], values: list[_Parts], *, filled: int, capacity: int, kind: CacheKind = "as computed"
    ) -> None:
        self.keys = keys
        self.values = values
        self.capacity = capacity
        self.kind: CacheKind = kind
        self._filled = filled
        self._lock = Lock()

    @classmethod
    def empty(cls, kind: CacheKind = "as computed") -> Self:
        """Make a store without tokens."""
        return cls([], [], filled=0, capacity=0, kind=kind)

    def room_for(self, extra: int, *, after: int) -> "KeyValueStore":
        """Return a store whose tokens from ``after`` on are free to be written: this one if nobody else was faster.

        Parameters
        ----------
        extra
            New tokens.
        after
            Tokens of this store to keep.
        """
        with self._lock:
            if self._filled == after and after + extra <= self.capacity:
                self._filled += extra
                return self
        capacity = int(_GROWTH * (after + extra)) + _ROOM
        keys = [_regrown(parts, after, capacity) for parts in self.keys]
        values = [_regrown(parts, after, capacity) for parts in self.values]
        return KeyValueStore(keys, values, filled=after + extra, capacity=capacity, kind=self.kind)

    def write(self, layer: int, keys: Tensor, values: Tensor, *, after: int) -> None:
        """Put new keys and values of one layer behind the first ``after`` tokens."""
        end = after + keys.shape[2]
        for kept, new in ((self.keys, stored(keys, self.kind)), (self.values, stored(values, self.kind))):
            if layer == len(kept):
                kept.append(_regrown(new, 0, self.capacity))
            for part, states in zip(kept[layer], new, strict=True):
                part[:, :, after:end] = states

    def read(self, layer: int, length: int) -> tuple[Float[Tensor, "1 K P E"], Float[Tensor, "1 K P E"]]:
        """View the first tokens of one layer; kept in bytes, they are spelled out."""
        return restored(_first(self.keys[layer], length)), restored(_first(self.values[layer], length))


@dataclass(frozen=True, eq=False, slots=True)
class TrunkCache:
    """Hold an encoded trunk. Make one with `LanguageModel.append`.

    Parameters
    ----------
    store
        Keys and values, of which the first `length` tokens are this trunk's.
    ends
        End of each segment, in tokens.
    reach
        Highest position up to and including each segment, plus one.
    tree
        The trunk itself, kept only where attention cannot be plugged.
    """

    store: KeyValueStore
    ends: Int32[np.ndarray, " G"]
    reach: Int32[np.ndarray, " G"]
    tree: PromptTree | None = None

    @classmethod
    def empty(cls) -> Self:
        """Make the cache of a trunk without tokens."""
        nothing = np.zeros(0, np.int32)
        return cls(KeyValueStore.empty(), nothing, nothing)

    @property
    def segment_count(self) -> int:
        """Number of cached segments G."""
        return self.ends.shape[0]

    @property
    def length(self) -> int:
        """Number of cached tokens P."""
        return int(self.ends[-1]) if self.ends.size else 0

    @property
    def next_position(self) -> int:
        """Position after the highest one in the cache: where a branch or an event may start."""
        return int(self.reach[-1]) if self.reach.size else 0

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values of the cached tokens, spare room left out."""
        layers = (*self.store.keys, *self.store.values)
        return sum(part.nbytes for parts in layers for part in _first(parts, self.length))

    def crop(self, segments: int) -> Self:
        """Keep the first segments only; costs nothing, and the longer cache stays valid.

        Parameters
        ----------
        segments
            Number of segments to keep.

        Raises
        ------
        ModelError
            If the cache has fewer.
        """
        if not 0 <= segments <= self.segment_count:
            raise ModelError(
                what="a trunk cache cannot be cropped to that length",
                got=f"{segments} segments",
                expected=f"0 to {self.segment_count}",
                do="crop to segments that were appended",
            )
        tree = None if self.tree is None else first_segments(self.tree, segments)
        return type(self)(self.store, self.ends[:segments], self.reach[:segments], tree)

    def token_view(self, sees: Bool[np.ndarray, "L G"]) -> Bool[np.ndarray, "L P"]:
        """Spread a relation over segments to one over cached tokens."""
        return np.repeat(sees, np.diff(self.ends, prepend=np.int32(0)), axis=1)

    def export(self) -> dict[str, Tensor]:
        """Return the cache as named tensors, for a file or another process. Nothing is shared with the cache.

        Examples
        --------
        >>> sorted(TrunkCache.empty().export())
        ['ends', 'reach']
        """
        named = {"ends": torch.from_numpy(self.ends.copy()), "reach": torch.from_numpy(self.reach.copy())}
        for layer in range(len(self.store.keys)):
            for name, layers in (("keys", self.store.keys), ("values", self.store.values)):
                parts = zip((name, f"{name}_scales"), _first(layers[layer], self.length), strict=False)
                named |= {f"{part}.{layer}": _alone(states) for part, states in parts}
        if self.tree is not None:
            named |= {f"tree.{name}": torch.from_numpy(getattr(self.tree, name).copy()) for name in _TREE_ARRAYS}
        return named

    @classmethod
    def restore(cls, named: dict[str, Tensor]) -> Self:
        """Make a cache from what `export` returned.

        Parameters
        ----------
        named
            Tensors by name; they become the cache's own.

        Raises
        ------
        ModelError
            If a tensor is missing or has another length.
        """
        layers = sum(name.startswith("keys.") for name in named)
        try:
            ends, reach = named["ends"].numpy(), named["reach"].numpy()
            keys = [_parts(named, "keys", layer) for layer in range(layers)]
            values = [_parts(named, "values", layer) for layer in range(layers)]
            arrays = {name: named[f"tree.{name}"].numpy() for name in _TREE_ARRAYS if "tree.tokens" in named}
        except KeyError as error:
            raise ModelError(**_UNREADABLE, got=f"no tensor {error}") from error
        length = int(ends[-1]) if ends.size else 0
        _require_length([*keys, *values], length)
        store = KeyValueStore(keys, values, filled=length, capacity=length, kind=_kind(keys))
        return cls(store, ends, reach, PromptTree(**arrays) if arrays else None)


def _require_length(states: list[_Parts], length: int) -> None:
    """Check that keys and values are of so many tokens.

    Raises
    ------
    ModelError
        If not.
    """
    if any(part.ndim != 4 or part.shape[2] != length for parts in states for part in parts):
        raise ModelError(**_UNREADABLE, got=f"keys or values of another length than {length} tokens")


def _regrown(parts: _Parts, length: int, capacity: int) -> _Parts:
    """Copy the first tokens into new tensors with room for more."""
    grown = tuple(part.new_zeros((*part.shape[:2], capacity, part.shape[3])) for part in parts)
    for part, old in zip(grown, parts, strict=True):
        part[:, :, :length] = old[:, :, :length]
    return grown


def _first(parts: _Parts, length: int) -> _Parts:
    return tuple(part[:, :, :length] for part in parts)


def _alone(states: Tensor) -> Tensor:
    return states.clone(memory_format=torch.contiguous_format)


def _parts(named: dict[str, Tensor], name: str, layer: int) -> _Parts:
    """Read what was kept of one layer; bytes without their scales are missing something."""
    states = named[f"{name}.{layer}"]
    return (states, named[f"{name}_scales.{layer}"]) if states.dtype == torch.int8 else (states,)


def _kind(keys: list[_Parts]) -> CacheKind:
    if not keys:
        return "as computed"
    return "int8" if len(keys[0]) == 2 else "bfloat16" if keys[0][0].dtype == torch.bfloat16 else "as computed"
