"""`recollect tune`: a log to a run. It decides nothing: the recipe does."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from recollect.cli.moment import parse_time
from recollect.cli.options import DataFolder, ProtocolName
from recollect.cli.output import show, show_table
from recollect.cli.progress import shown_progress
from recollect.errors import UsageError

EXAMPLES: Final = """Examples:

recollect tune data --out run

recollect tune data --out run --preset tiny --until 2013-09-01 --set tuning.epochs=3"""


def run(
    data: DataFolder,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder for the run; a stopped run goes on.")],
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="R", help="Name of a recipe, or its TOML file.")
    ] = "stream",
    preset: Annotated[
        Literal["tiny", "nano", "small"] | None,
        typer.Option("--preset", help="Size of the model; without it, what the recipe says."),
    ] = None,
    protocol: ProtocolName = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Learn from events before TIME: unix seconds or ISO date (UTC)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")] = 0,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the recipe; may be given again."),
    ] = None,
) -> None:
    """Tune a model on a log, and write a run: recipe, weights, tokenizer.

    Raises
    ------
    UsageError
        If the split is told twice, or a time or a value of the recipe is none.
    """
    if protocol is not None and until is not None:
        raise UsageError(
            what="--protocol and --until both say how to split the log",
            got=f"--protocol {protocol} and --until {until}",
            expected="one of them",
            do="leave one out",
        )
    border = None if until is None else parse_time(until, option="--until")

    from recollect.data import protocols, splits
    from recollect.data.dataset import Dataset
    from recollect.recipe import load_recipe
    from recollect.tuning.run import tune

    chosen = load_recipe(recipe, preset=preset, overrides=override or [])
    splitter = protocols.resolve(protocol or "time")
    dataset = Dataset.load(data)
    split = splitter(dataset) if border is None else splits.split_until(dataset.log, border)
    with shown_progress() as progress:
        tune(dataset, out=out, recipe=chosen, split=split, seed=seed, progress=progress)
    show_table(
        [
            ("run", out),
            ("recipe", recipe),
            ("split", split.name),
            ("rows learned from", f"{len(split.train):,}"),
            ("seed", seed),
        ]
    )
    for note in split.notes:
        show(f"note: {note}")
