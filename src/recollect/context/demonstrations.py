"""Demonstrations: which solved events of a person stand before a question.

It decides that a demonstration is an event of the same person that is known at the moment of the question, whatever
its label: demonstrations are the one place where dislikes enter a RecICL prompt. Fewer are shown where fewer are
known; none are borrowed, none padded. Source: RecICL (arXiv 2410.23136), demonstrations from recent interactions
(spec `recicl`, section 2); the choice by similarity is our own option.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int32, Int64
from pydantic import BaseModel, ConfigDict, Field

from recollect.context.evidence import Timeline
from recollect.context.retrieval import Neighbours
from recollect.errors import UsageError


class DemonstrationSettings(BaseModel):
    """Choose how many solved examples are shown, and which: the most recent, or those nearest to the item asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=0, ge=0)
    choice: Literal["recent", "similar"] = "recent"


def choose_demonstrations(
    line: Timeline,
    known: int,
    settings: DemonstrationSettings,
    *,
    neighbours: Neighbours | None = None,
    targets: Int32[np.ndarray, " C"] | None = None,
) -> Int64[np.ndarray, " K"]:
    """Return where in a timeline the demonstrations of a question stand, oldest first.

    Parameters
    ----------
    line : Timeline
        A person's events.
    known : int
        How many of them, the first ones, are known at the moment of the question.
    settings : DemonstrationSettings
        How many, and which.
    neighbours : Neighbours, optional
        Measures nearness; needed for similar ones.
    targets : Int32[C], optional
        The items asked; needed for similar ones. Of several, the nearest to any of them are taken.

    Raises
    ------
    UsageError
        If similar ones are wanted and there is nothing to measure by.
    """
    if settings.choice == "recent":
        return np.arange(max(known - settings.count, 0), known)
    if neighbours is None or targets is None:
        raise UsageError(
            "similar demonstrations without a measure",
            got=f"neighbours {neighbours}, targets {targets}",
            expected="item vectors and the items asked",
            do="hand both in, or set demonstrations.choice to recent",
        )
    return np.sort(neighbours.union(line.items[:known], targets, count=settings.count))
