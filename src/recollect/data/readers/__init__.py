"""Readers: from the files of a publisher to a `Dataset`.

It decides that a format is detected by content, never by name alone; `FORMATS` is the table of families in the order
in which they are asked, the most particular first. How rows become events, and what happens to bad ones and doubles,
is the same for all (`intake`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from recollect.data.dataset import Dataset
from recollect.data.facts import Facts
from recollect.data.readers.collm import plan_collm
from recollect.data.readers.complaints import Complaints
from recollect.data.readers.intake import Repeats, take_in
from recollect.data.readers.movielens import plan_1m, plan_100k, plan_latest
from recollect.data.readers.movietweetings import plan_movietweetings
from recollect.data.readers.named import plan_csv, plan_jsonl, plan_parquet
from recollect.data.readers.plan import Place, Plan
from recollect.errors import UnknownFormat, UsageError

__all__ = ["FORMATS", "read"]

FORMATS: Mapping[str, Callable[[Place], Plan | None]] = MappingProxyType(
    {
        "collm": plan_collm,
        "ml-latest": plan_latest,
        "movietweetings": plan_movietweetings,
        "ml-1m": plan_1m,
        "ml-100k": plan_100k,
        "parquet": plan_parquet,
        "jsonl": plan_jsonl,
        "csv": plan_csv,
    }
)


def read(
    source: Path,
    *,
    format: str | None = None,  # noqa: A002  (the word of the command line)
    like: str | None = None,
    strict: bool = False,
    repeats: Repeats | None = None,
) -> tuple[Dataset, Facts]:
    """Import a log.

    Parameters
    ----------
    source : Path
        A file of events or a folder with one.
    format : str, optional
        A name of `FORMATS`; detected if not given.
    like : str, optional
        A label rule such as ``rating>=4``; by default the one of the format, or of the range of the values.
    strict : bool
        Whether the first bad row ends the import; else bad rows are counted and skipped.
    repeats : {"first", "all"}, optional
        What to keep of several events of one (user, item) pair; by default "first" if events carry a value.

    Returns
    -------
    Dataset, Facts
        The data, and what was found (also in the data).

    Raises
    ------
    SourceNotFound
        If there is no such file or folder.
    UnknownFormat
        If the content is in no format we read, or not in the one that was named.
    UnknownColumn
        If a needed column is missing.
    BadRow
        If the import is strict and a row is bad.
    DataError
        If a file cannot be read or no row is usable.
    UsageError
        If the format or the label rule makes no sense.
    """
    place = Place.of(source)
    dataset = take_in(
        _plan(place, format), source=place.name, like=like, complaints=Complaints(strict=strict), repeats=repeats
    )
    return dataset, dataset.facts


def _plan(place: Place, name: str | None) -> Plan:
    if name is not None and name not in FORMATS:
        raise UsageError("an unknown format", got=name, expected=f"one of {', '.join(FORMATS)}", do="name one of them")
    names = [name] if name else list(FORMATS)
    plan = next((plan for plan in (FORMATS[one](place) for one in names) if plan is not None), None)
    if plan is None:
        raise UnknownFormat(
            f"no log found in {place.name}",
            got=", ".join(sorted(path.name for path in place.folder.iterdir())[:10]) or "an empty folder",
            expected=f"files of format {' or '.join(names)}",
            do="give the file of events itself, or see the formats in `recollect import --help`",
        )
    return plan
