"""Sources and plans: where the files are, and how a family of formats wants them read.

It decides the seam between families and the import: a family looks at a `Place` and returns a `Plan`, or None if the
content is not its own. A new format is one function that returns a plan, named in the table of the package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from recollect.data.readers.cells import Columns
from recollect.data.readers.tables import Table
from recollect.data.readers.text import first_lines
from recollect.data.readers.texts import SideTable
from recollect.errors import SourceNotFound


@dataclass(frozen=True, slots=True)
class Place:
    """Hold a source: a folder, and the file in it that was named, if one was.

    Parameters
    ----------
    folder : Path
        Where the files are.
    named : Path, optional
        The file of events, if the source is a file.
    """

    folder: Path
    named: Path | None = None

    @classmethod
    def of(cls, source: Path) -> Place:
        """Look at a path.

        Raises
        ------
        SourceNotFound
            If there is nothing.
        """
        if source.is_dir():
            return cls(source)
        if source.is_file():
            return cls(source.parent, source)
        raise SourceNotFound("no such source", got=source, expected="a file or a folder", do="check the path")

    @property
    def name(self) -> str:
        """Name of the source, without its path."""
        return (self.named or self.folder.resolve()).name

    def beside(self, name: str) -> Path | None:
        """Return the file of that name, if there is one."""
        path = self.folder / name
        return path if path.is_file() else None

    def events(self, usual_name: str) -> Path | None:
        """Return the file of events: the one that was named, else the one with the family's usual name."""
        return self.named or self.beside(usual_name)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Plan:
    """Say how a source is read.

    Parameters
    ----------
    format : str
        Name of the format.
    events : Table
        The rows of the log.
    columns : mapping of str to str
        The source's names of user, item, time and, where there are any, value, part, kind, session, title, genres,
        year.
    rule : str, optional
        The label rule of the field; None if the values must show it.
    items, users : SideTable, optional
        Texts and attributes.
    """

    format: str
    events: Table
    columns: Columns
    rule: str | None = None
    items: SideTable | None = None
    users: SideTable | None = None


def looks_like(path: Path, pattern: str) -> bool:
    """Tell whether most of a text file's first lines match a pattern; some may be bad rows."""
    lines = first_lines(path)
    return bool(lines) and 2 * sum(re.fullmatch(pattern, line) is not None for line in lines) > len(lines)
