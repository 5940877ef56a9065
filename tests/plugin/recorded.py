"""A record of what torch computes while a block runs: the shapes of all results."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Recorded(TorchDispatchMode):
    """Keep the shape of every tensor that an operation gives, the backward pass included; products are told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[str, tuple[int, ...]]] = []

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        several = result if isinstance(result, (tuple, list)) else (result,)
        self.shapes += [(func.__name__, tuple(one.shape)) for one in several if isinstance(one, torch.Tensor)]
        return result

    def results(self, *, columns: int) -> set[tuple[int, ...]]:
        """Return the shapes of all results of two axes or more, the last of which has so many entries."""
        return {shape for _, shape in self.shapes if len(shape) > 1 and shape[-1] == columns}

    def products(self, *, columns: int) -> set[tuple[int, ...]]:
        """Return the shapes of the matrix products among them."""
        multiplied = {shape for name, shape in self.shapes if "mm" in name or "linear" in name}
        return self.results(columns=columns) & multiplied
