"""The seam between a method and everything else: whoever turns a past into prompt trees.

What it is: the one protocol that tuning, replay and serving speak, and the values that they exchange. A method that
shows something new, or shows it in a new form, is a new prompter; nothing in the middle of the flow changes.

Dimension letters: R rows, C candidates, G trunk segments, E event features, P events shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.context.evidence import Context, Timeline
from recollect.prompt.branches import Branches
from recollect.prompt.tree import PromptTree

NO_EVENT: Final = -1
"""What `Question.events` holds where a trunk segment shows no single event."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Count what the token budget left out."""

    demonstrations: int = 0
    events: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """Hold what is asked about candidates of one moment: a trunk, and a branch for each.

    Parameters
    ----------
    trunk : PromptTree
        Shared segments without slots; every branch sees all of them.
    branches : Branches
        One per candidate, in the order asked.
    events : Int64[G]
        Place in the person's timeline of the event that each trunk segment shows, `NO_EVENT` for other segments.
    shown : Int64[P]
        Places of all events that the prompt of any candidate holds, ascending: those of its history and of its
        demonstrations, with their own histories.
    dropped : Dropped
        What the budget left out.
    note : str
        How demonstrations were chosen, where a model chose them.
    """

    trunk: PromptTree
    branches: Branches
    events: Int64[np.ndarray, " G"]
    shown: Int64[np.ndarray, " P"]
    dropped: Dropped = Dropped()
    note: str = ""


class Lesson(Protocol):
    """One prompt of a tuning epoch, laid out when its batch comes."""

    @property
    def length(self) -> int:
        """Number of tokens, or a close estimate from above."""
        ...

    def tree(self, random: np.random.Generator) -> PromptTree:
        """Lay the prompt out; its slots are keyed by log row."""
        ...


class Prompter(Protocol):
    """Turn pasts into prompt trees: for rows of a log, for tuning, and for a query."""

    def replay(self, context: Context, rows: Int64[np.ndarray, " R"], *, blind: bool) -> Iterator[PromptTree]:
        """Yield trees in which every row is asked once, each seeing what serving would show it; slots keyed by row.

        With `blind` no event of the person is shown.
        """
        ...

    def lessons(
        self, context: Context, rows: Int64[np.ndarray, " R"], *, random: np.random.Generator
    ) -> Sequence[Lesson]:
        """Cut an epoch into lessons in which every row is asked once."""
        ...

    def question(
        self, known: Timeline, items: Int32[np.ndarray, " C"], features: Float32[np.ndarray, "C E"]
    ) -> Question:
        """Ask about candidates, given all that is known of a person and the candidates' causal statistics."""
        ...
