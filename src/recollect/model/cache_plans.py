"""What attention does in a pass over trunk caches: one or several trunks grow, or are asked by branches.

What it is: the `AttentionPlan` of each kind of pass. What it decides: everything of a layer but attention is computed
for all trunks at once, and attention trunk by trunk, so that people share a pass and none sees another one's tokens.

Dimension letters: C branches, H heads, K key/value heads, P trunk tokens, L new tokens, E width of a head.
"""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.model.attention import attend, attend_cascade
from recollect.model.cache import KeyValueStore

__all__ = ["AppendPlan", "AppendsPlan", "CascadePlan", "CascadesPlan"]


@dataclass(frozen=True, eq=False, slots=True)
class AppendPlan:
    """Write new keys and values into a store and attend to all before, under a mask.

    Parameters
    ----------
    store
        Has room for the new tokens.
    after
        Tokens that stand before the new ones.
    mask
        1 x 1 x L x (after + L), added to the scores; None if every new token sees all earlier tokens, cached or new.
    """

    store: KeyValueStore
    after: int
    mask: Tensor | None

    def write(self, layer: int, key: Float[Tensor, "1 K L E"], value: Float[Tensor, "1 K L E"]) -> None:
        """Put new keys and values of one layer where they stay."""
        self.store.write(layer, key, value, after=self.after)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "1 H L E"]:
        """Attend the new tokens to the cached ones and to each other."""
        self.write(layer, key, value)
        length = query.shape[2]
        keys, values = (states.to(query.dtype) for states in self.store.read(layer, self.after + length))
        if self.mask is not None or self.after == 0 or length == 1:
            causal = self.mask is None and length > 1
            return attend(query, keys, values, mask=self.mask, causal=causal, scaling=scaling, softcap=softcap)
        before, new = slice(None, self.after), slice(self.after, None)
        return attend_cascade(
            query,
            keys[:, :, new],
            values[:, :, new],
            trunk_key=keys[:, :, before],
            trunk_value=values[:, :, before],
            scaling=scaling,
            softcap=softcap,
        )


@dataclass(frozen=True, eq=False, slots=True)
class AppendsPlan:
    """Grow several trunks, whose new tokens stand behind each other in one row.

    Parameters
    ----------
    parts
        How many of the tokens are each trunk's, in order, and the plan of that trunk.
    """

    parts: list[tuple[int, AppendPlan]]

    def spans(self) -> list[tuple[slice, AppendPlan]]:
        """Return where the tokens of each trunk stand, and its plan."""
        ends = itertools.accumulate(count for count, _ in self.parts)
        return [(slice(end - count, end), plan) for end, (count, plan) in zip(ends, self.parts, strict=True)]

    def write(self, layer: int, key: Float[Tensor, "1 K L E"], value: Float[Tensor, "1 K L E"]) -> None:
        """Put new keys and values of one layer where they stay."""
        for own, plan in self.spans():
            plan.write(layer, key[:, :, own], value[:, :, own])

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "1 H L E"]:
        """Attend trunk by trunk; all else of a layer is computed for all tokens at once."""
        attended = [
            plan.attend(layer, query[:, :, own], key[:, :, own], value[:, :, own], scaling=scaling, softcap=softcap)
            for own, plan in self.spans()
        ]
        return torch.cat(attended, dim=2)


@dataclass(frozen=True, eq=False, slots=True)
class CascadePlan:
    """Attend branches to a trunk and to themselves.

    Parameters
    ----------
    trunk
        Keys and values per layer: 1 x K x P x E; none if the trunk has no tokens.
    """

    trunk: list[tuple[Tensor, Tensor]]

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "C H L E"]:
        """Attend all branches to the trunk as one product."""
        if not self.trunk:
            return attend(query, key, value, causal=query.shape[2] > 1, scaling=scaling, softcap=softcap)
        trunk_key, trunk_value = (states.to(query.dtype) for states in self.trunk[layer])
        return attend_cascade(
            query, key, value, trunk_key=trunk_key, trunk_value=trunk_value, scaling=scaling, softcap=softcap
        )


@dataclass(frozen=True, eq=False, slots=True)
class CascadesPlan:
    """Attend the branches of several questions, each to its own trunk and to themselves.

    Parameters
    ----------
    parts
        How many branches stand behind each trunk, in order, and the plan of that trunk.
    """

    parts: list[tuple[int, CascadePlan]]

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "C H L E"]:
        """Attend question by question; all else of a layer is computed for all branches at once."""
        attended: list[Tensor] = []
        start = 0
        for count, plan in self.parts:
            own = slice(start, start + count)
            attended.append(plan.attend(layer, query[own], key[own], value[own], scaling=scaling, softcap=softcap))
            start += count
        return torch.cat(attended)
