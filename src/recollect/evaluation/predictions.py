"""Predictions: what a scorer said about rows of the log, with what is needed to judge and slice it.

Decides: one immutable value holds the scored rows in log order together with user, item, time, label and the
number of the user's events that were visible; slices are row numbers into it, by time (equal numbers of rows) and
by known events; on disk it is one parquet file, written aside and renamed.

Array letters: R rows, in log order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int, Int32, Int64

from recollect.errors import DataError, translate

TIME_SLICES = 10
KNOWN_EVENTS = (0, 1, 5, 10, 25, 50, 100)
"""Lower ends of the slices by number of known events: 0, 1-4, 5-9, …, 100 and more."""

_FORMAT = "recollect predictions 1"
_DTYPES = {
    "rows": np.int64,
    "user": np.int32,
    "item": np.int32,
    "time": np.int64,
    "label": np.bool_,
    "probability": np.float64,
    "known": np.int32,
}


class Slice(NamedTuple):
    """A named part of the predictions: positions (not log rows) inside them, ascending."""

    name: str
    positions: Int64[np.ndarray, "P"]


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """Scored rows of a log, in log order.

    Parameters
    ----------
    rows
        Row number in the log, strictly ascending.
    user, item
        Codes.
    time
        Unix seconds, not descending.
    label
        True for a like.
    probability
        The scorer's probability of a like.
    known
        How many events of the user were visible when the row was scored.

    Raises
    ------
    DataError
        When the rows do not ascend.
    """

    rows: Int64[np.ndarray, "R"]
    user: Int32[np.ndarray, "R"]
    item: Int32[np.ndarray, "R"]
    time: Int64[np.ndarray, "R"]
    label: Bool[np.ndarray, "R"]
    probability: Float64[np.ndarray, "R"]
    known: Int32[np.ndarray, "R"]

    def __post_init__(self) -> None:
        if (np.diff(self.rows) <= 0).any():
            raise DataError(
                "rows of predictions are not in log order",
                got="a row number that repeats or goes back",
                expected="strictly ascending row numbers",
                do="build predictions with replay(), which sorts the rows",
            )

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Int[np.ndarray, "P"]) -> "Predictions":
        """Keep the rows at these ascending positions."""
        return Predictions(*(getattr(self, name)[positions] for name in _DTYPES))

    def save(self, path: Path) -> None:
        """Write the predictions as parquet: aside first, then renamed, so that nothing half-written stays.

        Raises
        ------
        RecollectError
            When writing fails in a way that `recollect.errors.translate` knows (no folder, no space, no rights).
        """
        frame = pl.DataFrame({name: getattr(self, name) for name in _DTYPES})
        try:
            _write_aside(frame, path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise translate(error) or error from error

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read predictions that `save` wrote.

        Raises
        ------
        DataError
            When the file is missing, is not parquet, or comes from another version.
        """
        frame = _read(path)
        return cls(**{name: frame[name].to_numpy().astype(kind) for name, kind in _DTYPES.items()})


def by_time(predictions: Predictions, *, slices: int = TIME_SLICES) -> Iterator[Slice]:
    """Cut the predictions into consecutive slices of equal numbers of rows, named by their first day (UTC).

    Short predictions give fewer slices: none is empty.
    """
    for positions in np.array_split(np.arange(len(predictions)), min(slices, len(predictions)) or 1):
        if len(positions):
            start = datetime.fromtimestamp(int(predictions.time[positions[0]]), UTC)
            yield Slice(f"{start:%Y-%m-%d}", positions)


def by_known(predictions: Predictions) -> Iterator[Slice]:
    """Group the predictions by the number of the user's events that were visible; empty groups are left out."""
    group = np.searchsorted(KNOWN_EVENTS, predictions.known, side="right") - 1
    for number, low in enumerate(KNOWN_EVENTS):
        positions = np.flatnonzero(group == number)
        if len(positions):
            yield Slice(_span(number, low), positions)


def _span(number: int, low: int) -> str:
    if number + 1 == len(KNOWN_EVENTS):
        return f"{low}+"
    high = KNOWN_EVENTS[number + 1] - 1
    return str(low) if low == high else f"{low}-{high}"


def _write_aside(frame: pl.DataFrame, path: Path) -> None:
    aside = path.with_name(f".{path.name}.aside")
    try:
        frame.write_parquet(aside, compression="zstd", metadata={"format": _FORMAT})
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path) -> pl.DataFrame:
    try:
        found = pl.read_parquet_metadata(path).get("format")
        frame = pl.read_parquet(path) if found == _FORMAT else pl.DataFrame()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from error
    if frame.columns != list(_DTYPES):
        raise _unreadable(path, f"format {found!r}")
    return frame


def _unreadable(path: Path, got: str) -> DataError:
    return DataError(
        f"predictions cannot be read from {path}",
        got=got,
        expected=f"a parquet file of {_FORMAT!r}",
        do="run `recollect evaluate` on the run again; it writes the file",
    )
