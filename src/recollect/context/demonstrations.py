"""Demonstrations: which solved events of a person stand before a question.

It decides that a demonstration is an event of the same person that is known at the moment of the question, whatever
its label: demonstrations are the one place where dislikes enter a RecICL prompt. Fewer are shown where fewer are
known; none are borrowed, none padded. Source: RecICL (arXiv 2410.23136), demonstrations from recent interactions
(spec `recicl`, section 2); the choice by similarity is our own option, that by measured effect is LRGD's
(`recollect.context.effects`), and random ones are there to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Int32, Int64
from pydantic import BaseModel, ConfigDict, Field

from recollect.context.evidence import Timeline
from recollect.context.retrieval import Neighbours
from recollect.errors import UsageError

Choice = Literal["recent", "similar", "random", "effect", "rerank"]
MEASURED: frozenset[str] = frozenset({"effect", "rerank"})
"""Choices that ask a language model."""


class DemonstrationSettings(BaseModel):
    """Choose how many solved examples are shown, and which.

    The most `recent`; those nearest to the item asked (`similar`); `random` ones; the set whose measured `effect` on
    the person's known answers is best (LRGD); or `rerank`, nearness and effect together. Where no model measures, as
    while one is tuned, the last two show what they fall back to: the most recent, and the nearest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=0, ge=0)
    choice: Choice = "recent"

    @property
    def is_shared(self) -> bool:
        """Whether the choice looks at the moment alone, not at the item asked."""
        return self.count == 0 or self.choice in {"recent", "random", "effect"}


@dataclass(frozen=True, eq=False, slots=True)
class Picked:
    """Hold chosen demonstrations.

    Parameters
    ----------
    places : Int64[K]
        Where in the timeline they stand, in the order shown.
    note : str
        How they were chosen, where a person would want to know.
    """

    places: Int64[np.ndarray, " K"]
    note: str = ""


class MeasuredChoice(Protocol):
    """Choose demonstrations by what a language model says about them."""

    def pick(self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"]) -> Picked:
        """Choose for a person of whom the first `known` events are known, who is asked about the targets."""
        ...


def choose_demonstrations(
    line: Timeline,
    known: int,
    settings: DemonstrationSettings,
    *,
    neighbours: Neighbours | None = None,
    targets: Int32[np.ndarray, " C"] | None = None,
) -> Int64[np.ndarray, " K"]:
    """Return where in a timeline the demonstrations of a question stand, oldest first, chosen without a model.

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
    if settings.choice in {"recent", "effect"}:
        return np.arange(max(known - settings.count, 0), known)
    if settings.choice == "random":
        return _random_places(line, known, count=settings.count)
    if neighbours is None or targets is None:
        raise UsageError(
            "similar demonstrations without a measure",
            got=f"neighbours {neighbours}, targets {targets}",
            expected="item vectors and the items asked",
            do="hand both in, or set demonstrations.choice to recent",
        )
    return np.sort(neighbours.nearest_to_any(line.items[:known], targets, count=settings.count))


def _random_places(line: Timeline, known: int, *, count: int) -> Int64[np.ndarray, " K"]:
    """Draw places; the draw depends on person and moment alone, so that replay and serving agree."""
    random = np.random.default_rng((line.user, known))
    return np.sort(random.permutation(known)[:count])
