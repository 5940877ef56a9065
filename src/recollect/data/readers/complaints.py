"""Bad rows: count them, keep the first few, or stop at the first.

It decides what `strict` means: the first bad row of any file of the source ends the import, with its line number.
"""

from __future__ import annotations

from recollect.data.facts import BadLine
from recollect.errors import BadRow

KEPT = 5


class Complaints:
    """Collect bad rows while a source is read.

    Parameters
    ----------
    strict : bool
        Whether the first one ends the import.
    """

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.first: list[BadLine] = []
        self.counts: dict[str, int] = {}

    def add(self, file: str, count: int, first: list[BadLine]) -> None:
        """Add the bad rows of a frame: how many, and the first few in file order.

        Raises
        ------
        BadRow
            If the import is strict.
        """
        if not count:
            return
        if self.strict:
            worst = first[0]
            raise BadRow(
                f"a row of {file} that cannot be used",
                line=worst.line,
                got=f"line {worst.line}: {worst.reason}",
                expected="clean rows, since the import is strict",
                do="mend the row, or import without strict to skip such rows",
            )
        self.counts[file] = self.counts.get(file, 0) + count
        self.first.extend(first[: KEPT - len(self.first)])
