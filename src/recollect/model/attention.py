"""Attention: the one function that every pluggable backbone calls, and the cascade over a shared trunk.

What it is: `attention_forward` is registered with the attention interface of `transformers` under the name
``IMPLEMENTATION``. A forward pass hands it an `AttentionPlan` through the model's keyword arguments; without a plan it
is ordinary attention under the mask given, so a model set to this implementation still works as before.

What it decides: attention of branches over a trunk is computed in two parts, over the trunk's keys without a mask (all
branches as one product, the trunk stored once) and over the branch's own keys causally. With the log-sum-exp of both
parts the joint softmax is exact: weight of the own part = sigmoid(lse_own - lse_trunk). Query heads that share a
key/value head become rows of one product, so a trunk key is read once and repeated for nobody. The log-sum-exp comes
from torch's fused function on the CPU and from FlexAttention on accelerators; neither builds the score matrix.

Dimension letters: B batch, C branches, H heads, K key/value heads, L own tokens of a branch, N those that ask (all L
where nothing else is said), P trunk tokens, E width of a head.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast, no_type_check

import torch
import torch.nn.functional as functional
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, flex_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from recollect.errors import ModelError

__all__ = [
    "IMPLEMENTATION",
    "PLAN",
    "AttentionPlan",
    "MaskPlan",
    "attend",
    "attend_cascade",
    "attend_trunk",
    "attention_forward",
    "in_one_dtype",
    "join_own",
]

IMPLEMENTATION = "recollect"
"""Name under which `attention_forward` is registered with `transformers`."""

PLAN = "recollect_plan"
"""Keyword argument of a forward pass that carries its `AttentionPlan`."""

_FOREIGN = ("s_aux", "position_bias")  # terms of the softmax that some families add and this function does not know


class AttentionPlan(Protocol):
    """Say what one forward pass wants from each attention layer."""

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "B H L E"]:
        """Return the attention output of one layer for its new queries, keys and values."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class MaskPlan:
    """Attend under one mask in every layer; an `AttentionPlan`.

    Parameters
    ----------
    mask
        B x 1 x T x T, boolean or added to the scores.
    """

    mask: Tensor

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
        """Attend to all that the mask shows."""
        return attend(query, key, value, mask=self.mask, scaling=scaling, softcap=softcap)


def attention_forward(
    module: torch.nn.Module,
    query: Float[Tensor, "B H L E"],
    key: Float[Tensor, "B K L E"],
    value: Float[Tensor, "B K L E"],
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Float[Tensor, "B L H E"], None]:
    """Attend as the plan of this pass says, or under the mask if there is none.

    Raises
    ------
    ModelError
        If the family adds a term to the softmax that this function does not know.
    """
    foreign = [name for name in _FOREIGN if others.get(name) is not None]
    if foreign:
        raise ModelError(
            what="this model family changes the attention softmax",
            got=f"{', '.join(foreign)} from {type(module).__name__}",
            expected="scores from queries and keys alone",
            do="load the model with its own attention (attn_implementation='eager')",
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = in_one_dtype(query, key, value)
    plan: AttentionPlan | None = others.get(PLAN)
    if plan is not None:
        output = plan.attend(_layer_of(module), query, key, value, scaling=scale, softcap=softcap)
    else:
        causal = attention_mask is None and query.shape[2] > 1 and is_causal is not False
        output = attend(
            query, key, value, mask=attention_mask, causal=causal, scaling=scale, softcap=softcap, dropout=dropout
        )
    return output.transpose(1, 2).contiguous(), None


def attend(
    query: Float[Tensor, "B H L E"],
    key: Float[Tensor, "B K P E"],
    value: Float[Tensor, "B K P E"],
    *,
    scaling: float,
    mask: Tensor | None = None,
    causal: bool = False,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "B H L E"]:
    """Attend under a mask (boolean, or added to the scores), causally, or to everything.

    Grouped key/value heads are shared by neighbouring query heads. ``softcap`` c replaces a score s by c tanh(s / c).
    """
    if softcap is not None:
        added = _additive(mask, query, causal=causal)
        return _attend_explicitly(query, key, value, mask=added, scaling=scaling, cap=softcap, dropout=dropout)[0]
    grouped = query.shape[1] != key.shape[1]
    if grouped and query.device.type != "cpu":
        key, value = _repeat_heads(key, query.shape[1]), _repeat_heads(value, query.shape[1])
        grouped = False
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scaling, enable_gqa=grouped
    )


