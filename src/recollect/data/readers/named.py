"""Any log with named columns: CSV (comma, tab, semicolon or bar), JSON lines, parquet.

It decides which names a column may have (capitals, spaces and underscores do not count), and that the texts of items
may stand in the same file or in a file called `items` (or `movies`, `products`) beside it, and attributes in `users`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from recollect.data.readers.plan import Place, Plan
from recollect.data.readers.tables import Delimited, JsonLines, Parquet, Table, header_of
from recollect.data.readers.texts import SideTable, text_columns
from recollect.errors import DataError, UnknownColumn

ALIASES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "customer", "customerid", "visitorid", "reviewerid"),
    "item": ("item", "itemid", "iid", "movie", "movieid", "product", "productid", "asin", "parentasin"),
    "time": ("time", "timestamp", "unixreviewtime", "datetime", "date", "eventtime", "createdat"),
    "value": ("value", "rating", "label", "score", "stars", "overall", "feedback"),
    "kind": ("type", "kind", "event", "eventtype", "action"),
    "session": ("session", "sessionid"),
    "part": ("split", "part"),
    "title": ("title", "itemtitle", "name"),
    "genres": ("genres", "genre", "categories", "category"),
    "year": ("year",),
}
_NEEDED = ("user", "item", "time")
_ITEM_FILES, _USER_FILES = ("items", "movies", "products"), ("users",)
_EVENT_FILES = ("events", "interactions", "ratings", "log")
_SUFFIXES = {
    "csv": (".csv", ".tsv", ".txt"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}
_ITEM_ID = (*ALIASES["item"], "id")
_USER_ID = (*ALIASES["user"], "id")


def plan_csv(place: Place) -> Plan | None:
    """Recognise a text file whose first line names columns."""
    return _plan(place, "csv")


def plan_jsonl(place: Place) -> Plan | None:
    """Recognise a text file of JSON objects."""
    return _plan(place, "jsonl")


def plan_parquet(place: Place) -> Plan | None:
    """Recognise a parquet file."""
    return _plan(place, "parquet")


def _plan(place: Place, form: str) -> Plan | None:
    path = place.named or _event_file(place.folder, form)
    if path is None or form_of(path) != form:
        return None
    events = open_table(path)
    columns = match(events.columns)
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise UnknownColumn(
            f"{path.name} has no column for {' and '.join(missing)}",
            got=f"columns {', '.join(events.columns)}",
            expected="; ".join(f"{name}: one of {', '.join(ALIASES[name])}" for name in missing),
            do="rename the columns",
        )
    items, users = _beside(path, _ITEM_FILES), _beside(path, _USER_FILES)
    return Plan(
        format=form,
        events=events,
        columns=columns,
        items=None if items is None else _items(open_table(items)),
        users=None if users is None else _users(open_table(users)),
    )


def form_of(path: Path) -> str:
    """Return csv, jsonl or parquet, by the content."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"


def open_table(path: Path) -> Table:
    """Open a file with named columns."""
    form = form_of(path)
    if form == "parquet":
        return Parquet.open(path)
    return JsonLines.open(path) if form == "jsonl" else Delimited.with_header(path, separator_of(path))


def separator_of(path: Path) -> str:
    """Return the separator that takes the first line into the most names."""
    return max((",", "\t", ";", "|"), key=lambda separator: len(header_of(path, separator)))


def match(names: tuple[str, ...]) -> dict[str, str]:
    """Match the names of a source to ours: the first alias that is there counts.

    Examples
    --------
    >>> match(("userId", "movie_id", "Timestamp", "rating"))
    {'user': 'userId', 'item': 'movie_id', 'time': 'Timestamp', 'value': 'rating'}
    """
    found = ((ours, _find(names, aliases)) for ours, aliases in ALIASES.items())
    return {ours: theirs for ours, theirs in found if theirs is not None}


def _find(names: tuple[str, ...], aliases: tuple[str, ...]) -> str | None:
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    return next((plain[alias] for alias in aliases if alias in plain), None)


def _event_file(folder: Path, form: str) -> Path | None:
    """Return the one file that can be the log.

    Raises
    ------
    DataError
        If several can.
    """
    beside = {*_ITEM_FILES, *_USER_FILES}
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in _SUFFIXES[form] and path.stem.lower() not in beside
    )
    usual = [path for path in files if path.stem.lower() in _EVENT_FILES]
    choice = usual or [path for path in files if path.suffix.lower() != ".txt" or len(files) == 1]
    if len(choice) > 1:
        raise DataError(
            "several files that could be the log",
            got=", ".join(path.name for path in choice),
            expected=f"one, or one called {', '.join(_EVENT_FILES)}",
            do="name the file instead of the folder",
        )
    return choice[0] if choice else None


def _beside(events: Path, stems: tuple[str, ...]) -> Path | None:
    suffixes = [suffix for some in _SUFFIXES.values() for suffix in some]
    paths = (events.with_name(stem + suffix) for stem in stems for suffix in suffixes)
    return next((path for path in paths if path.is_file() and path != events), None)


def _items(table: Table) -> SideTable:
    columns = match(table.columns)
    identity = _identity(table, _ITEM_ID)
    return SideTable(table, (_as_id(identity), *text_columns(columns)))


def _users(table: Table) -> SideTable:
    identity = _identity(table, _USER_ID)
    others = [name for name in table.columns if name not in {identity, "id"}]
    return SideTable(table, (_as_id(identity), *(pl.col(name).cast(pl.String) for name in others)))


def _as_id(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.strip_chars().alias("id")


def _identity(table: Table, aliases: tuple[str, ...]) -> str:
    """Return the column of ids.

    Raises
    ------
    UnknownColumn
        If there is none.
    """
    found = _find(table.columns, aliases)
    if found is None:
        raise UnknownColumn(
            f"{table.path.name} has no column of ids",
            got=f"columns {', '.join(table.columns)}",
            expected=f"one of {', '.join(aliases)}",
            do="rename the column",
        )
    return found
