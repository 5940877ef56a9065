"""The evidence of a `block` prompt: demonstrations, each with its own history, and the history of the question.

It decides what each block shows from two numbers alone, how many events were known when its item was asked and which
item that was, so that a demonstration looks exactly as it would have looked when it was the question. Histories are
the K most recent events, the K nearest to the item, or both (K/2 most recent, rounded up, then the nearest of the
others), kept in one wording, so that only the events differ. Sources: RecICL (arXiv 2410.23136; spec `recicl`,
section 2, working definition) and ReLLa (arXiv 2308.11131; spec `rella`, sections 3 to 5).

Dimension letters: H events of a history, C candidates, P events to choose from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from recollect.context.demonstrations import (
    MEASURED,
    DemonstrationSettings,
    MeasuredChoice,
    Picked,
    choose_demonstrations,
)
from recollect.context.evidence import HistoryView, Timeline
from recollect.context.retrieval import Neighbours
from recollect.data.past import Past


@dataclass(frozen=True, eq=False, slots=True)
class Shown:
    """Hold an event that is shown as a question with its answer.

    Parameters
    ----------
    event : int
        Its place in the timeline.
    history : Int64[H]
        Places of the events shown with it, in the order shown.
    """

    event: int
    history: Int64[np.ndarray, " H"]


@dataclass(frozen=True, eq=False, slots=True)
class BlockEvidence:
    """Hold what one prompt shows of a person.

    Parameters
    ----------
    line : Timeline
        The person's events; all places below are places in it.
    demonstrations : tuple of Shown
        The solved examples in the order shown: oldest first.
    query : Int64[H]
        Places of the events shown with the question, in the order shown.
    note : str
        How the demonstrations were chosen, where a model chose them.
    """

    line: Timeline
    demonstrations: tuple[Shown, ...]
    query: Int64[np.ndarray, " H"]
    note: str = ""

    def check(self, past: Past, row: int) -> None:
        """Hold the promise of the flow: what a row of the log, and each demonstration, is shown was known before.

        Parameters
        ----------
        past : Past
            The log, and what counts as known.
        row : int
            The row of the log that is asked.

        Raises
        ------
        LeakError
            If an event is shown that was not known yet.
        """
        events = np.array([one.event for one in self.demonstrations], np.int64)
        shown = [self.query, events, *(one.history for one in self.demonstrations)]
        asked = [row, row, *self.line.rows[events].tolist()]
        past.check(np.repeat(asked, [len(places) for places in shown]), self.line.rows[np.concatenate(shown)])


@dataclass(frozen=True, eq=False, slots=True)
class BlockChooser:
    """Choose what blocks show.

    Parameters
    ----------
    view : HistoryView
        Which events make a history, and in which order.
    solved : DemonstrationSettings
        How many demonstrations, and which.
    neighbours : Neighbours
        Measures nearness.
    measured : MeasuredChoice, optional
        Chooses demonstrations by their effect, where the settings ask for that; without it nothing is measured.
    """

    view: HistoryView
    solved: DemonstrationSettings
    neighbours: Neighbours
    measured: MeasuredChoice | None = None

    @property
    def is_history_shared(self) -> bool:
        """Whether the history of a question is the same for all its candidates."""
        in_time = self.view.choice == "recent" and self.view.order == "time"
        return in_time or self.view.per == "set" or self.view.shown == 0

    @property
    def are_demonstrations_shared(self) -> bool:
        """Whether the demonstrations of a question are the same for all its candidates."""
        return self.solved.is_shared or self.view.per == "set"

    @property
    def is_shared(self) -> bool:
        """Whether one trunk serves all candidates of a question."""
        return self.is_history_shared and self.are_demonstrations_shared

    def history(self, line: Timeline, known: int, target: int, *, original: bool = False) -> Int64[np.ndarray, " H"]:
        """Return the places of the events shown for an item that is asked when the first `known` events are known.

        Parameters
        ----------
        line : Timeline
            A person's events.
        known : int
            How many of them, the first ones, are known.
        target : int
            The item asked.
        original : bool
            Show the most recent events in time order whatever the view chooses: the original side of ReiT's mixture.
        """
        return self.shared_history(line, known, np.array([target], np.int32), original=original)

    def shared_history(
        self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"], *, original: bool = False
    ) -> Int64[np.ndarray, " H"]:
        """Return one history for all targets: all that any of them would be shown alone (ReLLa's shared SUBR).

        Nearness, where it gives the order, is that to the nearest of them. How many events there are is left to the
        budget; for a single target there are `shown` at most.
        """
        view, pool = self.view, self._pool(line, known)
        if original or (view.choice == "recent" and view.order == "time"):
            return pool[max(len(pool) - view.shown, 0) :]
        items = line.items[pool]
        chosen = np.unique(self._chosen(items, targets))
        if view.order != "time":
            # places ascend, so that of equally near events the later one counts as nearer
            order = np.argsort(self.neighbours.closeness(items[chosen], targets), kind="stable")
            chosen = chosen[order if view.order == "similar-last" else order[::-1]]
        return pool[chosen]

    def shown(self, line: Timeline, event: int, *, original: bool = False) -> Shown:
        """Return an event of a timeline with the history that it had when it was asked."""
        known, target = int(line.visible[event]), int(line.items[event])
        return Shown(event, self.history(line, known, target, original=original))

    def evidence(
        self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"], *, original: bool = False
    ) -> BlockEvidence:
        """Return all that is shown for one target, or for several that share a trunk.

        Demonstrations are then those nearest to any of them, and each has the history of its own moment. Parameters
        as in `history`; `original` is about histories and leaves the choice of demonstrations alone.
        """
        picked = self._picked(line, known, targets)
        return BlockEvidence(
            line,
            tuple(self.shown(line, event, original=original) for event in picked.places.tolist()),
            self.shared_history(line, known, targets, original=original),
            picked.note,
        )

    def _picked(self, line: Timeline, known: int, targets: Int32[np.ndarray, " C"]) -> Picked:
        """Choose the demonstrations."""
        if self.measured is not None and self.solved.choice in MEASURED and self.solved.count:
            return self.measured.pick(line, known, targets)
        return Picked(choose_demonstrations(line, known, self.solved, neighbours=self.neighbours, targets=targets))

    def _pool(self, line: Timeline, known: int) -> Int64[np.ndarray, " P"]:
        """Return the places that a history may choose from."""
        return np.flatnonzero(line.labels[:known]) if self.view.feedback == "likes" else np.arange(known)

    def _chosen(self, items: Int32[np.ndarray, " P"], targets: Int32[np.ndarray, " C"]) -> Int64[np.ndarray, " H"]:
        """Return the chosen ones of a pool, as places in it, in any order and perhaps repeated."""
        shown = self.view.shown
        recent = {"recent": shown, "both": -(-shown // 2), "retrieved": 0}[self.view.choice]
        split = max(len(items) - recent, 0)
        last = np.arange(split, len(items))
        if recent == shown:
            return last
        near = self.neighbours.nearest(items, targets, count=shown - recent, before=split)
        return np.concatenate([near.ravel(), last])
