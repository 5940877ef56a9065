"""What an import found: the facts about a log that a person should see before trusting a figure.

It decides that facts travel with the data (in `dataset.json`) and are plain numbers and text, so that every command
can show them without reading the log again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from recollect.errors import DataError


@dataclass(frozen=True, slots=True)
class BadLine:
    """Hold one row that was skipped: the file, its line from 1, and the reason."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Say what an import read, kept and left out.

    Parameters
    ----------
    source : str
        Name of the file or folder (no path).
    format, encoding : str
        As detected, or as told.
    rule : str
        The label rule, such as ``rating>=4``.
    rows_read, rows_kept, rows_bad : int
        Events in the source, in the log, and skipped because they could not be read.
    bad : tuple of BadLine
        The first few bad rows, of events and of texts.
    duplicates : int
        Events dropped because user, item, time and value all occurred before.
    repeats : int
        Further events of a (user, item) pair that has one already.
    repeats_kept : bool
        Whether the repeats are in the log.
    users, items : int
        Counts of codes, U and I.
    silent_users, silent_items : int
        How many of them have no event.
    untitled : int
        Items of the log without a text; their title is their id.
    first_time, last_time : int
        Unix seconds.
    like_share : float
        Share of likes among the kept events, 0 to 1.
    notes : tuple of str
        What else was noticed.
    """

    source: str
    format: str
    encoding: str
    rule: str
    rows_read: int
    rows_kept: int
    rows_bad: int
    bad: tuple[BadLine, ...]
    duplicates: int
    repeats: int
    repeats_kept: bool
    users: int
    items: int
    silent_users: int
    silent_items: int
    untitled: int
    first_time: int
    last_time: int
    like_share: float
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Facts:
        """Rebuild facts from `as_json`.

        Raises
        ------
        DataError
            If a fact is missing or unknown.
        """
        try:
            read: dict[str, Any] = dict(values)
            read["bad"] = tuple(BadLine(**line) for line in values["bad"])
            read["notes"] = tuple(values["notes"])
            return cls(**read)
        except (KeyError, TypeError) as error:
            raise DataError(
                "facts that cannot be read", got=error, expected="the facts of an import", do="import the source again"
            ) from error

    def lines(self) -> tuple[str, ...]:
        """Return the facts as lines for a person, the first like ``movietweetings (format movietweetings, utf-8)``."""
        first, last = (datetime.fromtimestamp(time, UTC).date() for time in (self.first_time, self.last_time))
        kept = "kept" if self.repeats_kept else "dropped, the first is kept"
        return (
            f"{self.source} (format {self.format}, {self.encoding})",
            f"{self.rows_kept:,} of {self.rows_read:,} events, {first} to {last}",
            f"{self.users:,} users ({self.silent_users:,} without events)",
            f"{self.items:,} items ({self.silent_items:,} without events, {self.untitled:,} without title)",
            f"{self.duplicates:,} duplicates dropped; {self.repeats:,} repeats of a (user, item) pair {kept}",
            f"{self.like_share:.1%} likes ({self.rule})",
            *([f"{self.rows_bad:,} bad rows skipped"] if self.rows_bad else []),
            *map(str, self.bad),
            *self.notes,
        )
