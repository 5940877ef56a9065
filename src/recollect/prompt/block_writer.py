"""Writing block prompts: what several questions have in common becomes a trunk, the rest of each a leaf.

It decides how far a trunk reaches: over the history, where all questions have the same one; else over the
demonstrations; else over the beginning alone. The tokens of a prompt, read from its beginning to its question, are the
same in each case. In a trunk every shown event of the history is a segment of its own, so that it can be hidden to
explain an answer; a demonstration's answer stands for its event.

Dimension letters: C candidates, R rows, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

import numpy as np
from jaxtyping import Int32, Int64

from recollect.context.block_evidence import BlockChooser
from recollect.context.evidence import Timeline
from recollect.prompt.block import BlockLayout
from recollect.prompt.budget import Fitted, fit
from recollect.prompt.chain import Link, join_links
from recollect.prompt.continuations import with_continuations
from recollect.prompt.prompter import NO_EVENT
from recollect.prompt.tree import PromptTree

_LEAF_TOKENS: Final = 2048

Reach = Literal["beginning", "demonstrations", "history"]
"""How far questions have their prompts in common."""

Piece = tuple[int, Int32[np.ndarray, "_"]]
"""Place in the timeline of the event that a segment shows, or `NO_EVENT`, and the tokens of the segment."""


@dataclass(frozen=True, eq=False, slots=True)
class BlockWriter:
    """Choose, cut to the budget and write what questions of one person and moment show.

    Parameters
    ----------
    layout : BlockLayout
        Gives the tokens.
    chooser : BlockChooser
        Chooses the events.
    """

    layout: BlockLayout
    chooser: BlockChooser

    @property
    def is_fixed(self) -> bool:
        """Whether what is shown depends on the moment alone, never on the item asked."""
        return self.chooser.is_shared and self.chooser.view.per == "candidate"

    @property
    def most_rows(self) -> int:
        """How many rows are written as leaves of one tree, which bounds its length."""
        layout, view = self.layout, self.chooser.view
        title = len(layout.titles) / max(len(layout.offsets) - 1, 1)
        history = 0.0 if self.is_fixed else layout.bare + view.shown * title
        return max(1, int(_LEAF_TOKENS / (layout.reserve + history)))

    def together(self, known: Timeline, items: Int32[np.ndarray, " C"], *, original: bool = False) -> Fitted:
        """Choose what is shown for several items at once.

        Parameters
        ----------
        known : Timeline
            All that is known of a person.
        items : Int32[C]
            The items asked.
        original : bool
            Show the most recent events whatever the view chooses.

        Raises
        ------
        PromptError
            If a question alone is longer than the budget.
        """
        evidence = self.chooser.evidence(known, len(known), items, original=original)
        return fit(evidence, self.layout, self.chooser, targets=items)

    def each(self, known: Timeline, items: Int32[np.ndarray, " C"], *, original: bool = False) -> list[Fitted]:
        """Choose what is shown for each item as if it were asked alone.

        Parameters as in `together`.

        Raises
        ------
        PromptError
            If a question alone is longer than the budget.
        """
        if self.is_fixed:
            return [self.together(known, items[:1], original=original)] * len(items)
        return [self.together(known, items[place : place + 1], original=original) for place in range(len(items))]

    def fan(
        self, prompts: Sequence[Fitted], items: Int32[np.ndarray, " R"], rows: Int64[np.ndarray, " R"]
    ) -> PromptTree:
        """Write one tree in which each row is a leaf.

        Parameters
        ----------
        prompts : sequence of Fitted
            What each row is shown, at least one.
        items : Int32[R]
            The item of each row.
        rows : Int64[R]
            Keys of the answer slots.
        """
        reach = common_reach(prompts)
        trunk = chained([tokens for _, tokens in self.trunk(prompts[0], reach)])
        start = trunk[-1].start + len(trunk[-1].tokens)
        leaves = [
            Link(self.rest(prompt, item, reach), start=start, end=len(trunk), row=row)
            for prompt, item, row in zip(prompts, items.tolist(), rows.tolist(), strict=True)
        ]
        return with_continuations(join_links(trunk, leaves), self.layout.answers)

    def trunk(self, prompt: Fitted, reach: Reach) -> list[Piece]:
        """Return the pieces of the part that questions have in common."""
        pieces = [(NO_EVENT, self.layout.start(prompt.evidence.line.user))]
        if reach != "beginning":
            pieces += self._demonstrations(prompt)
        if reach == "history":
            pieces += self._history(prompt)
        return pieces

    def rest(self, prompt: Fitted, item: int, reach: Reach) -> Int32[np.ndarray, " T"]:
        """Return the tokens behind that part, up to the question's answer."""
        pieces: list[Piece] = [] if reach != "beginning" else self._demonstrations(prompt)
        if reach != "history":
            pieces += self._history(prompt)
        shown = (tokens for _, tokens in pieces)
        return np.concatenate([*shown, self.layout.question(item), self.layout.ask])

    def _demonstrations(self, prompt: Fitted) -> list[Piece]:
        line, layout = prompt.evidence.line, self.layout
        pieces: list[Piece] = []
        for number, (one, body) in enumerate(zip(prompt.evidence.demonstrations, prompt.bodies, strict=True), start=1):
            asked = np.concatenate([layout.number(number), body, layout.mark])
            pieces += [(NO_EVENT, asked), (one.event, layout.answer(bool(line.labels[one.event])))]
        return pieces

    def _history(self, prompt: Fitted) -> list[Piece]:
        pieces = self.layout.history(prompt.evidence.line, prompt.evidence.query)
        event, head = pieces[0]
        number = self.layout.number(len(prompt.bodies) + 1)
        return [(event, np.concatenate([number, head])), *pieces[1:]]


def common_reach(prompts: Sequence[Fitted]) -> Reach:
    """Tell how far prompts of one person and moment agree."""
    first = prompts[0]
    others = [prompt for prompt in prompts[1:] if prompt is not first]
    if any(_solved(prompt) != _solved(first) for prompt in others):
        return "beginning"
    same = all(np.array_equal(prompt.evidence.query, first.evidence.query) for prompt in others)
    return "history" if same else "demonstrations"


def chained(pieces: Sequence[Int32[np.ndarray, "_"]]) -> list[Link]:
    """Make shared links of which each sees all before it."""
    starts = accumulate((len(tokens) for tokens in pieces), initial=0)
    return [Link(tokens, start=start, end=end) for end, (tokens, start) in enumerate(zip(pieces, starts, strict=False))]


def _solved(prompt: Fitted) -> list[int]:
    return [one.event for one in prompt.evidence.demonstrations]
