"""`recollect study`: tune and show methods in a grid, and read out what a paper would claim.

It decides which options a study has; what a study is stands in `recollect.studies`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from recollect.cli.options import AsJson, DataFolder, Overrides, PresetName, ProtocolName
from recollect.cli.output import show, show_json, show_table
from recollect.cli.progress import shown_progress
from recollect.cli.tune import shorthands
from recollect.errors import UsageError

if TYPE_CHECKING:
    from recollect.data.dataset import Dataset
    from recollect.studies.design import Arm, Design
    from recollect.studies.result import StudyResult
    from recollect.studies.study import Study

HELP: Final = "Compare methods in a grid: by age, delay, rows learned from, what is shown, and cost."

EXAMPLES: Final = {
    "periods": """Examples:

recollect study periods data --out study --recipe recicl --recipe tallrec --backbone models/small --seeds 0,1,2

recollect study periods data --out study --recipe recicl --recipe tallrec --ends 3,7 --recent 20000""",
    "delay": """Examples:

recollect study delay data --out study --recipe recicl --backbone models/small

recollect study delay data --out study --run run --delays 0,60,3600,86400""",
    "shots": """Examples:

recollect study shots data --out study --recipe rella --backbone models/small --sizes 256,1024,4096""",
    "history": """Examples:

recollect study history data --out study --run run

recollect study history data --out study --recipe rella --demonstrations 0 --shown 5,10,20,40""",
    "controls": """Examples:

recollect study controls data --out study --recipe recicl --recipe tallrec --backbone models/small""",
    "efficiency": """Examples:

recollect study efficiency data --out study --recipe recicl --recipe stream --epochs 1,2,4""",
}

Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder of the study; one that was stopped goes on there.")
]
Recipes = Annotated[
    list[str] | None,
    typer.Option("--recipe", metavar="R", help="A method: name of a recipe, or its TOML file; may be given again."),
]
Runs = Annotated[
    list[Path] | None,
    typer.Option("--run", metavar="RUN", help="A run that is there already, as a method; may be given again."),
]
Backbone = Annotated[
    str | None,
    typer.Option("--backbone", metavar="MODEL", help="A causal language model for all recipes of the block layout."),
]
Seeds = Annotated[str, typer.Option("--seeds", metavar="N,N", help="Seeds of the tunings; numbers are their means.")]
Asked = Annotated[int, typer.Option("--rows", metavar="N", min=1, help="Answer about N rows.")]
PerUser = Annotated[
    int, typer.Option("--per-user", metavar="N", min=0, help="Ask at most N rows of a user, of more users; 0 for all.")
]
PartName = Annotated[
    Literal["valid", "test"], typer.Option("--part", help="The part to measure; choose anything only on valid.")
]


@dataclass(frozen=True, slots=True)
class _Methods:
    """The options that say which methods are compared."""

    recipes: list[str]
    preset: str | None
    backbone: str | None
    override: list[str]
    runs: list[Path]


@dataclass(frozen=True, slots=True)
class _Question:
    """The options that say what they are asked."""

    seeds: str
    rows: int
    per_user: int
    protocol: str | None = None
    part: Literal["valid", "test"] = "valid"


def periods(
    data: DataFolder,
    *,
    out: Out,
    recipe: Recipes = None,
    preset: PresetName = None,
    backbone: Backbone = None,
    override: Overrides = None,
    seeds: Seeds = "0",
    rows: Asked = 10_000,
    per_user: PerUser = 0,
    count: Annotated[
        int, typer.Option("--periods", metavar="N", min=2, help="Cut the log into N periods of equal size.")
    ] = 10,
    ends: Annotated[str, typer.Option("--ends", metavar="T,T", help="Tune up to the end of these periods.")] = "3,7",
    recent: Annotated[
        int, typer.Option("--recent", metavar="N", min=0, help="Learn from the last N rows only; 0 for all.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure what a model loses that is not tuned again: every tuning asked about every later period."""
    methods = _Methods(recipe or [], preset, backbone, override or [], [])
    borders = _numbers(ends, option="--ends")

    from recollect.studies.periods import periods_study

    study = periods_study(count=count, ends=borders, recent=recent)
    _run(study, data, out=out, methods=methods, question=_Question(seeds, rows, per_user), as_json=as_json)


