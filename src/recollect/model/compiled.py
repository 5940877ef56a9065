"""Compiled halves of a layer: `torch.compile` for branches of a few lengths, never in a request, and for packed trees.

What it decides: one graph of each half serves all layers, since weights are arguments; branches are padded to the next
length that was compiled; what was not compiled beforehand runs as written. Packed trees of any size share the graphs of
their own halves, which tuning compiles with its first steps. The compiled code is kept on disk by torch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from recollect.model.compact import Halves, Plainly
from recollect.model.compact_layer import Layer, enter_layer, finish_layer, leave_layer

__all__ = ["MANY", "CompiledHalves", "compiled_tree_halves"]

MANY: Final = 37
"""Branches in the query that compiles: a number that is no other size by chance."""

_MOST: Final = 64  # compiled lengths
_Half = Callable[..., Any]


class CompiledHalves:
    """The halves of a layer, compiled for branches of a few lengths and any number of them."""

    def __init__(self) -> None:
        self._lengths: list[int] = []
        self._preparing = False
        self._plain = Plainly()
        self._enter, self._leave = (cast(_Half, torch.compile(half)) for half in (enter_layer, leave_layer))

    def chunk(self, length: int) -> int:
        """Return the number that is right for any length."""
        return self._plain.chunk(self._room(length))

    def room(self, count: int, length: int) -> tuple[int, int]:
        """Pad to the next length that was compiled, if there is one."""
        return count, self._room(length)

    def halves(self, count: int, length: int) -> Halves:
        """Return compiled halves if there are any for the length; they never compile again."""
        if length not in self._lengths or count == 1:
            return self._plain.halves(count, length)
        wrapped = _for_any_count if self._preparing else _without_compiling
        return wrapped(self._enter), wrapped(self._leave)

    def prepare(self, lengths: Sequence[int], *, ask: Callable[[int], object]) -> None:
        """Compile for some lengths.

        Parameters
        ----------
        lengths
            Tokens of the branches.
        ask
            Asks the model about `MANY` branches of a length, all in one chunk.
        """
        self._preparing = True
        try:
            with cast(Any, torch)._dynamo.config.patch(recompile_limit=_MOST, automatic_dynamic_shapes=False):  # noqa: SLF001
                for length in sorted(set(lengths)):
                    self._lengths.append(length)
                    ask(length)
        finally:
            self._preparing = False

    def _room(self, length: int) -> int:
        return min((compiled for compiled in self._lengths if compiled >= length), default=length)


def compiled_tree_halves() -> Halves:
    """Return the halves of a layer for packed trees of any size, compiled when they are called first."""
    enter, finish = (cast(_Half, torch.compile(half, dynamic=True)) for half in (enter_layer, finish_layer))
    return enter, finish


def _for_any_count(half: _Half) -> _Half:
    """Tell the compiler that the number of branches will vary."""

    def call(layer: Layer, *states: Any, **more: Any) -> Any:
        for state in tree_leaves((states, more)):
            if isinstance(state, Tensor) and state.shape[0] == MANY:
                cast(Any, torch)._dynamo.maybe_mark_dynamic(state, 0)  # noqa: SLF001 - documented under this name
        return half(layer, *states, **more)

    return call


def _without_compiling(half: _Half) -> _Half:
    """Run as written what was not compiled beforehand."""

    def call(*states: Any, **more: Any) -> Any:
        with torch.compiler.set_stance("eager_on_recompile"):
            return half(*states, **more)

    return call
