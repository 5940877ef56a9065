"""`recollect tune`: a log to a run. It decides nothing: the recipe does.

`--backbone` is short for two values of the recipe, and replaces whatever backbone recipe and preset name.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from recollect.cli.moment import parse_time
from recollect.cli.options import AsJson, DataFolder, Overrides, PresetName, ProtocolName
from recollect.cli.output import show, show_json, show_table
from recollect.cli.progress import shown_progress
from recollect.errors import UsageError

if TYPE_CHECKING:
    from recollect.data.dataset import Dataset
    from recollect.data.splits import Split
    from recollect.recipe import Recipe

EXAMPLES: Final = """Examples:

recollect tune data --out run

recollect tune data --out run --preset tiny --until 2013-09-01 --set tuning.epochs=3

recollect tune data --recipe recicl --backbone Qwen/Qwen3-0.6B --rows 4096 --dry-run"""


def run(
    data: DataFolder,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Folder for the run; a stopped run goes on. Left out in a dry run."),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="R", help="Name of a recipe, or its TOML file.")
    ] = "stream",
    preset: PresetName = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="MODEL", help="A causal language model: a name of the hub, or a folder."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=0, help="Learn from N rows only, drawn by the seed.")
    ] = None,
    protocol: ProtocolName = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Learn from events before TIME: unix seconds or ISO date (UTC)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")] = 0,
    override: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell tokens, memory and hours; start and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tune a model on a log, and write a run: recipe, weights, tokenizer.

    Raises
    ------
    UsageError
        If there is no folder for the run, the split is told twice, or a time or a value of the recipe is none.
    """
    _require_sense(out=out, dry_run=dry_run, protocol=protocol, until=until)
    border = None if until is None else parse_time(until, option="--until")

    from recollect.data import protocols, splits
    from recollect.data.dataset import Dataset
    from recollect.recipe import load_recipe

    chosen = load_recipe(recipe, preset=preset, overrides=[*shorthands(backbone, rows), *(override or [])])
    splitter = protocols.resolve(protocol or "time")
    dataset = Dataset.load(data)
    split = splitter(dataset) if border is None else splits.split_until(dataset.log, border)
    if out is None or dry_run:
        _forecast(dataset, chosen, split=split, seed=seed, as_json=as_json)
    else:
        _tune(dataset, chosen, out=out, split=split, seed=seed, as_json=as_json)


def shorthands(backbone: str | None, rows: int | None) -> list[str]:
    """Write `--backbone` and `--rows` as values to set; the first one empties the table that it replaces.

    Examples
    --------
    >>> shorthands("Qwen/Qwen3-0.6B", 64)
    ['backbone=0', 'backbone.kind=pretrained', 'backbone.name="Qwen/Qwen3-0.6B"', 'tuning.rows=64']
    """
    values = [] if rows is None else [f"tuning.rows={rows}"]
    if backbone is None:
        return values
    name = str(Path(backbone).resolve()) if Path(backbone).is_dir() else backbone
    return ["backbone=0", "backbone.kind=pretrained", f"backbone.name={json.dumps(name)}", *values]


def _require_sense(*, out: Path | None, dry_run: bool, protocol: str | None, until: str | None) -> None:
    """Check options that depend on each other.

    Raises
    ------
    UsageError
        If they contradict each other.
    """
    if out is None and not dry_run:
        raise UsageError(
            what="no folder to write the run to",
            got="neither --out nor --dry-run",
            expected="one of them",
            do="give --out RUN, or --dry-run to see first what it takes",
        )
    if protocol is not None and until is not None:
        raise UsageError(
            what="--protocol and --until both say how to split the log",
            got=f"--protocol {protocol} and --until {until}",
            expected="one of them",
            do="leave one out",
        )


def _tune(dataset: "Dataset", recipe: "Recipe", *, out: Path, split: "Split", seed: int, as_json: bool) -> None:
    from recollect.tuning.parallel import rank
    from recollect.tuning.run import tune

    with shown_progress() as progress:
        tuned = tune(dataset, out=out, recipe=recipe, split=split, seed=seed, progress=progress)
    if rank() > 0:  # one of several processes; the main one tells
        return
    if as_json:
        show_json({"run": str(out), **tuned.card, "recipe": recipe.name, "notes": split.notes})
        return
    facts = {"run": out, "recipe": recipe.name, "split": split.name, "rows learned from": f"{tuned.card['rows']:,}"}
    show_table([*facts.items(), ("seed", seed)])
    for note in split.notes:
        show(f"note: {note}")


def _forecast(dataset: "Dataset", recipe: "Recipe", *, split: "Split", seed: int, as_json: bool) -> None:
    from recollect.tuning.forecast import forecast
    from recollect.tuning.outline import outline

    found = forecast(outline(dataset, recipe, split=split, seed=seed))
    if as_json:
        show_json(found.to_json())
    else:
        show_table(found.facts())
