"""`recollect bench`: how fast this machine does the main jobs, beside the ways that others would do them.

It decides which options a measurement has; what is measured stands in `recollect.bench`.
"""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from recollect.cli.output import say, show, show_table
from recollect.cli.progress import shown_progress

if TYPE_CHECKING:
    from recollect.bench.result import Part

EXAMPLES: Final = """Examples:

recollect bench score --backbone 10M

recollect bench tune --backbone models/small --json tune.json

recollect bench all --out bench --json bench.json

recollect bench all --quick"""

PARTS: Final = ("score", "tune", "append", "data")


def run(
    part: Annotated[
        Literal["score", "tune", "append", "data", "all"],
        typer.Argument(
            help="score: 100 candidates behind one trunk. tune: supervised labels per second. append: a new event, and "
            "the bytes kept per user. data: import, split and sampling of 25 million generated events."
        ),
    ],
    *,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="B",
            help="A shape with random weights (10M, 30M, 135M, 0.6B, 8B) or a model folder; else those promised.",
        ),
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where to compute.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, to see that all of it runs.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers and machine facts as JSON.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Keep each part as it ends; what stands there is not run again."),
    ] = None,
) -> None:
    """Measure speed, plain ways and ours in turn: scoring, tuning, a new event, the data path."""
    from recollect.bench.result import Asked
    from recollect.bench.suite import run_parts, write_report

    with shown_progress() as progress:
        asked = Asked(backbone=backbone, device=device, quick=quick)
        parts = run_parts(PARTS if part == "all" else [part], asked, out=out, progress=progress)
    for one in parts:
        _show(one)
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
