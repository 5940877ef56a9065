"""Continuations: where an answer of several tokens is read, as leaves behind each question.

What it is: log P(answer) is the sum over its tokens, and each token is read after those before it. So behind a question
stand, for each answer of several tokens, all of its tokens but the last, as a leaf of its own.

What it decides: the slots of one question stand together: its own, then those of the first answer's leaf, then those of
the second's; the language model folds each such group into one log-probability per answer. With answers of one token
nothing changes.

Dimension letters: G segments, S shared segments, A answer slots, N leaves behind one question.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from recollect.errors import PromptError
from recollect.prompt.answers import Answers
from recollect.prompt.tree import NO_ITEM, PromptTree

__all__ = ["with_continuations"]


def with_continuations(tree: PromptTree, answers: Answers) -> PromptTree:
    """Write out the answers of several tokens behind every question of a tree.

    Parameters
    ----------
    tree
        Each slot is the last token of its segment.
    answers
        What is answered.

    Returns
    -------
    PromptTree
        The tree itself if every answer is one token; else all its segments, now shared, and the leaves behind them.

    Raises
    ------
    PromptError
        If a slot is not the last token of its segment.
    """
    leaves = [np.array(tokens[:-1], np.int32) for tokens in answers.tokens if len(tokens) > 1]
    if not leaves or not len(tree.slots):
        return tree
    _require_last(tree)
    count, questions = tree.segment_count, len(tree.slots)
    lengths = np.tile([len(leaf) for leaf in leaves], questions)
    added = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    offset = np.concatenate([np.arange(len(leaf), dtype=np.int32) for leaf in leaves])
    after = np.repeat(tree.positions[tree.slots] + np.int32(1), len(offset))
    behind = np.arange(len(added), dtype=np.int32).reshape(questions, -1) + np.int32(len(tree))
    return PromptTree(
        tokens=np.concatenate([tree.tokens, np.tile(np.concatenate(leaves), questions)]),
        items=np.concatenate([tree.items, np.full(len(added), NO_ITEM, np.int32)]),
        features=np.concatenate([tree.features, np.zeros((len(added), tree.features.shape[1]), np.float32)]),
        segment=np.concatenate([tree.segment, added + np.int32(count)]),
        positions=np.concatenate([tree.positions, after + np.tile(offset, questions)]),
        sees=_relation(tree, np.repeat(tree.segment[tree.slots], len(leaves)).astype(np.int64)),
        slots=np.concatenate([tree.slots[:, None], behind], axis=1).reshape(-1),
        slot_rows=np.repeat(tree.slot_rows, 1 + len(offset)),
    )


def _relation(tree: PromptTree, asked: Int64[np.ndarray, " N"]) -> Bool[np.ndarray, "G S"]:
    """Let every old segment be seen, and each new one see what its question's segment sees, and that segment."""
    old = np.zeros((tree.segment_count, tree.segment_count), np.bool_)
    old[:, : tree.shared_count] = tree.sees
    new = old[asked]
    new[np.arange(len(asked)), asked] = True
    return np.concatenate([old, new])


def _require_last(tree: PromptTree) -> None:
    ends = np.cumsum(tree.segment_lengths()) - 1
    wrong = tree.slots[ends[tree.segment[tree.slots]] != tree.slots]
    if len(wrong):
        raise PromptError(
            what="a question does not stand at the end of its segment",
            got=f"a slot at token {wrong[0]}",
            expected="nothing behind the question, so that its answers can stand there",
            do="end the segment at the answer marker",
        )
