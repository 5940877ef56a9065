"""How long a lesson will be, told before it is laid out.

It decides that a history is taken to be the most recent one: exact for recent histories in the plain form, and near
enough elsewhere for lessons to be grouped by length.

Dimension letters: N events of a person, W events of a run.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from recollect.context.evidence import Timeline
from recollect.prompt import wording
from recollect.prompt.block_writer import BlockWriter
from recollect.prompt.occasions import Occasion


class BlockLengths:
    """Estimate lengths; remembers the person asked about last.

    Parameters
    ----------
    writer : BlockWriter
        Whose prompts are meant.
    """

    def __init__(self, writer: BlockWriter) -> None:
        self._writer = writer
        self._line: Timeline | None = None
        self._titles, self._blocks = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def fan(self, occasion: Occasion) -> int:
        """Estimate the tokens of a tree that asks an occasion's rows, each as a leaf."""
        layout, chooser = self._writer.layout, self._writer.chooser
        blocks = self._of(occasion.line)
        solved = blocks[max(occasion.known - chooser.solved.count, 0) : occasion.known]
        asked = blocks[occasion.places].sum()
        if self._writer.is_fixed:  # one history for all
            asked -= (len(occasion.places) - 1) * (blocks - self._titles)[occasion.places[0]]
            asked += (len(occasion.places) - 1) * (layout.reserve - layout.longest)
        return len(layout.start(occasion.line.user)) + int(solved.sum() + asked)

    def chain(self, line: Timeline, first: int, *, asked: Bool[np.ndarray, " W"]) -> int:
        """Estimate the tokens of a tree that asks a run's events from place `first` on.

        Parameters
        ----------
        line : Timeline
            All events of the person.
        first : int
            Place of the first event.
        asked : Bool[W]
            Which events are asked.
        """
        places = np.arange(first, first + len(asked))
        blocks, known = self._of(line)[places], line.visible[places]
        shared = places < known[asked].max(initial=0)
        apart = asked & (~shared | (known < places))
        return len(self._writer.layout.start(line.user)) + int(blocks[shared].sum() + blocks[apart].sum())

    def _of(self, line: Timeline) -> Int64[np.ndarray, " N"]:
        if self._line is not line:
            self._line, self._titles = line, np.diff(self._writer.layout.offsets)[line.items]
            self._blocks = self._measure(line, self._titles)
        return self._blocks

    def _measure(self, line: Timeline, titles: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
        """Estimate the tokens of each event's block."""
        layout, view = self._writer.layout, self._writer.chooser.view
        counted = line.labels if layout.likes_only else np.ones(len(line), np.bool_)
        entries = np.concatenate([[0], np.cumsum(titles[counted] + self._value_tokens())])
        known = np.concatenate([[0], np.cumsum(counted)])[line.visible]
        shown = entries[known] - entries[np.maximum(known - view.shown, 0)]
        nothing = np.where(known == 0, len(layout.phrases(wording.NOTHING)), 0)
        answers = max(len(tokens) for tokens in layout.answers.tokens)
        return titles + shown + nothing + layout.bare + len(layout.number(1)) + len(layout.mark) + answers

    def _value_tokens(self) -> int:
        layout = self._writer.layout
        return len(layout.phrases(wording.stars(4.0))) if layout.settings.form == "stars" else 0
