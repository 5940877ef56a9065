"""Chains: token segments that read on from one another, put together as a prompt tree in one step.

What it is: the fast way from pieces of text to a tree, for layouts that make one per log row.

What it decides: segment 0 begins every prompt and is seen by all. Beyond it a link sees a run of consecutive shared
links, so one tree can hold several chains over one beginning, and leaves that leave a chain at any of its links. Where
a link asks, it does so at its last token. There are no soft tokens.

Dimension letters: T tokens, G links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int32

from recollect.prompt.tree import NO_ITEM, PromptTree

__all__ = ["NOT_ASKED", "Link", "join_links"]

NOT_ASKED: Final = -1
"""What `Link.row` holds where no answer is read."""


@dataclass(frozen=True, eq=False, slots=True)
class Link:
    """Hold one segment of a chain.

    Parameters
    ----------
    tokens : Int32[T]
        At least one.
    start : int
        Position of the first token.
    first, end : int
        It sees segment 0 and the shared links from `first` up to `end`, itself excepted.
    row : int
        The caller's key of the answer read at the last token, or `NOT_ASKED`.
    """

    tokens: Int32[np.ndarray, " T"]
    start: int = 0
    first: int = 0
    end: int = 0
    row: int = NOT_ASKED


def join_links(shared: Sequence[Link], leaves: Sequence[Link] = ()) -> PromptTree:
    """Put links together as a prompt tree: the shared ones in order, the first of them segment 0, then the leaves.

    Raises
    ------
    PromptError
        If a link has no tokens, or a shared one sees a later one.
    """
    links = [*shared, *leaves]
    lengths = np.array([len(link.tokens) for link in links])
    segment = np.repeat(np.arange(len(links), dtype=np.int32), lengths)
    ends = np.cumsum(lengths)
    start, first, end, row = np.array([(link.start, link.first, link.end, link.row) for link in links]).T
    place = np.arange(len(segment))
    column = np.arange(len(shared))
    sees = (column >= first[:, None]) & (column < end[:, None])
    sees[1:, 0] = True
    asked = row != NOT_ASKED
    return PromptTree(
        tokens=np.concatenate([link.tokens for link in links]),
        items=np.full(len(segment), NO_ITEM, np.int32),
        features=np.zeros((len(segment), 0), np.float32),
        segment=segment,
        positions=(place + np.repeat(start - ends + lengths, lengths)).astype(np.int32),
        sees=sees,
        slots=(ends[asked] - 1).astype(np.int32),
        slot_rows=row[asked].astype(np.int64),
    )
