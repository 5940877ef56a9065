"""`recollect import`: files as their publishers hand them out, to a data folder.

It decides nothing: the readers detect the format and count what they skip, `Dataset.save` writes aside and renames.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from recollect.cli.output import show

EXAMPLES: Final = """Examples:

recollect import ml-latest-small --out data

recollect import ratings.csv --out data --like "rating>=4" --strict"""


def run(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder with the log.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DATA", help="Folder to write.")],
    file_format: Annotated[
        str | None, typer.Option("--format", metavar="F", help="Format of SOURCE; detected without it.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="EXPR", help='Which events are likes, such as "rating>=4".'),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad row; else bad rows are counted and skipped.")
    ] = False,
) -> None:
    """Read a log in any known format, and write a data folder."""
    from recollect.data.readers import read

    dataset, facts = read(source, format=file_format, like=like, strict=strict)
    dataset.save(out)
    for line in facts.lines():
        show(line)
