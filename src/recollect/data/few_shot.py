"""Few-shot sets: the first N of a shuffled training part, so that smaller sets lie inside larger ones.

It decides that the order depends on the seed alone, not on N, and offers two draws: single rows (ReLLa, arXiv
2308.11131), or whole users until there are enough rows, for methods that learn from a person's events together. A set
that is kept (`few_shot.npz`) names the log that its rows number, and is read for that log alone.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from recollect.data.digest import digest_of_log
from recollect.data.log import EventLog
from recollect.errors import DataError, UsageError

_FILE: Final = "few_shot.npz"


class FewShot(NamedTuple):
    """A set as it is kept: rows of the log in its order, the seed that drew them, and the digest of the log."""

    rows: Int64[np.ndarray, " K"]
    seed: int
    log: str


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


def save_few_shot(drawn: FewShot, folder: Path) -> None:
    """Write a set into a folder, such as that of the run that learned from it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    np.savez(folder / _FILE, rows=drawn.rows, seed=np.int64(drawn.seed), log=np.array(drawn.log))


def load_few_shot(folder: Path, *, log: EventLog) -> FewShot | None:
    """Read the set of a run folder; None if it keeps none, since its recipe drew no rows or it is older.

    Parameters
    ----------
    folder : Path
        The run.
    log : EventLog
        The log that the rows number.

    Raises
    ------
    DataError
        If the file is damaged, or its rows are those of another log.
    """
    file = folder / _FILE
    if not file.is_file():
        return None
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as kept:
            drawn = FewShot(kept["rows"], int(kept["seed"]), str(kept["log"]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError("rows that cannot be read", got=file, expected="a set as written", do="tune again") from error
    if drawn.log != digest_of_log(log):
        raise DataError(
            "rows of another log",
            got=file,
            expected="the log that they were drawn from",
            do="give the same data folder",
        )
    return drawn
