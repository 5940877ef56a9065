"""One layer of the Llama shape, as plain functions over its weights.

What it is: RMS norm, rotary positions, grouped heads and a gated feed-forward part, with optional norms of queries and
keys and optional biases; the weights as named tuples, and how they are read off a layer of `transformers`.

What it decides: a layer has two halves with attention to the trunk between them, since the trunk's length changes with
every event while the shapes of both halves hardly do: that is what can be compiled. Places asked are chosen before
the products of queries and of the feed-forward part, so that the last layer costs little.

Dimension letters: B rows, T tokens, C branches, L tokens of a branch, N places asked of a branch, D width, H heads,
K key/value heads, E width of a head, I inputs, O outputs.
"""

from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as functional
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recollect.model.attention import join_own
from recollect.model.quantised import Int8Linear

__all__ = [
    "Asked",
    "KeysAndValues",
    "Layer",
    "Linear",
    "Shape",
    "Turns",
    "convert_layer",
    "enter_layer",
    "finish_layer",
    "keys_and_values",
    "leave_layer",
    "normalise",
    "quantise_layer",
    "read_layer",
]

Turns = tuple[Tensor, Tensor]
"""Cosines and sines of positions: B x T x E."""

KeysAndValues = tuple[Tensor, Tensor]

Asked = tuple[Tensor | None, Tensor | None]
"""Places of each branch that ask, and what each sees of its branch; None twice if every token asks."""

_PROJECTIONS = ("query", "key", "value", "out", "gate", "up", "down")


class Linear(NamedTuple):
    """Weights of one product: O x I, and a bias or none."""

    weight: Tensor
    bias: Tensor | None


class LoraLinear(NamedTuple):
    """Weights of one product with a low-rank adapter that is tuned: of the base, R x I and O x R, and their factor."""

    base: Linear
    down: Tensor
    up: Tensor
    factor: float


Product = Linear | LoraLinear | Int8Linear


class Layer(NamedTuple):
    """Weights of one layer. Norms are vectors; those of queries and keys may be missing."""

    before_attention: Tensor
    before_feed: Tensor
    query_norm: Tensor | None
    key_norm: Tensor | None
    query: Product
    key: Product
    value: Product
    out: Product
    gate: Product
    up: Product
    down: Product


class Shape(NamedTuple):
    """Numbers that all layers share: width of a head, factor of the attention scores, epsilon of the norms."""

    width: int
    scaling: float
    epsilon: float


def enter_layer(
    layer: Layer,
    hidden: Float[Tensor, "B T D"],
    turns: Turns,
    *,
    places: Int64[Tensor, "B N"] | None,
    shape: Shape,
) -> tuple[Float[Tensor, "B H N E"], Float[Tensor, "B K T E"], Float[Tensor, "B K T E"]]:
    """Compute queries (at some places, or of all tokens), keys and values of a layer.

    Parameters
    ----------
    layer, shape
        Weights and numbers.
    hidden
        What enters the layer.
    turns
        Cosines and sines of all tokens' positions.
    places
        Which tokens of each row ask; None means all.
    """
    normed = normalise(hidden, layer.before_attention, shape)
    keys, values = keys_and_values(layer, normed, turns, shape)
    if places is not None:
        normed, turns = _at(normed, places), (_at(turns[0], places), _at(turns[1], places))
    queries = _heads(_product(normed, layer.query), shape)
    return _turned(_maybe_normed(queries, layer.query_norm, shape), turns), keys, values


def leave_layer(
    layer: Layer,
    hidden: Float[Tensor, "C L D"],
    states: tuple[Float[Tensor, "C H N E"], Float[Tensor, "C K L E"], Float[Tensor, "C K L E"]],
    *,
    trunk: tuple[Float[Tensor, "C H N E"], Float[Tensor, "C H N"]] | None,
    asked: Asked,
    shape: Shape,
) -> Float[Tensor, "C N D"]:
    """Join attention to the trunk with that of each branch to itself, and compute the rest of a layer.

    Parameters
    ----------
    layer, shape
        Weights and numbers.
    hidden
        What entered the layer.
    states
        What `enter_layer` returned.
    trunk
        What `attend_trunk` returned; None without a trunk.
    asked
        Which tokens of each branch ask, and what each of them sees of its branch; None twice for all.
    """
    places, seen = asked
    attended = join_own(*states, trunk=trunk, scaling=shape.scaling, seen=seen)
    return finish_layer(layer, hidden if places is None else _at(hidden, places), attended, shape)


def finish_layer(
    layer: Layer, hidden: Tensor, attended: Float[Tensor, "B H N E"], shape: Shape
) -> Float[Tensor, "B N D"]:
    """Add attention, then the feed-forward part."""
    hidden = hidden + _product(attended.transpose(1, 2).flatten(2), layer.out)
    normed = normalise(hidden, layer.before_feed, shape)
    return hidden + _product(functional.silu(_product(normed, layer.gate)) * _product(normed, layer.up), layer.down)