def delay(
    data: DataFolder,
    *,
    out: Out,
    recipe: Recipes = None,
    run: Runs = None,
    preset: PresetName = None,
    backbone: Backbone = None,
    override: Overrides = None,
    seeds: Seeds = "0",
    rows: Asked = 10_000,
    per_user: PerUser = 0,
    protocol: ProtocolName = None,
    part: PartName = "valid",
    delays: Annotated[
        str, typer.Option("--delays", metavar="S,S", help="Seconds until a label is known.")
    ] = "0,3600,86400",
    as_json: AsJson = False,
) -> None:
    """Measure the same weights when labels arrive late."""
    methods = _Methods(recipe or [], preset, backbone, override or [], run or [])
    seconds = _numbers(delays, option="--delays")

    from recollect.studies.delay import delay_study

    question = _Question(seeds, rows, per_user, protocol, part)
    _run(delay_study(delays=seconds), data, out=out, methods=methods, question=question, as_json=as_json)


def shots(
    data: DataFolder,
    *,
    out: Out,
    recipe: Recipes = None,
    preset: PresetName = None,
    backbone: Backbone = None,
    override: Overrides = None,
    seeds: Seeds = "0",
    rows: Asked = 10_000,
    per_user: PerUser = 0,
    protocol: ProtocolName = None,
    part: PartName = "valid",
    sizes: Annotated[
        str,
        typer.Option("--sizes", metavar="N,N", help="Rows to learn from, as far as there are so many."),
    ] = "64,256,1024,4096,16384,65536",
    as_json: AsJson = False,
) -> None:
    """Measure quality by rows learned from, beside conventional predictors fitted on the same rows."""
    methods = _Methods(recipe or [], preset, backbone, override or [], [])
    counts = _numbers(sizes, option="--sizes")

    from recollect.studies.shots import shots_study

    question = _Question(seeds, rows, per_user, protocol, part)
    _run(shots_study(sizes=counts), data, out=out, methods=methods, question=question, as_json=as_json)


def history(
    data: DataFolder,
    *,
    out: Out,
    recipe: Recipes = None,
    run: Runs = None,
    preset: PresetName = None,
    backbone: Backbone = None,
    override: Overrides = None,
    seeds: Seeds = "0",
    rows: Asked = 10_000,
    per_user: PerUser = 0,
    protocol: ProtocolName = None,
    part: PartName = "valid",
    demonstrations: Annotated[
        str, typer.Option("--demonstrations", metavar="K,K", help="Numbers of demonstrations to show.")
    ] = "0,1,2,4,8",
    shown: Annotated[
        str, typer.Option("--shown", metavar="K,K", help="Numbers of history events to show.")
    ] = "0,2,5,10,20,40",
    as_json: AsJson = False,
) -> None:
    """Measure the same weights shown more or fewer demonstrations and events, recent or retrieved."""
    methods = _Methods(recipe or [], preset, backbone, override or [], run or [])
    solved = _numbers(demonstrations, option="--demonstrations")
    events = _numbers(shown, option="--shown")

    from recollect.studies.history import history_study

    question = _Question(seeds, rows, per_user, protocol, part)
    study = history_study(demonstrations=solved, shown=events)
    _run(study, data, out=out, methods=methods, question=question, as_json=as_json)


def controls(
    data: DataFolder,
    *,
    out: Out,
    recipe: Recipes = None,
    run: Runs = None,
    preset: PresetName = None,
    backbone: Backbone = None,
    override: Overrides = None,
    seeds: Seeds = "0",
    rows: Asked = 10_000,
    per_user: PerUser = 0,
    protocol: ProtocolName = None,
    part: PartName = "valid",
    added: Annotated[
        int,
        typer.Option("--added", metavar="K", min=1, help="Demonstrations shown to a model that was tuned without."),
    ] = 4,
    as_json: AsJson = False,
) -> None:
    """Measure the same weights with one thing broken: labels, titles, events, demonstrations."""
    methods = _Methods(recipe or [], preset, backbone, override or [], run or [])

    from recollect.studies.controls import controls_study

    question = _Question(seeds, rows, per_user, protocol, part)
    study = controls_study(demonstrations=added)
    _run(study, data, out=out, methods=methods, question=question, as_json=as_json)


