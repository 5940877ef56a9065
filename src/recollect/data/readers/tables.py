"""Tables: files of rows, as frames of the columns that the source names.

It decides the seam between file forms and everything above: a table has a path, an encoding and column names, and
gives frames. Each frame has the source's columns plus `LINE` (Int64, from 1) and `FAULT` (text, null where the row
could be taken apart). Rows with a fault are handed on, so that they can be counted and shown.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import polars as pl

from recollect.data.readers.text import Block, blocks, encoding_of, first_lines
from recollect.errors import DataError

LINE, FAULT = "#line", "#fault"
_MOST_LINES_OF_A_RECORD = 20  # a quote that is open for longer is a stray one


class Table(Protocol):
    """A file of rows."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def encoding(self) -> str:
        """The encoding of its text."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""
        ...

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give its rows, in order, in frames of bounded size."""
        ...


@dataclass(frozen=True, slots=True)
class Delimited:
    """A text file with a separator, of one or more characters.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        As detected.
    separator : str
        Between fields.
    columns : tuple of str
        Names of the columns.
    header : bool
        Whether the first line holds the names.
    quoted : bool
        Whether a field may stand in double quotes, with separators and line ends inside, as CSV has it.
    """

    path: Path
    encoding: str
    separator: str
    columns: tuple[str, ...]
    header: bool = False
    quoted: bool = False

    @classmethod
    def named(cls, path: Path, separator: str, columns: tuple[str, ...]) -> Delimited:
        """Open a file without header whose columns we know."""
        return cls(path, encoding_of(path), separator, columns)

    @classmethod
    def with_header(cls, path: Path, separator: str) -> Delimited:
        """Open a CSV file whose first line names the columns.

        Raises
        ------
        DataError
            If a name occurs twice.
        """
        names = header_of(path, separator)
        if len(set(names)) < len(names):
            raise DataError(
                f"{path.name} has a column name twice", got=", ".join(names), expected="each name once", do="rename one"
            )
        return cls(path, encoding_of(path), separator, names, header=True, quoted=True)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give its rows."""
        waiting = self.header
        for block in blocks(self.path, self.encoding, quoted=self.quoted):
            exact = self.quoted and '"' in block.text
            frame = self._by_record(block) if exact else self._by_line(block)
            yield frame[1:] if waiting else frame
            waiting = waiting and len(frame) == 0

    def _by_line(self, block: Block) -> pl.DataFrame:
        """Take lines apart where no quotes are around: columns at a time."""
        return self._even(block) if self._is_even(block.text) else self._uneven(block)

    def _is_even(self, text: str) -> bool:
        """Tell whether a CSV parser may take a block apart, as far as counting separators and line ends can."""
        width, lines = len(self.columns), text.count("\n") + (not text.endswith("\n"))
        plain = len(self.separator) == 1 and not self.separator.isspace() and width > 1
        odd = "\r" in text or text.startswith("\ufeff")
        return plain and not odd and text.count(self.separator) == (width - 1) * lines

    def _even(self, block: Block) -> pl.DataFrame:
        """Take apart a block whose lines have as many fields as there are columns, or else find that they have not."""
        try:
            frame = pl.read_csv(
                block.text.encode(),
                has_header=False,
                separator=self.separator,
                quote_char=None,
                schema=dict.fromkeys(self.columns, pl.String),
            )
        except pl.exceptions.PolarsError:  # one line has a field too many, so another has one too few
            return self._uneven(block)
        fields = pl.col(self.columns).fill_null("")
        line = pl.int_range(block.first_line, block.first_line + pl.len(), dtype=pl.Int64).alias(LINE)
        return frame.select(line, fields, pl.lit(None, dtype=pl.String).alias(FAULT))

    def _uneven(self, block: Block) -> pl.DataFrame:
        """Take apart a block some of whose lines may be blank or have another number of fields."""
        width = len(self.columns)
        lines = pl.Series("text", [block.text.removesuffix("\n")]).str.split("\n").explode()
        return (
            lines.to_frame()
            .with_row_index(LINE, offset=block.first_line)
            .with_columns(pl.col(LINE).cast(pl.Int64), pl.col("text").str.strip_chars_end("\r"))
            .filter(pl.col("text").str.strip_chars() != "")
            .with_columns(pl.col("text").str.split_exact(self.separator, width))
            .unnest("text")
            .with_columns(
                pl.when(pl.col(f"field_{width - 1}").is_null() | pl.col(f"field_{width}").is_not_null())
                .then(pl.lit(f"not {width} fields"))
                .alias(FAULT)
            )
            .drop(f"field_{width}")
            .rename({f"field_{place}": name for place, name in enumerate(self.columns)})
        )

    def _by_record(self, block: Block) -> pl.DataFrame:
        """Take records apart one by one, by the rules of CSV."""
        width = len(self.columns)
        rows: list[tuple[int, str | None, list[str | None]]] = []
        for line, fields in _records(block, self.separator, width=width):
            fault = None if len(fields) == width else f"not {width} fields"
            rows.append((line, fault, [*fields, *[None] * width][:width]))
        frame = pl.DataFrame([row[2] for row in rows], schema=dict.fromkeys(self.columns, pl.String), orient="row")
        return frame.with_columns(
            pl.Series(LINE, [row[0] for row in rows], dtype=pl.Int64),
            pl.Series(FAULT, [row[1] for row in rows], dtype=pl.String),
        )


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A text file with one JSON object per line."""

    path: Path
    encoding: str
    columns: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> JsonLines:
        """Open a file; its columns are the keys of its first lines."""
        keys: dict[str, None] = {}
        for line in first_lines(path):
            keys.update(dict.fromkeys(_object(line) or {}))
        return cls(path, encoding_of(path), tuple(keys))

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give its rows."""
        for block in blocks(self.path, self.encoding):
            numbered = enumerate(block.text.split("\n"), start=block.first_line)
            rows = [(line, _object(text)) for line, text in numbered if text.strip()]
            columns: dict[str, pl.Series] = {
                name: pl.Series([_as_text((row or {}).get(name)) for _, row in rows], dtype=pl.String)
                for name in self.columns
            }
            columns[LINE] = pl.Series([line for line, _ in rows], dtype=pl.Int64)
            faults = [None if row is not None else "not a JSON object" for _, row in rows]
            yield pl.DataFrame({**columns, FAULT: pl.Series(faults, dtype=pl.String)})


@dataclass(frozen=True, slots=True)
class Parquet:
    """A parquet file; its lines are its rows, counted from 1."""

    path: Path
    columns: tuple[str, ...]
    encoding: str = "utf-8"

    @classmethod
    def open(cls, path: Path) -> Parquet:
        """Open a file.

        Raises
        ------
        DataError
            If it is no parquet file.
        """
        try:
            return cls(path, tuple(pl.read_parquet_schema(path)))
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"{path.name} cannot be read", got=error, expected="a parquet file", do="write it anew"
            ) from error

    def frames(self, rows: int = 1 << 20) -> Iterator[pl.DataFrame]:
        """Give its rows."""
        scan = pl.scan_parquet(self.path)
        for start in range(0, max(1, scan.select(pl.len()).collect().item()), rows):
            frame = scan.slice(start, rows).collect()
            lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
            yield frame.with_columns(
                pl.col(lists).cast(pl.List(pl.String)).list.join("|"),
                pl.int_range(start + 1, start + 1 + len(frame), dtype=pl.Int64, eager=True).alias(LINE),
                pl.lit(None, dtype=pl.String).alias(FAULT),
            )


def header_of(path: Path, separator: str) -> tuple[str, ...]:
    """Return the names in the first line of a CSV file."""
    lines = first_lines(path, 1)
    return tuple(name.strip() for name in next(csv.reader(lines, delimiter=separator), list[str]()))


def _records(block: Block, separator: str, *, width: int) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of each record with its first line; blank lines are none."""
    lines = [line.removesuffix("\r") for line in block.text.removesuffix("\n").split("\n")]
    at = 0
    while at < len(lines):
        fields, length = _record(lines[at : at + _MOST_LINES_OF_A_RECORD], separator, width=width)
        if lines[at].strip():
            yield block.first_line + at, fields
        at += length


def _record(lines: list[str], separator: str, *, width: int) -> tuple[list[str], int]:
    """Take the fields of the first record, and say how many lines it has.

    A line with open quotes goes on in the next ones if that makes a whole record; else its quote is a stray one.
    """
    for length in range(1, len(lines) + 1):
        fields = _fields("\n".join(lines[:length]), separator, strict=True)
        if fields is not None and (length == 1 or len(fields) == width):
            return fields, length
    return _fields(lines[0], separator, strict=False) or [], 1


def _fields(text: str, separator: str, *, strict: bool) -> list[str] | None:
    try:
        return next(csv.reader([text], delimiter=separator, strict=strict), list[str]())
    except csv.Error:
        return None


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return "|".join(map(str, cast(list[Any], value)))
    return str(value)
