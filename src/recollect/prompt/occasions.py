"""Occasions: rows of one person that know the same events, and so may be asked in one tree.

It decides how many rows are asked together: as many as keep the tree's leaves near a given number of tokens, so that
the mask of a person with many rows of one instant stays small.

Dimension letters: R rows, N events of a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from recollect.context.evidence import Context, Timeline


@dataclass(frozen=True, eq=False, slots=True)
class Occasion:
    """Hold rows that are asked together.

    Parameters
    ----------
    line : Timeline
        All events of the person.
    known : int
        How many of them, the first ones, are known.
    places : Int64[R]
        Places of the rows in the timeline.
    """

    line: Timeline
    known: int
    places: Int64[np.ndarray, " R"]


def occasions(context: Context, rows: Int64[np.ndarray, " R"], *, most: int, blind: bool = False) -> Iterator[Occasion]:
    """Yield the rows in groups, each row once, in the order of persons.

    Parameters
    ----------
    context : Context
        Of the log.
    rows : Int64[R]
        Rows to ask.
    most : int
        Most rows of one group.
    blind : bool
        Whether nothing counts as known.
    """
    past = context.past
    user = context.log.user[rows]
    known = np.zeros(len(rows), np.int32) if blind else past.visible[rows]
    order = np.lexsort((rows, known, user))
    borders = np.flatnonzero(np.diff(user[order]) | np.diff(known[order])) + 1
    line = None
    for group in np.split(rows[order], borders) if len(rows) else []:
        person = int(context.log.user[group[0]])
        if line is None or line.user != person:
            line = context.timeline(person)
        places = past.rank[group].astype(np.int64)
        for start in range(0, len(group), most):
            yield Occasion(line, 0 if blind else int(past.visible[group[0]]), places[start : start + most])
