"""A dataset: a log, its catalog, its users and the facts of the import, as one value and as one folder.

It decides the folder: `events.parquet`, `items.parquet`, `users.parquet` and `dataset.json` (format version, counts,
facts). A folder is written beside its place and then renamed, so that it is there whole or not at all; an old
dataset in that place is replaced, anything else is left alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recollect.data.aside import written_aside
from recollect.data.catalog import Catalog, Users
from recollect.data.facts import Facts
from recollect.data.log import EventLog
from recollect.errors import DataError, DatasetVersion, SourceNotFound

VERSION = 1
_CARD = "dataset.json"


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """Hold a log with the texts of its items, the attributes of its users and the facts of its import.

    Parameters
    ----------
    log : EventLog
        N events.
    catalog : Catalog
        I items.
    users : Users
        U users.
    facts : Facts
        What the import found.

    Raises
    ------
    DataError
        If the log counts other users or items than there are.
    """

    log: EventLog
    catalog: Catalog
    users: Users
    facts: Facts

    def __post_init__(self) -> None:
        counted, there = (self.log.user_count, self.log.item_count), (len(self.users), len(self.catalog))
        if counted != there:
            raise DataError(
                "a log of other users or items", got=counted, expected=f"{there} (users, items)", do="import again"
            )

    def save(self, folder: Path) -> None:
        """Write the dataset as a folder: aside first, then renamed into place.

        Raises
        ------
        UsageError
            If something that is no dataset stands in that place.
        DiskFull, SystemFailure
            If the folder cannot be written; nothing half-written stays.
        """
        with written_aside(folder, card=_CARD) as aside:
            self._events().write_parquet(aside / "events.parquet", compression="zstd")
            self._items().write_parquet(aside / "items.parquet", compression="zstd")
            pl.DataFrame({"id": self.users.ids, **self.users.attributes}).write_parquet(aside / "users.parquet")
            (aside / _CARD).write_text(json.dumps(self._card(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read a dataset from its folder.

        Raises
        ------
        SourceNotFound
            If the folder or a file of it is missing.
        DatasetVersion
            If another version of recollect wrote it.
        DataError
            If a file is damaged or the files do not belong together.
        """
        card = _read_card(folder)
        return cls(_log(folder, card), _catalog(folder), _users(folder), Facts.from_json(card["facts"]))

    def _events(self) -> pl.DataFrame:
        return pl.DataFrame(self.log.columns())

    def _items(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "id": self.catalog.ids,
                "title": self.catalog.titles,
                "genres": pl.Series(self.catalog.genres, dtype=pl.List(pl.String)),
                "year": self.catalog.years,
            }
        )

    def _card(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "events": len(self.log),
            "users": len(self.users),
            "items": len(self.catalog),
            "kinds": self.log.kinds,
            "facts": self.facts.as_json(),
        }


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / _CARD
    if not path.is_file():
        raise SourceNotFound(
            "no dataset there", got=folder, expected=f"a folder with {_CARD}", do="make one with `recollect import`"
        )
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = card["version"]
        missing = {"events", "users", "items", "kinds", "facts"} - set(card)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if version != VERSION:
        raise DatasetVersion(
            "a dataset of another version", got=version, expected=f"version {VERSION}", do="import the source again"
        )
    if missing:
        raise _damaged(path, f"no {', '.join(sorted(missing))}")
    return card


def _read_parquet(path: Path, *, needed: tuple[str, ...]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError as error:
        raise SourceNotFound(
            "a file of the dataset is missing", got=path, expected="the folder as written", do="import the source again"
        ) from error
    except pl.exceptions.PolarsError as error:
        raise _damaged(path, error) from error
    missing = set(needed) - set(frame.columns)
    if missing:
        raise _damaged(path, f"no column {', '.join(sorted(missing))}")
    return frame


def _log(folder: Path, card: dict[str, Any]) -> EventLog:
    events = _read_parquet(folder / "events.parquet", needed=("user", "item", "time", "value", "label"))
    if len(events) != card["events"]:
        raise DataError(
            "files that do not belong together",
            got=f"{len(events)} events",
            expected=f"{card['events']}, as {_CARD} says",
            do="import the source again",
        )
    columns: dict[str, np.ndarray] = {name: events[name].to_numpy() for name in events.columns}
    return EventLog(**columns, user_count=card["users"], item_count=card["items"], kinds=tuple(card["kinds"]))


def _catalog(folder: Path) -> Catalog:
    items = _read_parquet(folder / "items.parquet", needed=("id", "title", "genres", "year"))
    return Catalog(
        ids=tuple(items["id"].to_list()),
        titles=tuple(items["title"].to_list()),
        genres=tuple(map(tuple, items["genres"].to_list())),
        years=items["year"].to_numpy(),
    )


def _users(folder: Path) -> Users:
    users = _read_parquet(folder / "users.parquet", needed=("id",))
    attributes = {name: tuple(users[name].to_list()) for name in users.columns if name != "id"}
    return Users(tuple(users["id"].to_list()), attributes)


def _damaged(path: Path, error: object) -> DataError:
    return DataError(
        "a damaged dataset", got=f"{path}: {error}", expected="files as written", do="import the source again"
    )
