"""Arguments and options that several commands share, so that one name means one thing everywhere."""

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="Folder made by `recollect import`.")]

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder made by `recollect tune`.")]

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]

ProtocolName = Annotated[
    str | None,
    typer.Option("--protocol", metavar="P", help="How the log is split: time, rella-ml1m or collm-ml1m."),
]

WayName = Annotated[
    str | None,
    typer.Option(
        "--way",
        metavar="W",
        help="How the model is run, such as compact or compact-int8; see recollect doctor. Without it, an exact one.",
    ),
]

PresetName = Annotated[
    str | None,
    typer.Option("--preset", metavar="P", help="A preset of the recipe, such as small."),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the recipe; may be given again."),
]
