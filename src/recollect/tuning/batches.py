"""The batches of an epoch: windows of everybody's past, cut anew each time, packed and shuffled.

It decides that everything random about an epoch follows from (seed, epoch) and (seed, epoch, batch), so that a tuning
that was stopped goes on exactly where it was. *Hidden events*: in each tree a random share of the shown events is made
invisible to all later ones, between none and twice the recipe's share, so that no answer leans on a single event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32, Int64

from recollect.context.evidence import Context, Evidence
from recollect.prompt.packing import Packed, pack, plan_batches
from recollect.prompt.stream import StreamLayout
from recollect.prompt.tree import PromptTree
from recollect.recipe import Recipe


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Hold a packed batch, and the number of each slot's window."""

    packed: Packed
    window: Int32[np.ndarray, " S"]


@dataclass(frozen=True, eq=False, slots=True)
class EpochPlan:
    """Hold the windows of each batch of an epoch, in order; ``len(plan)`` is the number of batches.

    Windows are views of the log's columns; trees are laid out when their batch comes, so memory stays small.
    """

    groups: list[list[Evidence]]
    layout: StreamLayout
    hidden_events: float
    key: tuple[int, int]

    def __len__(self) -> int:
        return len(self.groups)

    def batches(self, *, skip: int = 0) -> Iterator[Batch]:
        """Lay out, hide events, pack and yield the batches from number `skip` on."""
        for number, windows in enumerate(self.groups[skip:], start=skip):
            random = np.random.default_rng((*self.key, number))
            trees = [hide_events(self.layout.tree(one), share=self.hidden_events, random=random) for one in windows]
            counts = [len(tree.slots) for tree in trees]
            yield Batch(pack(trees), np.repeat(np.arange(len(trees), dtype=np.int32), counts))


@dataclass(frozen=True, eq=False, slots=True)
class Epochs:
    """Make the batches of each epoch.

    Parameters
    ----------
    context : Context
        Of the log.
    layout : StreamLayout
        Of the catalog and its users.
    recipe : Recipe
        History view and tuning settings.
    rows : Int64[N]
        Rows to learn from.
    seed : int
        Of everything random.
    """

    context: Context
    layout: StreamLayout
    recipe: Recipe
    rows: Int64[np.ndarray, " N"]
    seed: int

    def plan(self, epoch: int) -> EpochPlan:
        """Cut the windows of an epoch and group them; each row of `rows` is asked once in all of them."""
        random = np.random.default_rng([self.seed, epoch])
        windows = list(self.context.tuning_windows(self.rows, self.recipe.history, random=random))
        lengths = np.array([self.layout.length(window) for window in windows], np.int64)
        groups = list(plan_batches(lengths, tokens=self.recipe.tuning.batch_tokens))
        order: list[list[int]] = [groups[choice].tolist() for choice in random.permutation(len(groups))]
        share = self.recipe.tuning.hidden_events
        chosen = [[windows[number] for number in numbers] for numbers in order]
        return EpochPlan(chosen, self.layout, share, (self.seed, epoch))


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
