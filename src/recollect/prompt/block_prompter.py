"""Blocks as a prompter: questions with solved examples before them, for rows of a log, for tuning and for a query.

It decides that rows of one person that know the same events are asked in one tree, each as a leaf that no other sees;
that every row chooses its events as if it were asked alone, so that replay says what a query of one candidate says;
and that a *veil*, which breaks something of what is shown for a control, never touches what is learned.

Dimension letters: R rows, C candidates, E event features, L tokens of the longest branch, P events shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.context.block_evidence import BlockChooser
from recollect.context.evidence import Context, Timeline
from recollect.prompt.block import BlockLayout
from recollect.prompt.block_lessons import ask_together, chain_lessons, fan_lessons
from recollect.prompt.block_writer import BlockWriter, chained, common_reach
from recollect.prompt.branches import Branches
from recollect.prompt.budget import Fitted
from recollect.prompt.chain import join_links
from recollect.prompt.occasions import occasions
from recollect.prompt.prompter import Dropped, Lesson, Question
from recollect.prompt.tree import PromptTree


def unveiled(line: Timeline) -> Timeline:
    """Return a timeline as it is."""
    return line


@dataclass(frozen=True, eq=False, slots=True)
class BlockPrompter:
    """Turn pasts into block prompts; satisfies `recollect.prompt.prompter.Prompter`.

    Parameters
    ----------
    layout : BlockLayout
        Of the catalog and its users.
    chooser : BlockChooser
        Chooses demonstrations and histories.
    supervise : {"last", "all"}
        Which questions of a prompt are learned.
    blocks : int
        Most events of a prompt in which all are learned.
    original : float
        Share of lessons whose histories are the most recent events.
    veil : callable
        Changes a timeline before it is shown, for a control. What is learned comes from the log.
    """

    layout: BlockLayout
    chooser: BlockChooser
    supervise: Literal["last", "all"] = "last"
    blocks: int = 8
    original: float = 0.0
    veil: Callable[[Timeline], Timeline] = unveiled
    writer: BlockWriter = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "writer", BlockWriter(self.layout, self.chooser))

    def replay(self, context: Context, rows: Int64[np.ndarray, " R"], *, blind: bool) -> Iterator[PromptTree]:
        """Yield trees in which every row is asked once, each shown what a query for it alone would show.

        Raises
        ------
        LeakError
            If something would be shown that was not known yet.
        PromptError
            If a question alone is longer than the budget.
        """
        for occasion in occasions(context, rows, most=self.writer.most_rows, blind=blind):
            yield ask_together(self.writer, context.past, occasion, veil=self.veil)

    def lessons(
        self, context: Context, rows: Int64[np.ndarray, " R"], *, random: np.random.Generator
    ) -> Sequence[Lesson]:
        """Cut an epoch into lessons in which every row is asked once."""
        writer, veil, original = self.writer, self.veil, self.original
        if self.supervise == "last":
            return list(fan_lessons(writer, context, rows, random=random, original=original, veil=veil))
        return list(
            chain_lessons(writer, context, rows, blocks=self.blocks, random=random, original=original, veil=veil)
        )

    def question(
        self,
        known: Timeline,
        items: Int32[np.ndarray, " C"],
        features: Float32[np.ndarray, "C E"],  # noqa: ARG002 - blocks show no soft tokens
    ) -> Question:
        """Ask about candidates, given all that is known of a person.

        Raises
        ------
        PromptError
            If a question alone is longer than the budget.
        """
        line, writer = self.veil(known), self.writer
        if self.chooser.is_shared or not len(items):
            prompts = [writer.together(line, items)] * max(len(items), 1)
        else:
            prompts = writer.each(line, items)
        reach = common_reach(prompts) if len(items) or self.chooser.is_shared else "beginning"
        pieces = writer.trunk(prompts[0], reach)
        rests = [writer.rest(prompt, item, reach) for prompt, item in zip(prompts, items.tolist(), strict=False)]
        return Question(
            trunk=join_links(chained([tokens for _, tokens in pieces])),
            branches=_branches(rests, start=sum(len(tokens) for _, tokens in pieces)),
            events=np.array([event for event, _ in pieces], np.int64),
            shown=_shown(prompts),
            dropped=_most(prompts),
            note=prompts[0].evidence.note,
        )


def _branches(rests: Sequence[Int32[np.ndarray, "_"]], *, start: int) -> Branches:
    """Pad the candidates' tokens on the right; each is asked at its own last token."""
    lengths = np.array([len(tokens) for tokens in rests], np.int32)
    inside = np.arange(int(lengths.max(initial=1))) < lengths[:, None]
    tokens = np.zeros(inside.shape, np.int32)
    tokens[inside] = np.concatenate([np.zeros(0, np.int32), *rests])
    return Branches.of(tokens, start=start, slots=lengths - np.int32(1))


def _shown(prompts: Sequence[Fitted]) -> Int64[np.ndarray, " P"]:
    """Return the places of all events that the prompts hold, the histories of demonstrations included."""
    distinct = {id(prompt): prompt.evidence for prompt in prompts}.values()
    solved = [one for evidence in distinct for one in evidence.demonstrations]
    events = np.array([one.event for one in solved], np.int64)
    histories = [*(evidence.query for evidence in distinct), *(one.history for one in solved)]
    return np.unique(np.concatenate([events, *histories]))


def _most(prompts: Sequence[Fitted]) -> Dropped:
    """Return the most that was left out for any candidate."""
    return Dropped(
        demonstrations=max(prompt.dropped.demonstrations for prompt in prompts),
        events=max(prompt.dropped.events for prompt in prompts),
    )
