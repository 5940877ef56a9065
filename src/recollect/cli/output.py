"""What a command says: results on stdout, talk on stderr.

It decides that a result is either text for people or one JSON document, and that tables are plain: no colour and no
frame, so that they can be cut, compared and pasted.
"""

import io
import json
import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, cast

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 120
"""Width of text where stdout is no terminal, in characters."""


def say(message: str) -> None:
    """Write one line of talk to stderr."""
    print(message, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Write text to stdout."""
    print(text)


def show_json(value: Any) -> None:
    """Write one JSON document to stdout; not-a-number becomes null, since JSON has no word for it."""
    print(json.dumps(_without_nan(value), indent=2, ensure_ascii=False, allow_nan=False))


def show_table(rows: Iterable[Sequence[object]], *, header: Sequence[str] = (), title: str = "") -> None:
    """Write a table to stdout: the first column to the left, the others to the right if the table has a header.

    Parameters
    ----------
    rows
        Cells, shown by `str`; every row as long as the others.
    header
        Column names; without them the table is a list of facts, each with its name first.
    title
        A line above the table.
    """
    print(f"{title}\n" * bool(title) + _table(rows, header), end="")


def say_table(rows: Iterable[Sequence[object]]) -> None:
    """Write a table without a header to stderr."""
    print(_table(rows, ()), end="", file=sys.stderr, flush=True)


def _table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> str:
    table = Table(box=None, pad_edge=False, show_header=bool(header), header_style="")
    cells = [[str(cell) for cell in row] for row in rows]
    for number in range(max((len(row) for row in cells), default=len(header))):
        name = header[number] if header else ""
        table.add_column(name, justify="right" if header and number else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    return _rendered(table)


def _rendered(table: Table) -> str:
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _without_nan(inner) for key, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in cast("list[Any] | tuple[Any, ...]", value)]
    return value
