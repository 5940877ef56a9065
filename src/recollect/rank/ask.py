"""What a recommender is asked, in codes: whose list, of what, and how it may look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32

from recollect.errors import UsageError


@dataclass(frozen=True, eq=False, slots=True)
class InlineHistory:
    """Hold the events of somebody of whom nothing is kept, oldest first.

    Parameters
    ----------
    items : Int32[N]
        Item codes.
    values : Float32[N]
        Feedback in the unit of the log.
    """

    items: Int32[np.ndarray, " N"]
    values: Float32[np.ndarray, " N"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Ask:
    """Ask for a ranking.

    Parameters
    ----------
    user : str or None
        Id of the user, known or not; None for an inline history.
    history : InlineHistory, optional
        Events that come with the question.
    at : int, optional
        Unix seconds; only what is known by then is seen. By default everything so far.
    known : int, optional
        See the first so many of these events only.
    top : int
        How many items, 1 or more.
    explain : bool
        Whether each item names the past events that carried weight.
    items : Int32[C], optional
        Codes of the items to rank; chosen from the catalog by default.
    exclude : Int32[M], optional
        Codes of items that are not ranked.
    allowed : Bool[I], optional
        Which items of the catalog may be ranked.
    diversity : float
        From 0, the greatest scores, to 1, items as unlike each other as can be.

    Raises
    ------
    UsageError
        If top is below 1 or the diversity is not between 0 and 1.
    """

    user: str | None
    history: InlineHistory | None = None
    at: int | None = None
    known: int | None = None
    top: int = 10
    explain: bool = False
    items: Int32[np.ndarray, " C"] | None = None
    exclude: Int32[np.ndarray, " M"] | None = None
    allowed: Bool[np.ndarray, " I"] | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError("too few items asked for", got=self.top, expected="1 or more", do="ask for 10")
        if not 0 <= self.diversity <= 1:
            raise UsageError(
                "a diversity out of range", got=self.diversity, expected="0 to 1", do="give 0 for the best scores"
            )

    def open_items(self, count: int) -> Bool[np.ndarray, " I"] | None:
        """Return which of so many items may be ranked; None if all may."""
        if self.allowed is None and self.exclude is None:
            return None
        allowed = np.ones(count, np.bool_)
        if self.allowed is not None:
            allowed[: len(self.allowed)] = self.allowed[:count]
            allowed[len(self.allowed) :] = False
        if self.exclude is not None:
            allowed[self.exclude[self.exclude < count]] = False
        return allowed
