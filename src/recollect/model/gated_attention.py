"""Gated attention: the plan of a pass in which query rows see one prefix, each demonstration of it through a gate.

What it is: `GatedPlan`, an `AttentionPlan`: each branch of the pass (a query row) sees the same cached prefix under its
own bias. A gate s on a demonstration is the bias log s on its columns: 1 leaves it alone, t weighs it t times, 0 hides
it (spec `lrgd`, section 3.2). `HeadReadings` collects what demonstrations do to the heads at the answer rows.

What it decides: the prefix's part of the softmax (`recollect.model.prefix_attention`) and the row's own part are joined
by their log-sum-exp, exactly, and gradients flow through that; they stop in the first layer, below which there is no
gate. Types narrower than float32 are widened for attention, because effects are small differences.

Dimension letters: R query rows, L tokens of a row, H heads, K key/value heads, g = H / K, P tokens of the prefix,
E width of a head, N demonstrations, T tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
import torch.nn.functional as functional
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.model.prefix_attention import attend_prefix

__all__ = ["GatedPlan", "HeadReadings", "attend_row", "widened"]


@dataclass(eq=False, slots=True)
class HeadReadings:
    """Collect, layer by layer, what demonstrations do to the heads at the answer rows.

    Parameters
    ----------
    slots
        The answer token of each query row.
    columns
        Prefix columns of each demonstration; P where it has no more.

    Attributes
    ----------
    share
        Sum over layers and heads of the attention share a_j of each demonstration.
    gram
        Sum over rows, layers and heads of the products of the vectors a_j (o_j - o).
    heads
        Heads read so far, over layers.
    """

    slots: Int64[Tensor, " R"]
    columns: Int64[Tensor, "N T"]
    share: Float[Tensor, "R N"] = field(init=False)
    gram: Float[Tensor, "N N"] = field(init=False)
    heads: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        rows, count = len(self.slots), len(self.columns)
        self.share = torch.zeros(rows, count, dtype=torch.float64, device=self.slots.device)
        self.gram = torch.zeros(count, count, dtype=torch.float64, device=self.slots.device)

    def add(
        self,
        weights: Float[Tensor, "K R g P"],
        value: Float[Tensor, "K P E"],
        output: Float[Tensor, "K R g E"],
    ) -> None:
        """Add one layer.

        Parameters
        ----------
        weights
            Attention weights of the prefix's columns at the answer rows.
        value
            Values of the prefix.
        output
            What the heads gave out there, own tokens included.
        """
        apart = functional.pad(weights, (0, 1))[..., self.columns].movedim(3, 1).flatten(2, 3)
        values = functional.pad(value, (0, 0, 0, 1))[:, self.columns]
        share = apart.sum(-1, keepdim=True)
        moved = apart @ values - share * output.flatten(1, 2)[:, None]
        flat = moved.transpose(0, 1).flatten(1)
        self.gram += flat @ flat.T
        self.share += share.view(*share.shape[:2], *weights.shape[1:3]).sum((0, 3)).T
        self.heads += weights.shape[0] * weights.shape[2]


@dataclass(frozen=True, eq=False, slots=True)
class GatedPlan:
    """Attend query rows to a prefix under a bias, and to themselves. Make one with `GatedPlan.of`.

    Parameters
    ----------
    keys, values
        The prefix, one of each per layer, no narrower than float32.
    bias
        Added to the scores of each column; may ask for a gradient. Hidden columns hold the least value of the type.
    mask
        The same for each of the M = R L tokens, without gradient.
    readings
        Collects shares and overlaps, if asked for.
    """

    keys: Sequence[Float[Tensor, "K P E"]]
    values: Sequence[Float[Tensor, "K P E"]]
    bias: Float[Tensor, "R P"]
    mask: Float[Tensor, "M P"]
    readings: HeadReadings | None = None

    @classmethod
    def of(
        cls,
        keys: Sequence[Float[Tensor, "K P E"]],
        values: Sequence[Float[Tensor, "K P E"]],
        *,
        bias: Float[Tensor, "R P"],
        length: int,
        readings: HeadReadings | None = None,
    ) -> Self:
        """Make the plan of rows of ``length`` tokens; the rest as in the class."""
        return cls(keys, values, bias, bias.detach().repeat_interleave(length, 0), readings)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "R H L E"]:
        """Attend all rows in one layer."""
        dtype = query.dtype
        query, key, value = (widened(states if layer else states.detach()) for states in (query, key, value))
        own, own_lse = attend_row(query, key, value, scaling=scaling, softcap=softcap)
        before = (self.keys[layer], self.values[layer])
        if not before[0].shape[1]:
            return own.to(dtype)
        output, lse = attend_prefix(query, *before, bias=self.bias, mask=self.mask, scaling=scaling, softcap=softcap)
        joined = torch.lerp(output, own, torch.sigmoid(own_lse - lse).unsqueeze(-1))
        if self.readings is not None:
            total = torch.logaddexp(own_lse, lse)
            self._read(self.readings, layer, (query, joined, total), scaling=scaling, softcap=softcap)
        return joined.to(dtype)

    @torch.no_grad()
    def _read(
        self,
        readings: HeadReadings,
        layer: int,
        states: tuple[Tensor, Tensor, Tensor],
        *,
        scaling: float,
        softcap: float | None,
    ) -> None:
        """Compute the weights of the answer rows once more, and hand them on."""
        rows = torch.arange(len(self.bias), device=self.bias.device)
        key, value = self.keys[layer], self.values[layer]
        query, output, total = (_by_group(part[rows, :, readings.slots], key.shape[0]) for part in states)
        scores = _capped((query.flatten(1, 2) @ key.mT * scaling).view(*query.shape[:3], -1), softcap)
        weights = (scores + self.bias.detach()[:, None] - total[..., None]).exp()
        readings.add(weights, value, output)


def attend_row(
    query: Float[Tensor, "R H L E"],
    key: Float[Tensor, "R K L E"],
    value: Float[Tensor, "R K L E"],
    *,
    scaling: float,
    softcap: float | None = None,
) -> tuple[Float[Tensor, "R H L E"], Float[Tensor, "R H L"]]:
    """Attend each row to itself causally, and return the log-sum-exp of each token's scores; both have gradients."""
    rows, heads, length, width = query.shape
    grouped = query.reshape(rows, key.shape[1], -1, width)
    scores = _capped(grouped @ key.mT * scaling, softcap).view(rows, heads, length, length)
    later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
    lse = scores.logsumexp(-1)
    weights = (scores - lse.unsqueeze(-1)).exp().view(*grouped.shape[:3], length)
    return (weights @ value).view(rows, heads, length, -1), lse


def _by_group(states: Float[Tensor, "R H *E"], shared: int) -> Float[Tensor, "K R g *E"]:
    rows = states.shape[0]
    return states.reshape(rows, shared, -1, *states.shape[2:]).transpose(0, 1)


def widened(states: Tensor) -> Tensor:
    """Return float32 for narrower types, and others as they are."""
    return states if states.dtype in (torch.float32, torch.float64) else states.float()


def _capped(scores: Tensor, cap: float | None) -> Tensor:
    return scores if cap is None else cap * torch.tanh(scores / cap)
