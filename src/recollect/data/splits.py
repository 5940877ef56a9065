"""Cut a log in time: train, valid, test, and periods.

It decides that a border never runs through an instant: events of equal time are all in the earlier part. The default
is a global split, the same moment for every user, since a split by user lets a model learn from the future of others.
Periods D_0..D_n are those of the RecICL protocol (spec `recicl`, section 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from recollect.data.log import EventLog
from recollect.errors import UsageError


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Hold the rows of a log to learn from, to choose by, and to report.

    Parameters
    ----------
    name : str
        Name of the protocol.
    train, valid, test : Int64[K], Int64[L], Int64[M]
        Rows of the log, each in log order, disjoint.
    notes : tuple of str
        What a reader of the results should know.
    """

    name: str
    train: Int64[np.ndarray, "K"]
    valid: Int64[np.ndarray, "L"]
    test: Int64[np.ndarray, "M"]
    notes: tuple[str, ...] = ()


def split_by_time(log: EventLog, *, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Cut a log by shares of its events, in time order.

    Parameters
    ----------
    log : EventLog
        N events.
    fractions : tuple of float
        Shares of train, valid and test; they sum to 1.

    Raises
    ------
    UsageError
        If a share is negative or they do not sum to 1.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise UsageError(
            "fractions that are no split", got=fractions, expected="three shares that sum to 1", do="take .8, .1, .1"
        )
    shares = (fractions[0], fractions[0] + fractions[1])
    first, second = (_border(log, round(share * len(log), 6)) for share in shares)
    rows = np.arange(len(log))
    notes = () if 0 < first < second < len(log) else ("too few instants for three parts: one of them is empty",)
    return Split("time", train=rows[:first], valid=rows[first:second], test=rows[second:], notes=notes)


def split_until(log: EventLog, time: int) -> Split:
    """Cut a log at a moment: train is strictly earlier, test is the rest; nothing is kept to choose by.

    Parameters
    ----------
    log : EventLog
        N events.
    time : int
        Unix seconds.

    Raises
    ------
    UsageError
        If there is no event before the time.
    """
    border = int(np.searchsorted(log.time, time, side="left"))
    if border == 0:
        first = int(log.time[0]) if len(log) else "an empty log"
        raise UsageError("no event before the moment", got=time, expected=f"later than {first}", do="give a later time")
    rows = np.arange(len(log))
    return Split(f"until {time}", train=rows[:border], valid=rows[:0], test=rows[border:])


def periods(log: EventLog, count: int) -> tuple[Int64[np.ndarray, "_"], ...]:
    """Cut a log into periods D_0..D_{count-1} of about equal numbers of events.

    Raises
    ------
    UsageError
        If count is below 1.
    """
    if count < 1:
        raise UsageError("too few periods", got=count, expected="1 or more", do="give the number of periods")
    borders = [0, *(_border(log, len(log) * part / count) for part in range(1, count)), len(log)]
    return tuple(np.arange(start, end) for start, end in pairwise(borders))


def _border(log: EventLog, position: float) -> int:
    """Move a cut to the end of the instant that it would run through."""
    cut = int(position)
    return cut if cut == 0 else int(np.searchsorted(log.time, int(log.time[cut - 1]), side="right"))


def rows_of_some_users(
    log: EventLog, rows: Int64[np.ndarray, " R"], *, wanted: int, seed: int = 0
) -> Int64[np.ndarray, " K"]:
    """Draw whole users until there are rows enough, so that order within a person can be judged.

    Parameters
    ----------
    log : EventLog
        The log.
    rows : Int64[R]
        Rows of a part of it.
    wanted : int
        How many rows are enough.
    seed : int
        Of the draw.
    """
    if len(rows) <= wanted:
        return rows
    users, counts = np.unique(log.user[rows], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(users))
    chosen = users[order[: 1 + int(np.searchsorted(np.cumsum(counts[order]), wanted))]]
    return rows[np.isin(log.user[rows], chosen)]
