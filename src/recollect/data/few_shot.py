"""Few-shot sets: the first N of a shuffled training part, so that smaller sets lie inside larger ones.

It decides that the order depends on the seed alone, not on N, and offers two draws: single rows (ReLLa, arXiv
2308.11131), or whole users until there are enough rows, for methods that learn from a person's events together.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int64

from recollect.data.log import EventLog
from recollect.errors import UsageError


def few_shot(
    log: EventLog, rows: Int64[np.ndarray, " N"], *, count: int, draw: Literal["rows", "users"], seed: int
) -> Int64[np.ndarray, " K"]:
    """Draw `count` of the rows, in log order; sets of one seed are nested.

    Parameters
    ----------
    log : EventLog
        The log.
    rows : Int64[N]
        Rows of the training part.
    count : int
        K: how many rows; 0 takes all. With `draw` "users" the last user's rows are cut to fit.
    draw : {"rows", "users"}
        What is shuffled.
    seed : int
        Of the shuffle.

    Raises
    ------
    UsageError
        If there are fewer rows.
    """
    if count == 0 or count == len(rows):
        return rows
    if count > len(rows):
        raise UsageError(
            "a few-shot set larger than the training part",
            got=f"tuning.rows={count:,}",
            expected=f"at most {len(rows):,}",
            do="ask for fewer rows, or 0 for all",
        )
    random = np.random.default_rng(seed)
    if draw == "rows":
        return np.sort(random.permutation(rows)[:count])
    place = random.permutation(int(log.user[rows].max()) + 1)[log.user[rows]]
    return np.sort(rows[np.argsort(place, kind="stable")[:count]])