def attend_cascade(
    query: Float[Tensor, "C H L E"],
    key: Float[Tensor, "C K L E"],
    value: Float[Tensor, "C K L E"],
    *,
    trunk_key: Float[Tensor, "1 K P E"],
    trunk_value: Float[Tensor, "1 K P E"],
    scaling: float,
    softcap: float | None = None,
) -> Float[Tensor, "C H L E"]:
    """Attend each branch to the whole trunk and, causally, to itself, in one exact softmax.

    The trunk is read once for all branches and never copied per branch.
    """
    trunk = None
    if trunk_key.shape[2]:
        trunk = attend_trunk(query, trunk_key, trunk_value, scaling=scaling, softcap=softcap)
    return join_own(query, key, value, trunk=trunk, scaling=scaling, softcap=softcap)


def attend_trunk(
    query: Float[Tensor, "C H N E"],
    key: Float[Tensor, "1 K P E"],
    value: Float[Tensor, "1 K P E"],
    *,
    scaling: float,
    softcap: float | None = None,
    added: Float[Tensor, " P"] | None = None,
) -> tuple[Float[Tensor, "C H N E"], Float[Tensor, "C H N"]]:
    """Attend all branches to the trunk as one product, and return the log-sum-exp of each query's scores as well.

    ``added`` to the scores, such as minus infinity for room that no token fills yet, builds the score matrix.
    """
    count, heads, length, width = query.shape
    shared = key.shape[1]
    grouped = query.reshape(count, shared, heads // shared, length, width)
    rows = grouped.permute(1, 2, 0, 3, 4).reshape(1, shared, heads // shared * count * length, width)
    if added is None:
        output, lse = _attend_with_lse(rows, key, value, scaling=scaling, softcap=softcap)
    else:
        output, lse = _attend_explicitly(rows, key, value, mask=added, scaling=scaling, cap=softcap)
    return (
        output.reshape(heads, count, length, width).transpose(0, 1),
        lse.reshape(heads, count, length).transpose(0, 1),
    )


def join_own(
    query: Float[Tensor, "C H N E"],
    key: Float[Tensor, "C K L E"],
    value: Float[Tensor, "C K L E"],
    *,
    trunk: tuple[Float[Tensor, "C H N E"], Float[Tensor, "C H N"]] | None,
    scaling: float,
    softcap: float | None = None,
    seen: Bool[Tensor, "C N L"] | None = None,
) -> Float[Tensor, "C H N E"]:
    """Attend each branch to itself, and join that with its attention to the trunk in one exact softmax.

    Parameters
    ----------
    query, key, value
        Of the branches.
    trunk
        What `attend_trunk` returned; None without a trunk.
    scaling, softcap
        As in `attend`.
    seen
        Which own tokens each query sees; None means every token asks, and sees itself and those before it.
    """
    if seen is None:
        own, own_lse = _attend_self(query, key, value, scaling=scaling, softcap=softcap)
    else:
        own, own_lse = _attend_seen(query, key, value, scaling=scaling, softcap=softcap, seen=seen)
    if trunk is None:
        return own.expand_as(query)
    output, lse = trunk
    weight = torch.sigmoid(own_lse - lse).unsqueeze(-1).to(output.dtype)
    return torch.lerp(output, own.expand_as(output), weight)


def _attend_self(
    query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
) -> tuple[Float[Tensor, "C H L E"], Float[Tensor, "C H L"]]:
    """Attend each branch to itself causally; a branch of one token has only one score."""
    key, value = _repeat_heads(key, query.shape[1]), _repeat_heads(value, query.shape[1])
    if query.shape[2] > 1:
        return _attend_with_lse(query, key, value, scaling=scaling, softcap=softcap, causal=True)
    return value, _capped((query * key).sum(-1, dtype=torch.float32) * scaling, softcap)


def _attend_seen(
    query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None, seen: Tensor
) -> tuple[Float[Tensor, "C H N E"], Float[Tensor, "C H N"]]:
    """Attend a few places of each branch to what they see of it; grouped heads are rows of one small product."""
    shared, width = key.shape[1], key.shape[-1]
    count, heads, places = query.shape[:3]
    grouped = query.reshape(count, shared, heads // shared, places, width)
    scores = (grouped.flatten(2, 3) @ key.mT).view(*grouped.shape[:-1], key.shape[2])
    scores = _capped(scores.float() * scaling, softcap).masked_fill(~seen[:, None, None], float("-inf"))
    lse = scores.logsumexp(-1)
    weights = (scores - lse.unsqueeze(-1)).exp().to(value.dtype)
    output = (weights.flatten(2, 3) @ value).view(*grouped.shape[:-1], width)
    return output.flatten(1, 2), lse.flatten(1, 2)


def _attend_with_lse(
    query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None, causal: bool = False
) -> tuple[Float[Tensor, "B H L E"], Float[Tensor, "B H L"]]:
    """Attend, and return the log-sum-exp of the scores of each query as well."""
    if query.device.type == "cuda" and not query.requires_grad:
        return _attend_flexibly(query, key, value, scaling=scaling, softcap=softcap, causal=causal)
    if softcap is None and query.device.type == "cpu" and query.shape[-1] == value.shape[-1]:
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(  # noqa: SLF001 the public call drops the log-sum-exp
            query, key, value, 0.0, causal, scale=scaling
        )
    added = _additive(None, query, causal=causal)
    return _attend_explicitly(query, key, value, mask=added, scaling=scaling, cap=softcap)


def _attend_flexibly(
    query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None, causal: bool
) -> tuple[Float[Tensor, "B H L E"], Float[Tensor, "B H L"]]:
    """Attend by FlexAttention: fused where it is compiled, which is everywhere but on the CPU."""
    call = flex_attention if query.device.type == "cpu" else _compiled_flex()
    output, found = call(
        query,
        key,
        value,
        score_mod=_score_change(softcap, causal=causal),
        scale=scaling,
        return_aux=AuxRequest(lse=True),
    )
    return output, cast(Tensor, found.lse)


@functools.cache
def _compiled_flex() -> Any:
    return torch.compile(flex_attention, dynamic=True)


@functools.cache
def _score_change(softcap: float | None, *, causal: bool) -> Callable[..., Tensor] | None:
    """Say what FlexAttention does to a score; one function per choice, so that each is compiled once."""
    if softcap is None and not causal:
        return None

    @no_type_check  # runtime checks of types are side effects, which FlexAttention refuses here
    def change(score: Tensor, _batch: Tensor, _head: Tensor, asking: Tensor, asked: Tensor) -> Tensor:
        score = score if softcap is None else softcap * torch.tanh(score / softcap)
        return torch.where(asking >= asked, score, -float("inf")) if causal else score

    return cast(Callable[..., Tensor], change)


def _attend_explicitly(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    scaling: float,
    cap: float | None,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "B H L E"], Float[Tensor, "B H L"]]:
    """Attend with the score matrix in memory: any device, soft-capped or not."""
    key, value = _repeat_heads(key, query.shape[1]), _repeat_heads(value, query.shape[1])
    scores = _capped((query @ key.transpose(-1, -2)).float() * scaling, cap)
    if mask is not None:
        scores = scores + mask
    lse = scores.logsumexp(-1)
    weights = functional.dropout((scores - lse.unsqueeze(-1)).exp(), dropout)
    return weights.to(value.dtype) @ value, lse


def _capped(scores: Tensor, cap: float | None) -> Tensor:
    return scores if cap is None else cap * torch.tanh(scores / cap)


def _additive(mask: Tensor | None, query: Tensor, *, causal: bool) -> Tensor | None:
    """Turn a boolean mask, or the wish for causality, into numbers that are added to the scores."""
    if mask is None and causal:
        length = query.shape[2]
        mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=torch.float32, device=mask.device).masked_fill_(~mask, float("-inf"))


def _repeat_heads(states: Tensor, heads: int) -> Tensor:
    """Give every query head its key/value head."""
    batch, own, length, width = states.shape
    if own == heads:
        return states
    return states[:, :, None].expand(batch, own, heads // own, length, width).reshape(batch, heads, length, width)


def in_one_dtype(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring all three to autocast's dtype, or to the values' (norms of queries and keys may have widened them).

    Parameters
    ----------
    query, key, value
        What enters attention.
    """
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    return query.to(dtype), key.to(dtype), value.to(dtype)


def _layer_of(module: torch.nn.Module) -> int:
    """Read which layer an attention module is.

    Raises
    ------
    ModelError
        If it does not know.
    """
    layer = getattr(module, "layer_idx", None)
    if not isinstance(layer, int):
        raise ModelError(
            what="an attention layer does not know its number",
            got=f"layer_idx = {layer!r} on {type(module).__name__}",
            expected="an integer",
            do="load the model with its own attention (attn_implementation='eager')",
        )
    return layer


AttentionInterface.register(IMPLEMENTATION, attention_forward)
AttentionMaskInterface.register(IMPLEMENTATION, cast(Any, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"]))
