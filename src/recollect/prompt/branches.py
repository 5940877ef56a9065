"""Branches: many candidates after one trunk, as equal rows of tokens.

What it is: the compact form of a prompt tree's leaves for scoring against a warm trunk. Every branch sees the trunk (or
the same part of it) and itself, never another branch, and is asked once.

What it decides: one answer slot per branch; shorter branches are padded on the right, where causality keeps the
padding from having any effect.

Dimension letters: C candidates, L tokens of the longest branch, F features per token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float32, Int32

from recollect.errors import PromptError
from recollect.prompt.tree import NO_ITEM

__all__ = ["Branches"]


@dataclass(frozen=True, eq=False, slots=True)
class Branches:
    """Hold the branches of C candidates, one row each.

    Parameters
    ----------
    tokens
        Token ids, padded on the right with any valid id.
    items
        Item code of a soft token, -1 elsewhere.
    features
        Numbers that travel with a soft token; zeros elsewhere.
    positions
        Position of each token as the model counts them.
    slots
        Token of each branch where its answer is read.

    Raises
    ------
    PromptError
        If the arrays do not fit each other, or a slot lies outside its branch.
    """

    tokens: Int32[np.ndarray, "C L"]
    items: Int32[np.ndarray, "C L"]
    features: Float32[np.ndarray, "C L F"]
    positions: Int32[np.ndarray, "C L"]
    slots: Int32[np.ndarray, " C"]

    def __post_init__(self) -> None:
        shape = self.tokens.shape
        fits = (
            len(shape) == 2
            and self.items.shape == shape == self.positions.shape == self.features.shape[:2]
            and self.features.ndim == 3
            and self.slots.shape == shape[:1]
        )
        inside = fits and (shape[0] == 0 or (self.slots.min() >= 0 and self.slots.max() < shape[1]))
        if not inside:
            raise PromptError(
                what="arrays of branches do not fit each other",
                got=f"tokens {shape}, items {self.items.shape}, features {self.features.shape}, "
                f"positions {self.positions.shape}, slots {self.slots.shape}",
                expected="candidates x tokens in all, and one slot inside each branch",
                do="pad the branches to one length, or use Branches.of",
            )

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @classmethod
    def of(
        cls,
        tokens: Int32[np.ndarray, "C L"],
        *,
        start: int,
        items: Int32[np.ndarray, "C L"] | None = None,
        features: Float32[np.ndarray, "C L F"] | None = None,
        slots: Int32[np.ndarray, " C"] | None = None,
    ) -> Self:
        """Make branches that all start at one position and, unless told otherwise, are asked at their last token.

        Parameters
        ----------
        tokens
            Token ids of each candidate.
        start
            Position of the first token of every branch, usually the trunk's `next_position`.
        items, features, slots
            As in the class; None means no soft token, and the last token.

        Raises
        ------
        PromptError
            If the arrays do not fit each other, or a slot lies outside its branch.
        """
        count, length = tokens.shape
        last = np.full(count, length - 1, np.int32)
        return cls(
            tokens=tokens,
            items=np.full(tokens.shape, NO_ITEM, np.int32) if items is None else items,
            features=np.zeros((count, length, 0), np.float32) if features is None else features,
            positions=np.broadcast_to(np.arange(start, start + length, dtype=np.int32), tokens.shape),
            slots=last if slots is None else slots,
        )

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put branches of several questions below each other, the shorter ones padded.

        Parameters
        ----------
        parts
            At least one, with as many features each.
        """
        if len(parts) == 1:
            return parts[0]
        length = max(part.tokens.shape[1] for part in parts)
        named = {"tokens": 0, "items": NO_ITEM, "features": 0, "positions": 0}
        rows = {
            name: np.concatenate([_padded(getattr(part, name), length, fill) for part in parts])
            for name, fill in named.items()
        }
        return cls(**rows, slots=np.concatenate([part.slots for part in parts]))

    def take(self, candidates: slice) -> Self:
        """Return some of the branches, without copying.

        Parameters
        ----------
        candidates
            Which rows to keep.
        """
        return type(self)(
            tokens=self.tokens[candidates],
            items=self.items[candidates],
            features=self.features[candidates],
            positions=self.positions[candidates],
            slots=self.slots[candidates],
        )


def _padded(rows: np.ndarray, length: int, fill: int) -> np.ndarray:
    """Pad the second axis on the right."""
    missing = [(0, 0)] * rows.ndim
    missing[1] = (0, length - rows.shape[1])
    return np.pad(rows, missing, constant_values=fill)
