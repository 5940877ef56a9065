"""Fewer bits: int8 weights for the products of a decoder, int8 and bfloat16 for the keys and values of a trunk.

What it is: `Int8Linear`, a linear layer with weights of one byte; `stored` and `restored`, from states to what a trunk
cache keeps of them and back.

What it decides: weights have one scale per output row, and states one per token, found as they come; torch's own
product of bytes does the rest. Keys and values have one scale per token and head,
so a token's bytes never depend on its neighbours, and a trunk that grew is the trunk read from its beginning, but for
numbers so near the middle of two steps that the last bit of a product decides. None of this is exact, so nothing of it
is ever chosen by itself.

Dimension letters: T rows, I inputs, O outputs, K key/value heads, P tokens, E width of a head.
"""

from typing import Any, Final, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["CACHE_KINDS", "CacheKind", "Int8Linear", "int8_is_possible", "restored", "stored"]

CacheKind = Literal["as computed", "bfloat16", "int8"]
CACHE_KINDS: Final[tuple[CacheKind, ...]] = ("as computed", "bfloat16", "int8")

_LARGEST: Final = 127
_SMALLEST_SCALE: Final = 1e-12  # of a row of zeros
_ONEDNN: Final = cast(Any, torch.ops.onednn)


class Int8Linear:
    """Multiply by weights of one byte each, on the CPU.

    Parameters
    ----------
    weight
        O x I, float; it is copied, so later changes are not followed.
    bias
        Added to each row, or None.
    """

    def __init__(self, weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None = None) -> None:
        rows = weight.detach().float()
        self._scales = (rows.abs().amax(1) / _LARGEST).clamp_min(_SMALLEST_SCALE)
        self._packed = cast(
            Tensor, _ONEDNN.qlinear_prepack((rows / self._scales[:, None]).round().to(torch.int8), None)
        )
        self._zeros = torch.zeros(len(rows), dtype=torch.int32)
        self._bias = None if bias is None else bias.detach().float()
        self._levels = _LARGEST if _sums_are_wide() else _LARGEST // 2

    def __call__(self, states: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        """Multiply; each row of states is rounded to bytes by a scale of its own, so rows never change each other."""
        scales = states.abs().amax(-1, keepdim=True).clamp_min(_SMALLEST_SCALE)
        middle = self._levels + 1  # states become unsigned bytes around it
        rounded = (states * (self._levels / scales)).round_().add_(middle).to(torch.uint8)
        left, right = (rounded, 1 / self._levels, middle), (self._packed, self._scales, self._zeros)
        product = _ONEDNN.qlinear_pointwise(*left, *right, None, 1.0, 0, torch.float32, "none", [], "")
        product = cast(Tensor, product) * scales
        return product if self._bias is None else product + self._bias


def int8_is_possible() -> bool:
    """Tell whether this build of torch multiplies bytes."""
    return torch.backends.mkldnn.is_available() and hasattr(_ONEDNN, "qlinear_pointwise")


def _sums_are_wide() -> bool:
    """Tell whether the processor adds products of bytes without overflow; if not, states get 7 bits instead of 8."""
    return bool(cast(Any, torch.cpu)._is_vnni_supported())  # noqa: SLF001 - torch tells this nowhere else


def stored(states: Float[Tensor, "1 K P E"], kind: CacheKind) -> tuple[Tensor, ...]:
    """Return what a cache keeps of keys or values: themselves, or bytes with their scales (1 x K x P x 1).

    Parameters
    ----------
    states
        Keys or values of some tokens.
    kind
        How they are kept.
    """
    if kind == "as computed":
        return (states,)
    if kind == "bfloat16":
        return (states.bfloat16(),)
    scales = (states.float().abs().amax(-1, keepdim=True) / _LARGEST).clamp_min(_SMALLEST_SCALE)
    return (states / scales).round().to(torch.int8), scales


def restored(parts: tuple[Tensor, ...]) -> Float[Tensor, "1 K P E"]:
    """Return the states that `stored` kept: float32 from bytes, else in the type they are kept in.

    Parameters
    ----------
    parts
        What `stored` returned, cut to the tokens wanted.
    """
    return parts[0] if len(parts) == 1 else parts[0] * parts[1]
