"""Backups of a store: one file that can be restored into a database of either kind.

It decides that a backup is a store itself: an SQLite file without a write-ahead log, read from one snapshot while the
service goes on writing. So there is one format, whatever it came from, and a backup is looked into and checked like any
store. It is put in its place whole or not at all. Restoring checks it first, and writes into an empty place only, in
one transaction.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from recollect.errors import DataError, SourceNotFound, SystemFailure, UsageError, translate
from recollect.service.check import Finding, check
from recollect.service.database import Database
from recollect.service.migrations import migrate
from recollect.service.store import Store
from recollect.service.tables import META, METADATA

__all__ = ["Finding", "backup", "check", "restore"]

_ROWS: Final = 5_000  # copied at once


def backup(store: Store, file: Path) -> Mapping[str, int]:
    """Write all that a store holds at this moment to a file; it may be in use.

    Parameters
    ----------
    store : Store
        What is kept.
    file : Path
        Where to; a free place. Only its owner may read it: it holds what people did.

    Returns
    -------
    mapping of str to int
        Rows by table.

    Raises
    ------
    UsageError
        If the place is taken.
    DiskFull, SystemFailure
        If it cannot be written or read; then nothing of it stays.
    """
    if file.exists():
        raise UsageError("the place is taken", got=file, expected="a free place", do="give another file")
    with _written_aside(file) as aside:
        target = Database(str(aside))
        try:
            target.require(create=True)
            migrate(target, create=True)
            with store.database.snapshot() as source, target.writing() as into:
                rows = _copy(source, into)
            target.seal()
        finally:
            target.close()
    return rows


def restore(file: Path, url: str) -> Mapping[str, int]:
    """Write all that a backup holds into an empty place.

    Parameters
    ----------
    file : Path
        Made by `backup`, of this version or an older one; it stays as it is.
    url : str
        Of the store to be; see `Store.open`.

    Returns
    -------
    mapping of str to int
        Rows by table.

    Raises
    ------
    SourceNotFound
        If there is no such file.
    DataError
        If it is no backup, or a damaged one.
    DatasetVersion
        If a newer version wrote it.
    UsageError
        If a store is there that holds something.
    DiskFull, SystemFailure
        If the database cannot take it; then it stays empty.
    """
    if not file.is_file():
        raise SourceNotFound("no such backup", got=file, expected="a file of `backup`", do="check the path")
    with tempfile.TemporaryDirectory(prefix="recollect-") as folder:
        copy = Path(folder) / "backup.db"  # opening a store may change its file, and bring it to this version
        _copy_file(file, copy)
        with Store.open(str(copy), create=False) as source:
            _refuse_damaged(source, file)
            return _fill(source, url)


def _fill(source: Store, url: str) -> Mapping[str, int]:
    target = Database(url)
    try:
        target.require(create=True)
        migrate(target, create=True)
        with source.database.snapshot() as rows, target.writing() as into:
            _refuse_full(into, target)
            return _copy(rows, into)
    finally:
        target.close()


def _copy(source: Connection, into: Connection) -> dict[str, int]:
    """Copy all rows of all tables; returns how many, by table."""
    into.execute(delete(META))
    copied: dict[str, int] = {}
    for table in METADATA.sorted_tables:
        asked = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_ROWS)
        copied[table.name] = 0
        for rows in source.execute(asked).mappings().partitions():
            into.execute(insert(table), [dict(row) for row in rows])
            copied[table.name] += len(rows)
    return copied


def _refuse_damaged(source: Store, file: Path) -> None:
    """See that a backup is whole.

    Raises
    ------
    DataError
        If it is not.
    """
    if faults := [finding for finding in check(source) if not finding.fine]:
        raise DataError(
            "a backup that is damaged",
            got=f"{file}: {'; '.join(fault.detail for fault in faults)}",
            expected="a whole one",
            do="restore another; nothing was written",
        )


def _refuse_full(into: Connection, target: Database) -> None:
    """See that a store holds nothing yet.

    Raises
    ------
    UsageError
        If it does.
    """
    others = [table for table in METADATA.sorted_tables if table is not META]
    if held := [table.name for table in others if into.execute(select(func.count()).select_from(table)).scalar_one()]:
        raise UsageError(
            "the place is taken",
            got=f"{target.name}, which holds {', '.join(held)}",
            expected="an empty place",
            do="restore into a new file or an empty database",
        )


@contextmanager
def _written_aside(file: Path) -> Generator[Path]:
    """Give a file to write beside the one to be, and put it there when the block ends well.

    Raises
    ------
    DiskFull, SystemFailure
        If that fails; then nothing of it stays.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}.aside")
    try:
        yield aside
        aside.replace(file)
    except OSError as error:
        raise translate(error) or _unwritable(error) from error
    finally:
        for part in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):  # such as a path that leads through a file; told above
                aside.with_name(aside.name + part).unlink()


def _copy_file(file: Path, copy: Path) -> None:
    """Copy a file.

    Raises
    ------
    DiskFull, SystemFailure
        If it cannot be copied.
    """
    try:
        shutil.copyfile(file, copy)
    except OSError as error:
        raise translate(error) or _unwritable(error) from error


def _unwritable(error: OSError) -> SystemFailure:
    return SystemFailure(
        "the backup cannot be written or read", got=error, expected="a working disk", do="look at the disk, then retry"
    )