def keys_and_values(layer: Layer, normed: Tensor, turns: Turns, shape: Shape) -> KeysAndValues:
    """Compute keys and values of normalised states."""
    keys = _maybe_normed(_heads(_product(normed, layer.key), shape), layer.key_norm, shape)
    return _turned(keys, turns), _heads(_product(normed, layer.value), shape)


def _product(states: Float[Tensor, "*B I"], by: Product) -> Float[Tensor, "*B O"]:
    if isinstance(by, Linear):
        return functional.linear(states, by.weight, by.bias)
    if isinstance(by, Int8Linear):
        return by(states)
    based = functional.linear(states, *by.base)
    adapted = functional.linear(functional.linear(states.to(by.down.dtype), by.down), by.up)
    return (based + by.factor * adapted).to(based.dtype)


def _heads(states: Float[Tensor, "B T O"], shape: Shape) -> Float[Tensor, "B _ T E"]:
    return states.reshape(*states.shape[:-1], -1, shape.width).transpose(1, 2)


def normalise(states: Float[Tensor, "*B D"], weight: Float[Tensor, " D"], shape: Shape) -> Float[Tensor, "*B D"]:
    """Divide by the root of the mean square, and weight."""
    return functional.rms_norm(states, weight.shape, weight, shape.epsilon)


def _maybe_normed(states: Float[Tensor, "B H T E"], weight: Tensor | None, shape: Shape) -> Float[Tensor, "B H T E"]:
    return states if weight is None else normalise(states, weight, shape)


def _turned(states: Float[Tensor, "B H T E"], turns: Turns) -> Float[Tensor, "B H T E"]:
    """Turn each pair of numbers by the angle of its position; pairs lie half a head apart."""
    cosines, sines = (one[:, None] for one in turns)
    left, right = states.chunk(2, -1)
    return states * cosines + torch.cat((-right, left), -1) * sines


def _at(states: Float[Tensor, "#C L _"], places: Int64[Tensor, "C N"]) -> Float[Tensor, "C N _"]:
    """Take some tokens of each row."""
    width = states.shape[-1]
    return states.expand(len(places), -1, -1).gather(1, places[..., None].expand(-1, -1, width))


def read_layer(module: Any, *, adapted: bool = False) -> Layer:
    """Read one layer of a backbone, with its low-rank adapter where that is wanted.

    Raises
    ------
    AttributeError, TypeError
        If it is of another shape.
    """
    attention, feed, read = module.self_attn, module.mlp, _adapted_linear if adapted else _linear
    query_norm, key_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return Layer(
        before_attention=module.input_layernorm.weight,
        before_feed=module.post_attention_layernorm.weight,
        query_norm=None if query_norm is None else query_norm.weight,
        key_norm=None if key_norm is None else key_norm.weight,
        query=read(attention.q_proj),
        key=read(attention.k_proj),
        value=read(attention.v_proj),
        out=read(attention.o_proj),
        gate=read(feed.gate_proj),
        up=read(feed.up_proj),
        down=read(feed.down_proj),
    )


def _linear(module: Any) -> Linear:
    if type(module) is not nn.Linear:
        raise TypeError(f"a product of another kind: {type(module).__name__}")
    return Linear(module.weight, cast(Tensor | None, module.bias))


def _adapted_linear(module: Any) -> Product:
    """Read a product with the one plain adapter that it may have, which drops nothing.

    Raises
    ------
    TypeError
        If it has another kind of adapter.
    """
    if type(module) is nn.Linear:
        return _linear(module)
    (name,) = module.active_adapters
    if module.merged or module.lora_variant or not isinstance(module.lora_dropout[name], nn.Identity):
        raise TypeError("an adapter of another kind")
    down, up = module.lora_A[name].weight, module.lora_B[name].weight
    return LoraLinear(_linear(module.base_layer), down, up, float(module.scaling[name]))


def convert_layer(layer: Layer, dtype: torch.dtype) -> Layer:
    """Copy the weights of a layer in another type."""
    return Layer(*(_converted(part, dtype) for part in layer))


def quantise_layer(layer: Layer) -> Layer:
    """Copy a layer, with int8 weights in its products."""
    return layer._replace(**{name: Int8Linear(*getattr(layer, name)) for name in _PROJECTIONS})


def _converted(part: Any, dtype: torch.dtype) -> Any:
    if isinstance(part, Linear):
        return Linear(part.weight.detach().to(dtype), None if part.bias is None else part.bias.detach().to(dtype))
    return None if part is None else cast(Tensor, part).detach().to(dtype)
