"""Stream the rows of a plan into columns: frame by frame, typed, coded, and let go.

It decides that memory holds one frame of text at a time, and of what was read only numbers and distinct texts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Int32

from recollect.data.log import UNKNOWN
from recollect.data.readers.cells import read_cells
from recollect.data.readers.complaints import Complaints
from recollect.data.readers.plan import Plan
from recollect.data.readers.texts import text_columns
from recollect.data.readers.vocabulary import Vocabulary

_NAMED = ("user", "item", "kind", "session")
_TYPES = {"time": np.int64, "value": np.float32, "part": np.int8, "kind": np.int16, "session": np.int64}


@dataclass(frozen=True, eq=False, slots=True)
class Collected:
    """Hold what was read.

    Parameters
    ----------
    columns : dict of str to array
        The columns of a log but for the labels, in file order.
    user_ids, item_ids, kinds : tuple of str
        Names by code.
    texts : DataFrame, optional
        Texts of items that stood in the rows (id, title, genres, year).
    rows_read : int
        All rows, bad ones too.
    milliseconds : bool
        Whether times were in milliseconds.
    """

    columns: dict[str, np.ndarray]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    texts: pl.DataFrame | None
    rows_read: int
    milliseconds: bool


def collect(plan: Plan, complaints: Complaints, *, users: pl.Series | None, items: pl.Series | None) -> Collected:
    """Read the rows of a plan.

    Parameters
    ----------
    plan : Plan
        What to read.
    complaints : Complaints
        Where bad rows go.
    users, items : Series, optional
        Ids that get a code even without an event.

    Raises
    ------
    BadRow
        If the import is strict and a row is bad.
    """
    names = {name: Vocabulary() for name in _NAMED}
    for name, ids in (("user", users), ("item", items)):
        if ids is not None:
            names[name].encode(ids)
    pieces: dict[str, list[np.ndarray]] = defaultdict(list)
    texts: list[pl.DataFrame] = []
    rows_read, milliseconds = 0, False
    for frame in plan.events.frames():
        cells = read_cells(frame, plan.columns, file=plan.events.path.name)
        complaints.add(plan.events.path.name, cells.bad, cells.first)
        for name, column in _numbers(cells.rows, names).items():
            pieces[name].append(column)
        if "title" in plan.columns:
            texts.append(_texts(cells.rows))
        rows_read += len(frame)
        milliseconds |= cells.milliseconds
    settled = {name: vocabulary.settle() for name, vocabulary in names.items()}
    return Collected(
        {name: _joined(name, pieces.pop(name), settled) for name in list(pieces)},
        user_ids=settled["user"][0],
        item_ids=settled["item"][0],
        kinds=settled["kind"][0],
        texts=pl.concat(texts).unique("id", keep="first", maintain_order=True) if texts else None,
        rows_read=rows_read,
        milliseconds=milliseconds,
    )


def _numbers(rows: pl.DataFrame, names: dict[str, Vocabulary]) -> dict[str, np.ndarray]:
    """Return the columns of a log that are there, with provisional codes for names."""
    there = [name for name in (*_NAMED, "time", "value", "part") if name in rows.columns]
    return {name: _encode(names[name], rows[name]) if name in names else rows[name].to_numpy() for name in there}


def _encode(vocabulary: Vocabulary, ids: pl.Series) -> Int32[np.ndarray, "N"]:
    text = ids.cast(pl.String)
    known = text.is_not_null().to_numpy()
    if known.all():
        return vocabulary.encode(text)
    codes = np.full(len(text), UNKNOWN, dtype=np.int32)
    codes[known] = vocabulary.encode(text.drop_nulls())
    return codes


def _joined(name: str, pieces: list[np.ndarray], settled: dict[str, tuple[tuple[str, ...], np.ndarray]]) -> np.ndarray:
    column = np.concatenate(pieces)
    if name in settled:
        # One place more, at the end: UNKNOWN (-1) stays what it is.
        column = np.append(settled[name][1], np.int32(UNKNOWN))[column]
    return column.astype(_TYPES.get(name, np.int32), copy=False)


def _texts(rows: pl.DataFrame) -> pl.DataFrame:
    ours = {name: name for name in ("title", "genres", "year") if name in rows.columns}
    first = rows.filter(pl.col("title").is_not_null()).unique("item", keep="first", maintain_order=True)
    return first.select(pl.col("item").alias("id"), *text_columns(ours))