def efficiency(
    data: DataFolder,
    *,
    out: Out,
    recipe: Recipes = None,
    preset: PresetName = None,
    backbone: Backbone = None,
    override: Overrides = None,
    seeds: Seeds = "0",
    rows: Asked = 10_000,
    per_user: PerUser = 0,
    protocol: ProtocolName = None,
    part: PartName = "valid",
    epochs: Annotated[
        str, typer.Option("--epochs", metavar="N,N", help="Lengths of tuning; without it, that of the recipe.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Measure quality beside what it costs: operations of tuning, tokens and milliseconds per answer."""
    methods = _Methods(recipe or [], preset, backbone, override or [], [])
    lengths = _numbers(epochs, option="--epochs") if epochs else ()

    from recollect.studies.efficiency import efficiency_study

    question = _Question(seeds, rows, per_user, protocol, part)
    study = efficiency_study(epochs=lengths)
    _run(study, data, out=out, methods=methods, question=question, as_json=as_json)


def _run(study: "Study", data: Path, *, out: Path, methods: _Methods, question: _Question, as_json: bool) -> None:
    """Answer the question and show what was found."""
    from recollect.data.dataset import Dataset
    from recollect.studies.study import run_study

    design = _design(Dataset.load(data), methods, question)
    with shown_progress() as progress:
        result = run_study(study, design, out=out, progress=progress)
    if as_json:
        show_json(result.to_json())
    else:
        _show(result)
        show(f"\n{out / 'study.html'} shows it as a page, {out / 'study.json'} holds every number")


def _design(dataset: "Dataset", methods: _Methods, question: _Question) -> "Design":
    from recollect.data.protocols import resolve
    from recollect.rank.assess import split_of
    from recollect.run.tuned import TunedModel
    from recollect.studies.design import Arm, Design

    arms = [*map(Arm.of_run, methods.runs), *(_arm(recipe, methods) for recipe in methods.recipes)]
    if methods.runs:
        split = split_of(TunedModel.load(methods.runs[0]), dataset, protocol=question.protocol)
    else:
        split = resolve(question.protocol or "time")(dataset)
    return Design(
        dataset, tuple(arms), split, part=question.part, seeds=_numbers(question.seeds, option="--seeds"),
        rows=question.rows,
    )  # fmt: skip


def _arm(recipe: str, methods: _Methods) -> "Arm":
    """Make the arm of a recipe; a language model is set where its layout is one of text."""
    from recollect.prompt.block import BlockSettings
    from recollect.recipe import load_recipe
    from recollect.studies.design import Arm

    plain = load_recipe(recipe, preset=methods.preset)
    backbone = shorthands(methods.backbone, None) if isinstance(plain.layout, BlockSettings) else []
    return Arm(Path(recipe).stem, recipe, methods.preset, (*backbone, *methods.override))


def _show(result: "StudyResult") -> None:
    from recollect.evaluation.result import TITLES
    from recollect.studies import tables

    for metric in ("auc", "uauc"):
        title = f"{result.title}: {TITLES[metric]}, below each value its 95 % interval by user"
        show_table(tables.matrix(result, metric), header=tables.matrix_header(result), title=title)
        show("")
    show_table(tables.costs(result), header=tables.COST_HEADER, title="What it cost, means over seeds")
    for kind in dict.fromkeys(one.kind for one in result.contrasts):
        chosen = [one for one in result.contrasts if one.kind == kind]
        show_table(tables.contrast_rows(chosen), header=tables.CONTRAST_HEADER, title=f"\nDifferences: {kind}")
    for note in result.notes:
        show(f"note: {note}")


def _numbers(text: str, *, option: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them.

    Raises
    ------
    UsageError
        If something else stands there.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (-1,)
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise UsageError(
            f"{option} is no list of numbers", got=text, expected="such as 0,1,2, each once", do="separate with commas"
        )
    return numbers
