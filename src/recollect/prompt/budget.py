"""The budget: what of the evidence fits into a prompt.

It decides what is left out of a prompt that is too long: whole demonstrations first, the oldest before the others, then
events of the query's history, the least relevant first; never the question or an answer. Least relevant is the oldest
of recent events, and the least near of retrieved ones. What the model can read bounds the budget. Room for the question
is kept for the longest title that can occur, so what a person's prompt shows never depends on the length of a
candidate. Source: spec `recicl`, section 2 and section 7, point 2.

Dimension letters: H events of a history, C candidates, K demonstrations, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from recollect.context.block_evidence import BlockChooser, BlockEvidence
from recollect.context.evidence import Timeline
from recollect.errors import PromptError
from recollect.prompt.block import BlockLayout
from recollect.prompt.prompter import Dropped


@dataclass(frozen=True, eq=False, slots=True)
class Fitted:
    """Hold what a prompt shows.

    Parameters
    ----------
    evidence : BlockEvidence
        What is left of it.
    bodies : tuple of Int32[T]
        History and question of each demonstration, as tokens.
    dropped : Dropped
        What is left out.
    """

    evidence: BlockEvidence
    bodies: tuple[Int32[np.ndarray, "_"], ...]
    dropped: Dropped


def fit(
    evidence: BlockEvidence, layout: BlockLayout, chooser: BlockChooser, *, targets: Int32[np.ndarray, " C"]
) -> Fitted:
    """Cut evidence to the budget.

    Parameters
    ----------
    evidence : BlockEvidence
        What was chosen.
    layout : BlockLayout
        Writes it, and says how many tokens there may be.
    chooser : BlockChooser
        Chose it, and knows what is least relevant.
    targets : Int32[C]
        The items asked.

    Raises
    ------
    PromptError
        If the question alone is longer than the budget.
    """
    line, solved = evidence.line, evidence.demonstrations
    bodies = [layout.body(line, one.history, item=int(line.items[one.event])) for one in solved]
    query = layout.history_length(line, evidence.query)
    kept = _kept_demonstrations(layout, [*map(len, bodies)], room=_room(layout, line) - query)
    first = len(solved) - kept
    places = evidence.query
    if kept == 0 and query > _room(layout, line, blocks=1):
        places = _kept_events(evidence, layout, chooser, targets=targets)
    left = BlockEvidence(line, solved[first:], places, evidence.note)
    return Fitted(left, tuple(bodies[first:]), Dropped(first, len(evidence.query) - len(places)))


def _room(layout: BlockLayout, line: Timeline, *, blocks: int = 0) -> int:
    """Return how many tokens are left beside the beginning, the question and the numbers of so many blocks."""
    numbers = sum(len(layout.number(count + 1)) for count in range(blocks))
    return layout.budget - len(layout.start(line.user)) - layout.reserve - numbers


def _kept_demonstrations(layout: BlockLayout, lengths: list[int], *, room: int) -> int:
    """Return how many demonstrations, the latest ones, fit beside the query's block."""
    solved = len(layout.mark) + layout.answer_length
    used = len(layout.number(1))
    for kept, length in enumerate(reversed(lengths)):
        used += length + solved + len(layout.number(kept + 2))
        if used > room:
            return kept
    return len(lengths)


def _kept_events(
    evidence: BlockEvidence, layout: BlockLayout, chooser: BlockChooser, *, targets: Int32[np.ndarray, " C"]
) -> Int64[np.ndarray, " H"]:
    """Drop as few events of the query's history as the budget asks for.

    Raises
    ------
    PromptError
        If the question does not fit even without any.
    """
    line, places = evidence.line, evidence.query
    room = _room(layout, line, blocks=1)
    rank = _ranks(evidence, chooser, targets=targets)
    saved = np.cumsum(layout.event_lengths(line, places)[np.argsort(rank)])
    least = int(np.searchsorted(saved, layout.history_length(line, places) - room)) + 1  # fewer cannot be enough
    for dropped in range(least, len(places) + 1):
        left = places[rank >= dropped]
        if layout.history_length(line, left) <= room:
            return left
    what, more = "what the model reads", "choose a backbone with a longer context"
    if layout.budget == layout.settings.budget:
        what, more = "the budget", "set layout.budget higher"
    raise PromptError(
        f"a question that is longer than {what}",
        got=f"{layout.budget - room + layout.history_length(line, places[:0])} tokens without any event",
        expected=f"at most {layout.budget} tokens",
        do=f"{more}, or set layout.title_tokens lower",
    )


def _ranks(
    evidence: BlockEvidence, chooser: BlockChooser, *, targets: Int32[np.ndarray, " C"]
) -> Int64[np.ndarray, " H"]:
    """Rank the events of the query's history, 0 for the one that is the first to be dropped."""
    places = evidence.query
    near = np.zeros(len(places))
    if chooser.view.choice != "recent":
        near = chooser.neighbours.closeness(evidence.line.items[places], targets)
    order = np.lexsort((places, near))
    ranks = np.empty(len(places), np.int64)
    ranks[order] = np.arange(len(places))
    return ranks
