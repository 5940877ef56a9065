"""Write a folder aside and rename it into place, so that it is there whole or not at all.

It decides that a folder of ours is known by its card (a file such as `dataset.json`): one with a card may be
replaced, an empty one too, anything else is left alone; and that whoever may read one file of it may read all.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from recollect.errors import SystemFailure, UsageError, translate


@contextmanager
def written_aside(folder: Path, *, card: str) -> Generator[Path]:
    """Give a new folder to write into, and put it in place of `folder` when the block ends well.

    Parameters
    ----------
    folder : Path
        Where the result shall stand.
    card : str
        Name of the file that marks a folder as one of ours.

    Raises
    ------
    UsageError
        If something else stands in that place.
    DiskFull, SystemFailure
        If writing fails. Then, and if the block raises or is interrupted, nothing of it stays.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / card).is_file()):
        raise UsageError(
            "the place is taken", got=folder, expected=f"a free place or a folder with {card}", do="give another folder"
        )
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.aside")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        _open_as_usual(aside)
        _put(aside, folder)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise translate(error) or SystemFailure(
            "the output could not be written", got=error, expected="a place to write", do="look at the disk, then retry"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _open_as_usual(folder: Path) -> None:
    """Give every file in a folder the rights of one that is made there now: libraries may write theirs for us alone."""
    sample = folder / ".rights"
    sample.touch()
    usual = stat.S_IMODE(sample.stat().st_mode)
    sample.unlink()
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(usual)


def _put(aside: Path, folder: Path) -> None:
    if not folder.exists():
        aside.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
