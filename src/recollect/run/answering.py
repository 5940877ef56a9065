"""Answer rows of a log: the offline twin of serving, over the same prompter and language model.

Each row is a question of a tree that shows exactly what serving would have shown at that moment, so many rows of one
user share one pass. It decides the size of a batch, which has no influence on any answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64, Int64

from recollect.context.evidence import Context
from recollect.prompt.packing import Packed, pack, plan_batches
from recollect.prompt.prompter import Prompter
from recollect.prompt.tree import PromptTree
from recollect.run.tuned import TunedModel

_BATCH_TOKENS = 16_384
_AT_ONCE = 512  # trees laid out before they are grouped by length


@dataclass(frozen=True, eq=False, slots=True)
class RowAnswerer:
    """Give the probability of a like for rows of one log; satisfies `recollect.evaluation.replay.Scorer`.

    Parameters
    ----------
    tuned : TunedModel
        Set to the catalog of the log.
    context : Context
        Of the log.
    prompter : Prompter
        Of the catalog and its users.
    blind : bool
        Whether the user's events are hidden, which leaves profile, item and item statistics.
    told : callable, optional
        Is told how far it is, in rows.
    """

    tuned: TunedModel
    context: Context
    prompter: Prompter
    blind: bool = False
    told: Callable[[int], None] | None = None

    def blinded(self) -> RowAnswerer:
        """Return the same answerer without the user's events."""
        return replace(self, blind=True)

    def telling(self, told: Callable[[int], None]) -> RowAnswerer:
        """Return the same answerer, which tells how far it is, in rows."""
        return replace(self, told=told)

    def score(self, rows: Int64[np.ndarray, " R"]) -> Float64[np.ndarray, " R"]:
        """Return the probability of a like for each row, in the order given.

        Raises
        ------
        LeakError
            If a row would see an event of its own instant or later.
        """
        return self.tuned.calibration.probability(self.log_odds(rows))

    def log_odds(self, rows: Int64[np.ndarray, " R"]) -> Float64[np.ndarray, " R"]:
        """Return the score of each row: the difference of the answers' log-probabilities, not calibrated.

        Raises
        ------
        LeakError
            If a row would see an event of its own instant or later.
        """
        answered = np.full(len(self.context.log), np.nan)
        model, halves = self.tuned.language_model.eval(), _Halves(self.told)
        trees = self.prompter.replay(self.context, rows, blind=self.blind)
        with torch.inference_mode():
            for packed in pack_in_groups(halves.laid_out(trees, model.slots_per_question), tokens=_BATCH_TOKENS):
                logits = model(packed).double().cpu().numpy()
                asked = packed.slot_rows[:: model.slots_per_question]
                answered[asked] = logits[:, 1] - logits[:, 0]
                halves.count(len(asked))
        return answered[rows]


@dataclass(eq=False, slots=True)
class _Halves:
    """Count a row half when it is laid out, which takes long where a model chooses what is shown, and half later."""

    told: Callable[[int], None] | None
    done: int = 0

    def count(self, rows: int) -> None:
        self.done += rows
        if self.told is not None:
            self.told(self.done // 2)

    def laid_out(self, trees: Iterable[PromptTree], slots: int) -> Iterator[PromptTree]:
        for tree in trees:
            self.count(len(tree.slot_rows) // slots)
            yield tree


def pack_in_groups(trees: Iterable[PromptTree], *, tokens: int) -> Iterator[Packed]:
    """Pack a stream of trees, grouped by length a few hundred at a time.

    Parameters
    ----------
    trees
        Prompt trees.
    tokens
        Tokens of one batch, padding included.
    """
    waiting: list[PromptTree] = []
    for tree in trees:
        waiting.append(tree)
        if len(waiting) == _AT_ONCE:
            yield from _pack_all(waiting, tokens)
            waiting = []
    yield from _pack_all(waiting, tokens)


def _pack_all(trees: list[PromptTree], tokens: int) -> Iterator[Packed]:
    for group in plan_batches(np.array([len(tree) for tree in trees], np.int64), tokens=tokens):
        numbers: list[int] = group.tolist()
        yield pack([trees[number] for number in numbers])
