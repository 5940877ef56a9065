"""A run of blocks in which every answer is learned: each block a question, and a solved example for those behind it.

It decides that a question which does not know all blocks before it (its answer came in the same instant, or labels are
late) is asked in a leaf behind those that it knows, so that no answer is seen too early; that blocks which nobody sees
are left out; that where the prompt would grow beyond the budget a new chain begins behind the same introduction; and
that a block behind whose question the model cannot read the answer is asked alone, and shown to nobody.
Source: RecICL (arXiv 2410.23136), spec `recicl`, section 2 (`supervise`) and section 9, point 1.

Dimension letters: W events of a run, T tokens, H events of a history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64

from recollect.context.block_evidence import BlockEvidence
from recollect.context.evidence import Timeline
from recollect.data.past import Past
from recollect.prompt.block import BlockLayout
from recollect.prompt.block_writer import BlockWriter
from recollect.prompt.budget import fit
from recollect.prompt.chain import NOT_ASKED, Link, join_links
from recollect.prompt.continuations import with_continuations
from recollect.prompt.tree import PromptTree


@dataclass(frozen=True, eq=False, slots=True)
class ChainLesson:
    """Hold a run of a person's events; satisfies `recollect.prompt.prompter.Lesson`.

    Parameters
    ----------
    writer : BlockWriter
        Chooses histories and gives the tokens.
    past : Past
        Of the log, to check what is shown.
    line : Timeline
        All events of the person.
    veil : callable
        Changes what is shown, for a control.
    first : int
        Place of the run's first event.
    asked : Bool[W]
        Which of its events are asked.
    original : bool
        Whether histories are the most recent events whatever the view chooses.
    length : int
        Estimated number of tokens.
    """

    writer: BlockWriter
    past: Past
    line: Timeline
    veil: Callable[[Timeline], Timeline]
    first: int
    asked: Bool[np.ndarray, " W"]
    original: bool
    length: int

    def tree(self, random: np.random.Generator) -> PromptTree:  # noqa: ARG002 - nothing here is random
        """Lay the run out; slots are keyed by log row.

        Raises
        ------
        LeakError
            If something would be shown that was not known yet.
        PromptError
            If a question alone is longer than the budget.
        """
        places = self.first + np.flatnonzero(self.asked)
        line = self.veil(self.line.until(int(places[-1]) + 1))
        needed = int(line.visible[places].max())
        run = _Run(self.writer.layout, line)
        for place in range(self.first, len(line)):
            asked = bool(self.asked[place - self.first])
            if place < needed:
                run.add(self._block(line, place), asked=asked)
            elif asked:
                run.ask(self._block(line, place))
        self.past.check(*run.shown())
        return with_continuations(join_links(run.shared, run.leaves), self.writer.layout.answers)

    def _block(self, line: Timeline, place: int) -> _Block:
        """Choose and write one block; its history is cut as if it stood alone."""
        one = self.writer.chooser.shown(line, place, original=self.original)
        item = line.items[place : place + 1]
        alone = fit(BlockEvidence(line, (), one.history), self.writer.layout, self.writer.chooser, targets=item)
        history = alone.evidence.query
        return _Block(place, history, self.writer.layout.body(line, history, item=int(item[0])))


class _Block(NamedTuple):
    """An event, the history shown with it, and the tokens of both up to the title asked."""

    place: int
    history: Int64[np.ndarray, " H"]
    body: Int32[np.ndarray, " T"]


class _End(NamedTuple):
    """Where a chain stands: how many links there are, and the next position."""

    links: int
    position: int


class _Run:
    """A tree that grows block by block."""

    def __init__(self, layout: BlockLayout, line: Timeline) -> None:
        start = layout.start(line.user)
        self.layout = layout
        self.line = line
        self.shared = [Link(start)]
        self.leaves: list[Link] = []
        self._mark, self._ask = layout.mark, layout.ask
        self._is_chat = not np.array_equal(self._mark, self._ask)
        self._tail = max(len(self._mark), len(self._ask))
        self._solved = len(self._mark) + layout.answer_length
        self._origin = 0  # place of the chain's first block
        self._ends = [_End(1, len(start))]  # after 0, 1, .. blocks of the chain
        self._pairs: list[tuple[int, Int64[np.ndarray, "_"]]] = []

    def add(self, block: _Block, *, asked: bool) -> None:
        """Put a block behind the others, its answer included; ask it there if it knows all of them."""
        body = self._begin(block)
        if not self._is_readable(body):
            if asked:
                self.ask(block)
            return
        seen, behind = self._seen(block.place), len(self._ends) - 1
        if asked and seen < behind:
            self.ask(block)
        in_place = asked and seen == behind
        self._link(body)
        if in_place:
            self._pairs.append((block.place, np.arange(self._origin, block.place)))
            if self._is_chat:
                self._leaf(self._ask, seen=self._end(), place=block.place)
        row = int(self.line.rows[block.place]) if in_place and not self._is_chat else NOT_ASKED
        self._link(self._mark, row=row)
        self._link(self.layout.answer(bool(self.line.labels[block.place])))
        self._ends.append(self._end())
        self._pairs.append((block.place, block.history))

    def ask(self, block: _Block) -> None:
        """Ask a block in a leaf behind those that it knows; behind none of them if that would be too long."""
        seen = self._seen(block.place)
        tokens = self._whole(block, number=seen + 1)
        if self._ends[seen].position + len(tokens) > self.layout.budget:
            seen, tokens = 0, self._whole(block, number=1)
        self._leaf(tokens, seen=self._ends[seen], place=block.place)
        self._pairs += [(block.place, block.history), (block.place, np.arange(self._origin, self._origin + seen))]

    def shown(self) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
        """Pair the rows of the log that are asked, or shown with an answer, with those shown to them."""
        places = [place for place, _ in self._pairs]
        asked = np.repeat(np.array(places, np.int64), [len(shown) for _, shown in self._pairs])
        return self.line.rows[asked], self.line.rows[np.concatenate([shown for _, shown in self._pairs])]

    def _begin(self, block: _Block) -> Int32[np.ndarray, " T"]:
        """Begin a new chain where this one would grow too long, and return the block's tokens with its number."""
        body = self._numbered(block, len(self._ends))
        length = self._end().position + len(body) + self._tail
        if len(self._ends) > 1 and (length > self.layout.budget or not self._is_readable(body)):
            self._ends = [_End(len(self.shared), len(self.shared[0].tokens))]
            body = self._numbered(block, 1)
        if len(self._ends) == 1:
            self._origin = block.place
        return body

    def _is_readable(self, body: Int32[np.ndarray, " T"]) -> bool:
        """Tell whether the model reads a block behind the others to the end of its answer."""
        return self._end().position + len(body) + self._solved <= self.layout.span

    def _seen(self, place: int) -> int:
        """Return how many blocks of the chain, the first ones, a block may see."""
        return min(max(int(self.line.visible[place]) - self._origin, 0), len(self._ends) - 1)

    def _numbered(self, block: _Block, number: int) -> Int32[np.ndarray, " T"]:
        return np.concatenate([self.layout.number(number), block.body])

    def _whole(self, block: _Block, *, number: int) -> Int32[np.ndarray, " T"]:
        return np.concatenate([self.layout.number(number), block.body, self._ask])

    def _end(self) -> _End:
        last = self.shared[-1]
        begun = len(self.shared) > self._ends[0].links
        return _End(len(self.shared), last.start + len(last.tokens)) if begun else self._ends[0]

    def _link(self, tokens: Int32[np.ndarray, " T"], *, row: int = NOT_ASKED) -> None:
        self.shared.append(
            Link(tokens, start=self._end().position, first=self._ends[0].links, end=len(self.shared), row=row)
        )

    def _leaf(self, tokens: Int32[np.ndarray, " T"], *, seen: _End, place: int) -> None:
        row = int(self.line.rows[place])
        self.leaves.append(Link(tokens, start=seen.position, first=self._ends[0].links, end=seen.links, row=row))
