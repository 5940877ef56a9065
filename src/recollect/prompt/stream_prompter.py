"""The stream as a prompter: windows of a person's past, each event once, every asked event a slot.

It decides that tuning, replay and serving cut their windows by the one rule of `HistoryView.starts`, and that in tuning
a random share of the shown events is hidden from all later ones (`hide_events`), so that no answer leans on one event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.context.evidence import Context, Evidence, HistoryView, Timeline
from recollect.prompt.prompter import NO_EVENT, Lesson, Question
from recollect.prompt.stream import StreamLayout
from recollect.prompt.tree import PromptTree


@dataclass(frozen=True, eq=False, slots=True)
class StreamPrompter:
    """Turn pasts into streams; satisfies `recollect.prompt.prompter.Prompter`.

    Parameters
    ----------
    layout : StreamLayout
        Of the catalog and its users.
    view : HistoryView
        How a long past is cut.
    hidden_events : float
        Mean share of events hidden in a lesson.
    """

    layout: StreamLayout
    view: HistoryView
    hidden_events: float = 0.0

    def replay(self, context: Context, rows: Int64[np.ndarray, " R"], *, blind: bool) -> Iterator[PromptTree]:
        """Yield trees in which every row is asked once.

        Raises
        ------
        LeakError
            If a row would see an event of its own instant or later.
        """
        for window in context.replay_windows(rows, self.view):
            yield self.layout.tree(_blinded(window) if blind else window)

    def lessons(
        self, context: Context, rows: Int64[np.ndarray, " R"], *, random: np.random.Generator
    ) -> Sequence[Lesson]:
        """Cut an epoch into windows in which every row is asked once.

        Raises
        ------
        LeakError
            If a row would see an event of its own instant or later.
        """
        windows = context.tuning_windows(rows, self.view, random=random)
        return [StreamLesson(self.layout, window, self.hidden_events) for window in windows]

    def question(
        self, known: Timeline, items: Int32[np.ndarray, " C"], features: Float32[np.ndarray, "C E"]
    ) -> Question:
        """Ask about candidates behind the events shown."""
        start = int(self.view.starts(np.array([len(known)], np.int32))[0])
        evidence, shown = known.window(start, len(known)), np.arange(start, len(known), dtype=np.int64)
        return Question(
            trunk=self.layout.tree(evidence),
            branches=self.layout.branches(evidence, items, features),
            events=np.concatenate([[NO_EVENT], shown]),
            shown=shown,
        )


@dataclass(frozen=True, eq=False, slots=True)
class StreamLesson:
    """Hold one window of an epoch; a view of the log's columns until it is laid out."""

    layout: StreamLayout
    evidence: Evidence
    hidden_events: float

    @property
    def length(self) -> int:
        """Number of tokens."""
        return self.layout.length(self.evidence)

    def tree(self, random: np.random.Generator) -> PromptTree:
        """Lay the window out, some of its events hidden."""
        return hide_events(self.layout.tree(self.evidence), share=self.hidden_events, random=random)


def hide_events(tree: PromptTree, *, share: float, random: np.random.Generator) -> PromptTree:
    """Make some shared segments invisible to all others; the first one, the profile, stays.

    Parameters
    ----------
    tree
        A tree of the stream layout.
    share
        Mean share of hidden events, at most one half; the share of this tree is drawn between 0 and twice that.
    random
        Draws it.
    """
    if share == 0:
        return tree
    shown = random.random(tree.shared_count) >= random.uniform(0, min(1.0, 2 * share))
    shown[0] = True
    return replace(tree, sees=tree.sees & shown)


def _blinded(evidence: Evidence) -> Evidence:
    """Show only the asked events, and let none of them see another."""
    kept = evidence.asked
    return replace(
        evidence,
        rows=evidence.rows[kept],
        items=evidence.items[kept],
        labels=evidence.labels[kept],
        features=evidence.features[kept],
        sees=np.zeros(int(kept.sum()), np.int32),
        asked=np.ones(int(kept.sum()), np.bool_),
    )
