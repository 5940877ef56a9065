"""`recollect bench`: how fast this machine does the main jobs, beside the ways that others would do them.

It decides which options a measurement has; what is measured stands in `recollect.bench`.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from recollect.cli.output import say, show, show_table
from recollect.cli.progress import shown_progress

if TYPE_CHECKING:
    from recollect.bench.result import Part

HELP: Final = "Measure speed, plain ways and ours in turn: scoring, tuning, a new event, the data path."

EXAMPLES: Final = {
    "score": """Examples:

recollect bench score --backbone 10M

recollect bench score --backbone models/small --json score.json""",
    "tune": """Examples:

recollect bench tune --backbone 30M""",
    "append": """Examples:

recollect bench append --backbone 135M""",
    "data": """Examples:

recollect bench data --quick""",
    "all": """Examples:

recollect bench all --out bench --json bench.json

recollect bench all --quick""",
}

Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="B",
        help="A shape with random weights (10M, 30M, 135M, 0.6B, 8B) or a model folder; without it, those promised.",
    ),
]
Device = Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where to compute.")]
Quick = Annotated[bool, typer.Option("--quick", help="Small sizes, to see that all of it runs.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers and machine facts as JSON.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Keep each part as it ends; parts that stand there are not run again."),
]


def score(
    *,
    backbone: Backbone = None,
    device: Device = "cpu",
    quick: Quick = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Measure scoring: 100 candidates behind one trunk, against a prompt per candidate and an expanded cache."""
    _run(["score"], backbone=backbone, device=device, quick=quick, files=(json_file, out))


def tune(
    *,
    backbone: Backbone = None,
    device: Device = "cpu",
    quick: Quick = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Measure tuning: supervised labels per second, against a padded sample per label in a stock loop."""
    _run(["tune"], backbone=backbone, device=device, quick=quick, files=(json_file, out))


def append(
    *,
    backbone: Backbone = None,
    device: Device = "cpu",
    quick: Quick = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Measure a new event, against encoding the person's past anew; and the bytes kept per user."""
    _run(["append"], backbone=backbone, device=device, quick=quick, files=(json_file, out))


def data(*, quick: Quick = False, json_file: JsonFile = None, out: Out = None) -> None:
    """Measure import, split and sampling of a generated log of 25 million events: time, memory, linearity."""
    _run(["data"], backbone=None, device="cpu", quick=quick, files=(json_file, out))


def measure_all(
    *,
    backbone: Backbone = None,
    device: Device = "cpu",
    quick: Quick = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Measure all of it, part after part; with --out, one that was stopped goes on."""
    _run(["score", "tune", "append", "data"], backbone=backbone, device=device, quick=quick, files=(json_file, out))


def _run(
    names: Sequence[str],
    *,
    backbone: str | None,
    device: Literal["cpu", "cuda"],
    quick: bool,
    files: tuple[Path | None, Path | None],
) -> None:
    """Measure parts, show them, and write the JSON that was asked for."""
    from recollect.bench.result import Asked
    from recollect.bench.suite import run_parts, write_report

    json_file, out = files
    with shown_progress() as progress:
        asked = Asked(backbone=backbone, device=device, quick=quick)
        parts = run_parts(names, asked, out=out, progress=progress)
    for part in parts:
        _show(part)
    if json_file is not None:
        write_report(parts, json_file)
        say(f"written to {json_file}")


def _show(part: "Part") -> None:
    from recollect.bench import tables

    machine = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in part.machine.items())
    show_table(tables.row_cells(part.rows), header=tables.ROW_HEADER, title=f"{part.part}, {part.date}: {machine}\n")
    for line in tables.note_lines(part.rows):
        show(line)
    for group, times in groupby(part.times, key=lambda one: one.group):
        show("")
        show_table(tables.time_cells(list(times)), header=tables.TIME_HEADER, title=group)
    if part.facts:
        show("")
        show_table(tables.fact_cells(part.facts), header=("fact", ""))
    show("")
