"""Cells: turn a frame of text into users, items, times and values, and say which rows cannot be.

It decides what the cells of a log may look like. A user and an item are any text that is not blank. A value is a
finite number. A time is unix seconds (milliseconds are recognised by their size) or an ISO date, read as UTC where it
names no zone. A part is train, valid or test, or 0, 1, 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from recollect.data.facts import BadLine
from recollect.data.log import TEST, TRAIN, VALID
from recollect.data.readers.complaints import KEPT
from recollect.data.readers.tables import FAULT, LINE

Columns = Mapping[str, str]  # our name of a column → the source's name

_MILLISECONDS = 1e11  # a number of this size or more is no time in seconds before the year 5138
_NO_TIME = 1e14
_YEAR_ONE = -62_135_596_800
_DATES = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_PARTS = {
    **dict.fromkeys(("train", "training", "0"), TRAIN),
    **dict.fromkeys(("valid", "validation", "val", "dev", "1"), VALID),
    **dict.fromkeys(("test", "testing", "2"), TEST),
}


@dataclass(frozen=True, slots=True)
class Cells:
    """Hold the good rows of a frame in typed columns, and the bad ones as complaints.

    Parameters
    ----------
    rows : DataFrame
        Columns user, item (text), time (Int64, unix seconds), value (Float32) and, where the source has them, part
        (Int8), kind, session, title, genres, year (text).
    bad : int
        How many rows were left out.
    first : list of BadLine
        The first of those.
    milliseconds : bool
        Whether times were in milliseconds.
    """

    rows: pl.DataFrame
    bad: int
    first: list[BadLine]
    milliseconds: bool


def read_cells(frame: pl.DataFrame, columns: Columns, *, file: str) -> Cells:
    """Type the cells of a frame.

    Parameters
    ----------
    frame : DataFrame
        Rows as a `Table` gives them.
    columns : mapping of str to str
        The source's names of user, item, time and, where there are any, the other columns.
    file : str
        Name of the file, for complaints.
    """
    raw = {ours: frame[theirs].rename(ours) for ours, theirs in columns.items()}
    numbers, dates = _seconds(raw["time"])
    milliseconds = numbers >= _MILLISECONDS
    seconds = pl.select(
        pl.when(milliseconds).then(numbers / 1000).otherwise(numbers).floor().cast(pl.Int64)
    ).to_series()
    typed: dict[str, pl.Series] = {
        **raw,
        "user": _text(raw["user"]),
        "item": _text(raw["item"]),
        "time": seconds.fill_null(dates) if dates is not None else seconds,
        "value": _number(raw["value"]) if "value" in raw else pl.repeat(1, len(frame), dtype=pl.Float32, eager=True),
    }
    typed |= {name: _text(raw[name]) for name in ("kind", "session") if name in raw}
    if "part" in raw:
        names = raw["part"].cast(pl.String).str.strip_chars().str.to_lowercase()
        typed["part"] = names.replace_strict(_PARTS, default=None, return_dtype=pl.Int8)
    checked = [name for name in ("user", "item", "value", "time", "part") if name in typed]
    rows = pl.DataFrame({name: column.rename(name) for name, column in typed.items()})
    good = rows.select(pl.all_horizontal(*(pl.col(name).is_not_null() for name in checked))).to_series()
    good &= frame[FAULT].is_null()
    if good.all():
        return Cells(rows, 0, [], bool(milliseconds.any()))
    first = _complaints(frame.filter(~good).head(KEPT), rows.filter(~good).head(KEPT), columns, file=file)
    return Cells(rows.filter(good), int((~good).sum()), first, bool(milliseconds.any()))


def _text(column: pl.Series) -> pl.Series:
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _number(column: pl.Series) -> pl.Series:
    source = column.str.strip_chars() if column.dtype == pl.String else column
    numbers = source.cast(pl.Float64, strict=False).cast(pl.Float32)
    return numbers.set(~numbers.is_finite(), None)


def _seconds(column: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Return times that are numbers (Float64), and times that are dates (Int64 seconds) if some are not numbers."""
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        seconds = column.dt.epoch("s")
        return pl.repeat(None, len(column), dtype=pl.Float64, eager=True), seconds
    source = column.str.strip_chars() if column.dtype == pl.String else column
    numbers = source.cast(pl.Float64, strict=False)
    numbers = numbers.set(~((numbers >= _YEAR_ONE) & (numbers < _NO_TIME)), None)
    if column.dtype != pl.String or numbers.null_count() == 0:
        return numbers, None
    return numbers, _dates(source)


def _dates(text: pl.Series) -> pl.Series:
    plain = pl.lit(text.str.replace(" ", "T", literal=True))
    zoned = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", strict=False, time_zone="UTC", time_unit="us")
    local = [plain.str.to_datetime(form, strict=False, time_unit="us") for form in _DATES]
    return pl.select(pl.coalesce(zoned.dt.epoch("s"), *(one.dt.epoch("s") for one in local))).to_series()


def _complaints(frame: pl.DataFrame, typed: pl.DataFrame, columns: Columns, *, file: str) -> list[BadLine]:
    expected = {
        "user": "has no user",
        "item": "has no item",
        "value": "is not a number",
        "time": "is not a time (unix seconds or an ISO date)",
        "part": "is not train, valid or test",
    }
    complaints: list[BadLine] = []
    for row, cells in zip(frame.to_dicts(), typed.to_dicts(), strict=True):
        reason = row[FAULT]
        if reason is None:
            ours = next(name for name in expected if name in cells and cells[name] is None)
            theirs = columns[ours]
            reason = expected[ours] if ours in {"user", "item"} else f"{theirs} {row[theirs]!r} {expected[ours]}"
        complaints.append(BadLine(file, row[LINE], reason))
    return complaints
