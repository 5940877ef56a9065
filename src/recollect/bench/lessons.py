"""Lessons to measure tuning with: three formats, each as our prompt trees and as one sample per label.

It decides the sizes: `recicl` has blocks of 96 tokens (ten titles and a question), five in a prompt, every answer
supervised, where each sample holds four solved blocks and its own; *shared* has a trunk of 1,024 tokens and eight
branches of 24; `stream` is laid out by the stream layout itself, titles of 4 to 12 tokens, and each sample holds the
same history up to its own event. A sample ends with its answer, the only token that is supervised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Int32

from recollect.bench.cost import Cost, Dimensions, tuning_cost
from recollect.bench.questions import ANSWERS, random_tokens, run_of
from recollect.context.evidence import Evidence
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach
from recollect.prompt.stream import FEATURES, StreamLayout, StreamSettings
from recollect.prompt.tree import PromptTree, Segment, join_segments

__all__ = ["Lessons", "recicl_lessons", "shared_lessons", "stream_lessons"]

_START: Final = 24
_BLOCK: Final = 96
_BRANCH: Final = 24
_TITLE: Final = (4, 12)  # fewest and most tokens


@dataclass(frozen=True, eq=False, slots=True)
class Lessons:
    """Hold the same labels in both forms.

    Parameters
    ----------
    trees : list of PromptTree
        Ours; every slot is a label.
    samples : list of Int32[T]
        One per label, the answer last.
    labels : Bool[S]
        Whether each label is a like, in the order of the slots.
    """

    trees: list[PromptTree]
    samples: list[Int32[np.ndarray, "_"]]
    labels: Bool[np.ndarray, " S"]

    def our_cost(self, sizes: Dimensions) -> Cost:
        """Return the cost of one step on the trees."""
        tokens = sum(map(len, self.trees))
        pairs = sum(int(tree.mask().sum()) for tree in self.trees)
        return tuning_cost(sizes, tokens=tokens, pairs=pairs, rows=len(self.labels), columns=len(ANSWERS))

    def plain_cost(self, sizes: Dimensions) -> Cost:
        """Return the cost of all samples without their padding, with all logits of every position."""
        lengths = [len(one) for one in self.samples]
        pairs, tokens = sum(length * (length + 1) // 2 for length in lengths), sum(lengths)
        return tuning_cost(
            sizes, tokens=tokens, pairs=pairs, rows=tokens, columns=sizes.vocabulary, passes=len(lengths)
        )


def recicl_lessons(*, prompts: int, answers: int, vocabulary: int, seed: int = 0) -> Lessons:
    """Make prompts of so many blocks, each with its answer."""
    random = np.random.default_rng(seed)
    trees: list[PromptTree] = []
    samples: list[Int32[np.ndarray, "_"]] = []
    labels = random.random((prompts, answers)) < 0.5
    for told in labels:
        blocks = random_tokens(random, (answers, _BLOCK), vocabulary=vocabulary)
        blocks[:, -1] = np.array(ANSWERS)[told.astype(int)]
        start = random_tokens(random, (_START,), vocabulary=vocabulary)
        segments = [Segment(start, start=0)]
        for number, block in enumerate(blocks):
            place = _START + number * _BLOCK
            segments.append(Segment(block, start=place, sees=tuple(range(number + 1)), slots=((_BLOCK - 2, number),)))
        trees.append(join_segments(segments))
        order = [np.roll(blocks, answers - 1 - last, axis=0) for last in range(answers)]  # its own block last
        samples += [np.concatenate([start, one.reshape(-1)]) for one in order]
    return Lessons(trees, samples, labels.reshape(-1))


def shared_lessons(*, trunk: int, branches: int, vocabulary: int, seed: int = 0) -> Lessons:
    """Make one trunk with supervised branches."""
    random = np.random.default_rng(seed)
    before = random_tokens(random, (trunk,), vocabulary=vocabulary)
    own = random_tokens(random, (branches, _BRANCH), vocabulary=vocabulary)
    labels = random.random(branches) < 0.5
    tree = attach(run_of(before, start=0), Branches.of(own, start=trunk))
    answers = np.array(ANSWERS, np.int32)[labels.astype(int)]
    samples = [
        np.concatenate([before, one, [answer]]).astype(np.int32) for one, answer in zip(own, answers, strict=True)
    ]
    return Lessons([tree], samples, labels)


def stream_lessons(*, events: int, vocabulary: int, seed: int = 0) -> Lessons:
    """Make one window of the stream, every event asked."""
    random = np.random.default_rng(seed)
    lengths = random.integers(_TITLE[0], _TITLE[1] + 1, events)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    layout = StreamLayout(
        settings=StreamSettings(channel="text"),
        titles=random_tokens(random, (int(offsets[-1]),), vocabulary=vocabulary),
        offsets=offsets,
        profiles=[random_tokens(random, (_START,), vocabulary=vocabulary)],
    )
    labels = random.random(events) < 0.5
    tree = layout.tree(_evidence(labels))
    samples = [tree.tokens[: slot + 2] for slot in tree.slots.tolist()]
    return Lessons([tree], samples, labels)


def _evidence(labels: Bool[np.ndarray, " K"]) -> Evidence:
    """Show one event of each item, in order; each sees all before it."""
    count = len(labels)
    return Evidence(
        user=0,
        rows=np.arange(count, dtype=np.int64),
        items=np.arange(count, dtype=np.int32),
        labels=labels,
        features=np.zeros((count, len(FEATURES) - 2), np.float32),
        sees=np.arange(count, dtype=np.int32),
        asked=np.ones(count, np.bool_),
    )
