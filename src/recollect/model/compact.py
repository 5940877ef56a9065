"""The compact decoder: the forward pass of Llama, Qwen2, Qwen3 and Mistral, written out for what serving asks of it.

What it is: the layers of `recollect.model.compact_layer` over the tensors of the backbone itself, in three passes:
`append` (a trunk grows), `read` (branches against a trunk) and `encode` (packed trees).

What it decides: nothing is computed that nobody reads. Of the last layer `append` computes keys and values only;
`read` and `encode` compute its queries or its feed-forward part only where an answer is asked. Weights are referenced,
not copied, unless another type is asked for, so a decoder follows tuning. Whether a backbone is of this shape is
observed: names that are missing, or hidden states that differ from the family's own, mean that it is not. The cosines
and sines come from the backbone's own rotary module, so every scaling of positions is the family's.

Source of the savings: specification `speed`, levers 3, 4 and 6; FlashInfer (Ye et al., 2025), cascade attention.

Dimension letters: B rows, T tokens, S slots, C branches, L tokens of a branch, N places asked of a branch, D width,
K key/value heads, P trunk tokens, E width of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, Self, cast

import torch
import torch.nn.functional as functional
from jaxtyping import Float, Int64
from torch import Tensor, nn
from transformers import PreTrainedModel

from recollect.model.attention import AttentionPlan, attend_trunk, in_one_dtype
from recollect.model.cache import KeyValueStore
from recollect.model.cache_plans import AppendPlan, AppendsPlan
from recollect.model.check import repeats_hidden_states
from recollect.model.compact_layer import (
    Asked,
    KeysAndValues,
    Layer,
    Shape,
    Turns,
    convert_layer,
    enter_layer,
    finish_layer,
    keys_and_values,
    leave_layer,
    normalise,
    quantise_layer,
    read_layer,
)

__all__ = ["CHUNK_TOKENS", "CompactBased", "CompactDecoder", "Functions", "Halves", "Plainly", "Trunks"]

CHUNK_TOKENS: Final = 768
"""Branch tokens computed together on a processor: little enough to stay in its cache."""

_CHUNK_ELSEWHERE: Final = 16_384  # an accelerator wants large products

Halves = tuple[Callable[..., Any], Callable[..., Any]]
_AS_WRITTEN: Final = (enter_layer, leave_layer)


Trunks = Sequence[tuple[int, list[KeysAndValues]]]
"""How many branches stand behind each trunk, in order, and its keys and values per layer (1 x K x P x E each; no layers
if it is empty)."""


class Functions(Protocol):
    """Give the two halves of a layer for branches of some shape; a compiled pair knows the shapes it was made for."""

    def chunk(self, length: int) -> int:
        """Return how many branches of that many tokens are computed together."""
        ...

    def room(self, count: int, length: int) -> tuple[int, int]:
        """Return the branches and tokens up to which these are padded; the same numbers for no padding."""
        ...

    def halves(self, count: int, length: int) -> Halves:
        """Return `enter_layer` and `leave_layer`, or what computes the same for this shape."""
        ...


class Plainly:
    """The functions as they are written, for any shape."""

    def chunk(self, length: int) -> int:
        """Let the states of a chunk stay in a processor's cache."""
        return max(1, CHUNK_TOKENS // length)

    def room(self, count: int, length: int) -> tuple[int, int]:
        """Pad nothing."""
        return count, length

    def halves(self, count: int, length: int) -> Halves:
        """Return the two halves of a layer; every shape has the same."""
        del count, length
        return _AS_WRITTEN


@dataclass(frozen=True, eq=False, slots=True)
class CompactDecoder:
    """Compute the hidden states of a backbone of the Llama shape. Make one with `CompactDecoder.of`.

    Parameters
    ----------
    layers, norm, shape
        Weights and numbers of the backbone.
    rotary
        The backbone's own module of rotary positions.
    functions
        The halves of a layer for branches, as written or compiled.
    tree_halves
        `enter_layer` and `finish_layer` for packed trees, as written or compiled.
    """

    layers: tuple[Layer, ...]
    norm: Tensor
    shape: Shape
    rotary: nn.Module
    functions: Functions
    tree_halves: Halves = (enter_layer, finish_layer)

    @classmethod
    def of(cls, causal: PreTrainedModel, dtype: torch.dtype | None = None, *, adapted: bool = False) -> Self | None:
        """Read a backbone's weights, if it is of this shape.

        Parameters
        ----------
        causal
            A causal language model.
        dtype
            Type to compute in; None means the backbone's own, without a copy.
        adapted
            Whether a low-rank adapter that is not merged, and drops nothing, is read as well; it stays what is tuned.
            If not, such a model is of another shape.

        Returns
        -------
        CompactDecoder or None
            None if the backbone computes something else.
        """
        try:
            body = cast(Any, causal.base_model)
            layers = tuple(read_layer(one, adapted=adapted) for one in body.layers)
            first = body.layers[0]
            shape = Shape(
                int(first.self_attn.head_dim),
                float(first.self_attn.scaling),
                float(first.input_layernorm.variance_epsilon),
            )
            decoder = cls(layers, cast(Tensor, body.norm.weight), shape, body.rotary_emb, Plainly())
        except (AttributeError, IndexError, TypeError, ValueError):
            return None
        if not repeats_hidden_states(causal, decoder.states):
            return None
        return decoder if dtype in (None, decoder.dtype) else decoder.converted(dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers that are computed."""
        return self.norm.dtype

    def converted(self, dtype: torch.dtype) -> Self:
        """Return a copy that computes in another type.

        Parameters
        ----------
        dtype
            A floating-point type.
        """
        return replace(
            self,
            layers=tuple(convert_layer(layer, dtype) for layer in self.layers),
            norm=self.norm.detach().to(dtype),
        )

    def quantised(self) -> Self:
        """Return a copy whose products have int8 weights."""
        return replace(self, layers=tuple(quantise_layer(layer) for layer in self.layers))

    def chunk(self, length: int) -> int:
        """Return how many branches of that many tokens are computed together."""
        return self.functions.chunk(length) if self.norm.is_cpu else max(1, _CHUNK_ELSEWHERE // length)

    def append(
        self, embedded: Float[Tensor, "1 T D"], positions: Int64[Tensor, "1 T"], *, plan: AppendPlan | AppendsPlan
    ) -> None:
        """Write the keys and values of new trunk tokens into the stores of a plan.

        Parameters
        ----------
        embedded
            Input vectors.
        positions
            As the model counts them.
        plan
            Where they are written, and what they see.
        """
        hidden = embedded.to(self.dtype)
        turns = self.turns(hidden, positions)
        *before, last = self.layers
        for number, layer in enumerate(before):
            query, key, value = enter_layer(layer, hidden, turns, places=None, shape=self.shape)
            attended = plan.attend(number, query, key, value, scaling=self.shape.scaling, softcap=None)
            hidden = finish_layer(layer, hidden, attended, self.shape)
        normed = normalise(hidden, last.before_attention, self.shape)
        plan.write(len(before), *keys_and_values(last, normed, turns, self.shape))

    def read(
        self,
        embedded: Float[Tensor, "C L D"],
        positions: Int64[Tensor, "#C L"],
        *,
        places: Int64[Tensor, "C N"],
        trunks: Trunks,
    ) -> Float[Tensor, "C N D"]:
        """Compute the last hidden states at some places of each branch.

        Parameters
        ----------
        embedded
            Input vectors.
        positions
            One row if they are the same for all branches.
        places
            Which tokens of each branch are asked.
        trunks
            Those of all branches.
        """
        known = any(layers for _, layers in trunks)
        functions = self.functions if known and len(positions) == places.shape[1] == 1 else Plainly()
        count, length = embedded.shape[:2]
        room = functions.room(count, length)
        hidden, positions, places = _padded(embedded.to(self.dtype), positions, places, room)
        halves = functions.halves(*room)
        turns = self.turns(hidden, positions)
        for number in range(len(self.layers) - 1):
            hidden = self._read_layer(number, hidden, turns, halves, trunks=trunks, asked=(None, None))
        seen = torch.arange(hidden.shape[1], device=hidden.device) <= places[..., None]
        last = len(self.layers) - 1
        hidden = self._read_layer(last, hidden, turns, _AS_WRITTEN, trunks=trunks, asked=(places, seen))
        return normalise(hidden, self.norm, self.shape)[:count]

    def _read_layer(
        self,
        number: int,
        hidden: Float[Tensor, "C L D"],
        turns: Turns,
        halves: Halves,
        *,
        trunks: Trunks,
        asked: Asked,
    ) -> Float[Tensor, "C N D"]:
        """Compute one layer of branches; attention to trunks, whose length keeps changing, is never compiled."""
        enter, leave = halves
        states = enter(self.layers[number], hidden, turns, places=asked[0], shape=self.shape)
        shared = self._attend_trunks(number, states[0], trunks)
        return leave(self.layers[number], hidden, states, trunk=shared, asked=asked, shape=self.shape)

    def _attend_trunks(
        self, number: int, query: Float[Tensor, "C H N E"], trunks: Trunks
    ) -> tuple[Float[Tensor, "C H N E"], Float[Tensor, "C H N"]] | None:
        """Attend branches to the trunks that they stand behind; those that pad a chunk stand behind the last one."""
        if not any(layers for _, layers in trunks):
            return None
        found: list[tuple[Tensor, Tensor]] = []
        start = 0
        for place, (count, layers) in enumerate(trunks, start=1):
            part = query[start:] if place == len(trunks) else query[start : start + count]
            start += count
            if layers:
                keys, values = (kept.to(self.dtype) for kept in layers[number])
                found.append(attend_trunk(part, keys, values, scaling=self.shape.scaling))
            else:
                nothing = part.new_full(part.shape[:-1], float("-inf"), dtype=torch.float32)
                found.append((torch.zeros_like(part), nothing))
        if len(found) == 1:
            return found[0]
        return torch.cat([output for output, _ in found]), torch.cat([lse for _, lse in found])

    def encode(
        self,
        embedded: Float[Tensor, "B T D"],
        positions: Int64[Tensor, "#B T"],
        *,
        plan: AttentionPlan,
        slots: Int64[Tensor, "S 2"],
    ) -> Float[Tensor, "S D"]:
        """Compute the last hidden states at the slots of packed trees, with gradients where torch's mode allows them.

        Parameters
        ----------
        embedded
            Input vectors.
        positions
            As the model counts them.
        plan
            Knows what sees what.
        slots
            Row and token of each slot.
        """
        hidden, (enter, finish) = embedded.to(self.dtype), self.tree_halves
        turns = self.turns(hidden, positions)
        rows, tokens = slots.unbind(1)
        for number, layer in enumerate(self.layers):
            states = in_one_dtype(*enter(layer, hidden, turns, places=None, shape=self.shape))
            attended = plan.attend(number, *states, scaling=self.shape.scaling, softcap=None)
            if number + 1 == len(self.layers):  # each slot is a row of one token from here on
                hidden, attended = hidden[rows, tokens][:, None], attended[rows, :, tokens][:, :, None]
                finish = finish_layer
            hidden = finish(layer, hidden, attended, self.shape)
        return normalise(hidden[:, 0], self.norm, self.shape)

    def states(self, embedded: Float[Tensor, "1 T D"]) -> Float[Tensor, "_ D"]:
        """Compute the last hidden states of a few tokens, the first two of them as a trunk.

        Parameters
        ----------
        embedded
            Input vectors of at least three tokens.

        Returns
        -------
        Float[Tensor, "_ D"]
            Those of all tokens but the first two.
        """
        length = embedded.shape[1]
        positions = torch.arange(length, device=embedded.device)[None]
        store = KeyValueStore.empty().room_for(2, after=0)
        self.append(embedded[:, :2], positions[:, :2], plan=AppendPlan(store, 0, None))
        trunk = [store.read(number, 2) for number in range(len(self.layers))]
        return self.read(embedded[:, 2:], positions[:, 2:], places=positions[:, 2:] - 2, trunks=[(1, trunk)])[0]

    def turns(self, hidden: Float[Tensor, "B T D"], positions: Int64[Tensor, "#B T"]) -> Turns:
        """Compute the cosines and sines of positions, in the type of the states."""
        return cast(Turns, self.rotary(hidden, positions))


class CompactBased:
    """Compute as the compact decoder whatever a subclass does not compute otherwise.

    Parameters
    ----------
    compact
        The weights.
    """

    def __init__(self, compact: CompactDecoder) -> None:
        self.compact = compact

    @property
    def dtype(self) -> torch.dtype:
        """Type of keys and values."""
        return self.compact.dtype

    def chunk(self, length: int) -> int:
        """Return how many branches of that many tokens are computed together."""
        return self.compact.chunk(length)

    def append(
        self, embedded: Float[Tensor, "1 T D"], positions: Int64[Tensor, "1 T"], *, plan: AppendPlan | AppendsPlan
    ) -> None:
        """Write the keys and values of new trunk tokens, as `CompactDecoder.append`."""
        self.compact.append(embedded, positions, plan=plan)

    def encode(
        self,
        embedded: Float[Tensor, "B T D"],
        positions: Int64[Tensor, "#B T"],
        *,
        plan: AttentionPlan,
        slots: Int64[Tensor, "S 2"],
    ) -> Float[Tensor, "S D"]:
        """Compute the last hidden states at the slots of packed trees, as `CompactDecoder.encode`."""
        return self.compact.encode(embedded, positions, plan=plan, slots=slots)


def _padded(hidden: Tensor, positions: Tensor, places: Tensor, room: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Pad branches with tokens and rows that nobody asks."""
    count, length = room[0] - hidden.shape[0], room[1] - hidden.shape[1]
    if not count and not length:
        return hidden, positions, places
    rows = count if len(positions) > 1 else 0
    return (
        functional.pad(hidden, (0, 0, 0, length, 0, count)),
        functional.pad(positions, (0, length, 0, rows)),
        functional.pad(places, (0, 0, 0, count)),
    )
