"""The batches of an epoch: lessons cut anew each time, packed and shuffled.

It decides that everything random about an epoch, dropout too, follows from (seed, epoch) and (seed, epoch, batch), so
that a tuning that was stopped goes on exactly where it was, and several processes learn what one would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from recollect.context.evidence import Context
from recollect.prompt.packing import Packed, pack, plan_batches
from recollect.prompt.prompter import Lesson, Prompter


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Hold a packed batch, the number of each slot's lesson, and the seed of what is random while it is learned."""

    packed: Packed
    window: Int32[np.ndarray, " S"]
    seed: int


@dataclass(frozen=True, eq=False, slots=True)
class EpochPlan:
    """Hold the lessons of each batch of an epoch, in order; ``len(plan)`` is the number of batches.

    Trees are laid out when their batch comes, so memory stays small.
    """

    groups: list[list[Lesson]]
    key: tuple[int, int]

    def __len__(self) -> int:
        return len(self.groups)

    def batches(self) -> Iterator[Batch]:
        """Yield all batches in order."""
        return map(self.batch, range(len(self)))

    def batch(self, number: int) -> Batch:
        """Lay out and pack a batch, in rows as long as its longest tree.

        Parameters
        ----------
        number
            From 0.
        """
        random = np.random.default_rng((*self.key, number))
        trees = [lesson.tree(random) for lesson in self.groups[number]]
        counts = [len(tree.slots) for tree in trees]
        packed = pack(trees, length=max(map(len, trees)))
        return Batch(packed, np.repeat(np.arange(len(trees), dtype=np.int32), counts), int(random.integers(2**62)))


@dataclass(frozen=True, eq=False, slots=True)
class Epochs:
    """Make the batches of each epoch.

    Parameters
    ----------
    context : Context
        Of the log.
    prompter : Prompter
        Cuts and lays out lessons.
    rows : Int64[N]
        Rows to learn from.
    batch_tokens : int
        Tokens of a batch.
    seed : int
        Of everything random.
    """

    context: Context
    prompter: Prompter
    rows: Int64[np.ndarray, " N"]
    batch_tokens: int
    seed: int

    def plan(self, epoch: int) -> EpochPlan:
        """Cut the lessons of an epoch and group them; each row of `rows` is asked once in all of them."""
        random = np.random.default_rng([self.seed, epoch])
        lessons = self.prompter.lessons(self.context, self.rows, random=random)
        lengths = np.array([lesson.length for lesson in lessons], np.int64)
        groups = list(plan_batches(lengths, tokens=self.batch_tokens))
        order: list[list[int]] = [groups[choice].tolist() for choice in random.permutation(len(groups))]
        return EpochPlan([[lessons[number] for number in numbers] for numbers in order], (self.seed, epoch))
