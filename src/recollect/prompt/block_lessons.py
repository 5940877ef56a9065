"""The lessons of an epoch of block prompts: the last question of each prompt is learned, or all of them.

It decides that with *last* a lesson is a prompt as serving writes it, the form of the papers; that with *all* a
person's events are cut into runs of some blocks, the first cut at random, so that an event is read about once and
prompts of every number of demonstrations are met; and that a share of the lessons shows the most recent history where
the recipe retrieves (ReiT). Sources: RecICL, spec `recicl`, section 2; ReLLa (arXiv 2308.11131), spec `rella`,
section 5, whose fixed pairs of both forms are drawn here anew for each epoch.

Dimension letters: R rows, N events of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from recollect.context.evidence import Context, Timeline
from recollect.data.past import Past
from recollect.prompt.block_chain import ChainLesson
from recollect.prompt.block_lengths import BlockLengths
from recollect.prompt.block_writer import BlockWriter
from recollect.prompt.occasions import Occasion, occasions
from recollect.prompt.tree import PromptTree


@dataclass(frozen=True, eq=False, slots=True)
class FanLesson:
    """Hold rows that know the same events; satisfies `recollect.prompt.prompter.Lesson`.

    Parameters
    ----------
    writer : BlockWriter
        Chooses what is shown and writes it.
    past : Past
        Of the log, to check what is shown.
    occasion : Occasion
        The rows.
    veil : callable
        Changes what is shown, for a control.
    original : bool
        Whether histories are the most recent events whatever the view chooses.
    length : int
        Estimated number of tokens.
    """

    writer: BlockWriter
    past: Past
    occasion: Occasion
    veil: Callable[[Timeline], Timeline]
    original: bool
    length: int

    def tree(self, random: np.random.Generator) -> PromptTree:  # noqa: ARG002 - nothing here is random
        """Lay the rows out; slots are keyed by log row.

        Raises
        ------
        LeakError
            If something would be shown that was not known yet.
        PromptError
            If a question alone is longer than the budget.
        """
        return ask_together(self.writer, self.past, self.occasion, veil=self.veil, original=self.original)


def ask_together(
    writer: BlockWriter,
    past: Past,
    occasion: Occasion,
    *,
    veil: Callable[[Timeline], Timeline],
    original: bool = False,
) -> PromptTree:
    """Lay out one tree in which every row of an occasion is asked.

    Parameters
    ----------
    writer, past, occasion, veil, original
        As in `FanLesson`.

    Raises
    ------
    LeakError
        If something would be shown that was not known yet.
    PromptError
        If a question alone is longer than the budget.
    """
    line = occasion.line
    items, rows = line.items[occasion.places], line.rows[occasion.places]
    prompts = writer.each(veil(line.until(occasion.known)), items, original=original)
    for prompt, row in zip(prompts, rows.tolist(), strict=True):
        prompt.evidence.check(past, row)
    return writer.fan(prompts, items, rows)


def fan_lessons(
    writer: BlockWriter,
    context: Context,
    rows: Int64[np.ndarray, " R"],
    *,
    random: np.random.Generator,
    original: float,
    veil: Callable[[Timeline], Timeline],
) -> Iterator[FanLesson]:
    """Yield lessons that ask the last question of each prompt.

    Parameters
    ----------
    writer : BlockWriter
        Writes them.
    context : Context
        Of the log.
    rows : Int64[R]
        Rows to learn from; each is asked once.
    random : Generator
        Draws which lessons are original.
    original : float
        Share of lessons with the most recent history.
    veil : callable
        Changes what is shown, for a control.
    """
    lengths = BlockLengths(writer)
    for occasion in occasions(context, rows, most=writer.most_rows):
        length = lengths.fan(occasion)
        yield FanLesson(writer, context.past, occasion, veil, bool(random.random() < original), length)


def chain_lessons(
    writer: BlockWriter,
    context: Context,
    rows: Int64[np.ndarray, " R"],
    *,
    blocks: int,
    random: np.random.Generator,
    original: float,
    veil: Callable[[Timeline], Timeline],
) -> Iterator[ChainLesson]:
    """Yield lessons that ask every question of a run of blocks.

    Parameters
    ----------
    writer, context, rows, random, original, veil
        As in `fan_lessons`; `random` also chooses where the first cut falls.
    blocks : int
        Most events of a run.
    """
    wanted = np.zeros(len(context.log), np.bool_)
    wanted[rows] = True
    last = int(rows.max(initial=-1))
    lengths = BlockLengths(writer)
    for user in np.unique(context.log.user[rows]).tolist():
        line = context.timeline(user)
        count = int(np.searchsorted(line.rows, last, side="right"))
        cut = int(random.integers(1, blocks + 1)) if count > blocks else count
        for first, end in pairwise([0, *range(cut, count, blocks), count]):
            asked = wanted[line.rows[first:end]]
            if asked.any():
                length = lengths.chain(line, first, asked=asked)
                drawn = bool(random.random() < original)
                yield ChainLesson(writer, context.past, line, veil, first, asked, drawn, length)
