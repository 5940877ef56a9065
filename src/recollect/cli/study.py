"""`recollect study`: tune and show methods in a grid, and read out what a paper would claim.

It decides which options a study has; what a study is stands in `recollect.studies`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from recollect.cli.options import AsJson, DataFolder, Overrides, PresetName, ProtocolName
from recollect.cli.output import show, show_json, show_table
from recollect.cli.progress import shown_progress
from recollect.cli.study_design import (
    Asked,
    Backbone,
    Methods,
    Out,
    PartName,
    PerUser,
    Question,
    Recipes,
    Runs,
    Seeds,
    choices_in,
    design_of,
    numbers_in,
)

if TYPE_CHECKING:
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
    "demonstrations": """Examples:

recollect study demonstrations data --out study --run run

recollect study demonstrations data --out study --run run --counts 4 --choices recent,effect --shared-accounts""",
    "controls": """Examples:

recollect study controls data --out study --recipe recicl --recipe tallrec --backbone models/small""",
    "efficiency": """Examples:

recollect study efficiency data --out study --recipe recicl --recipe stream --epochs 1,2,4""",
}


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
    methods = Methods(recipe or [], preset, backbone, override or [], [])
    borders = numbers_in(ends, option="--ends")

    from recollect.studies.periods import periods_study

    study = periods_study(count=count, ends=borders, recent=recent)
    _run(study, data, out=out, methods=methods, question=Question(seeds, rows, per_user), as_json=as_json)


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
    methods = Methods(recipe or [], preset, backbone, override or [], run or [])
    seconds = numbers_in(delays, option="--delays")

    from recollect.studies.delay import delay_study

    question = Question(seeds, rows, per_user, protocol, part)
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
    methods = Methods(recipe or [], preset, backbone, override or [], [])
    counts = numbers_in(sizes, option="--sizes")

    from recollect.studies.shots import shots_study

    question = Question(seeds, rows, per_user, protocol, part)
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
    methods = Methods(recipe or [], preset, backbone, override or [], run or [])
    solved = numbers_in(demonstrations, option="--demonstrations")
    events = numbers_in(shown, option="--shown")

    from recollect.studies.history import history_study

    question = Question(seeds, rows, per_user, protocol, part)
    study = history_study(demonstrations=solved, shown=events)
    _run(study, data, out=out, methods=methods, question=question, as_json=as_json)


def demonstrations(
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
    counts: Annotated[
        str, typer.Option("--counts", metavar="K,K", help="Numbers of demonstrations to show.")
    ] = "2,4,8,16",
    choices: Annotated[
        str, typer.Option("--choices", metavar="C,C", help="Ways of choosing them.")
    ] = "recent,similar,random,effect,rerank",
    shared: Annotated[
        bool, typer.Option("--shared-accounts", help="Ask about a log in which two persons share each account.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the same weights shown demonstrations that are recent, similar, random, or chosen by their effect."""
    methods = Methods(recipe or [], preset, backbone, override or [], run or [])
    numbers, ways = numbers_in(counts, option="--counts"), choices_in(choices, option="--choices")

    from recollect.studies.demonstrations import demonstrations_study

    question = Question(seeds, rows, per_user, protocol, part, shared_accounts=shared)
    study = demonstrations_study(counts=numbers, choices=ways)
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
    methods = Methods(recipe or [], preset, backbone, override or [], run or [])

    from recollect.studies.controls import controls_study

    question = Question(seeds, rows, per_user, protocol, part)
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
    methods = Methods(recipe or [], preset, backbone, override or [], [])
    lengths = numbers_in(epochs, option="--epochs") if epochs else ()

    from recollect.studies.efficiency import efficiency_study

    question = Question(seeds, rows, per_user, protocol, part)
    study = efficiency_study(epochs=lengths)
    _run(study, data, out=out, methods=methods, question=question, as_json=as_json)


def _run(study: "Study", data: Path, *, out: Path, methods: Methods, question: Question, as_json: bool) -> None:
    """Answer the question and show what was found."""
    from recollect.data.dataset import Dataset
    from recollect.studies.study import run_study

    design = design_of(Dataset.load(data), methods, question)
    with shown_progress() as progress:
        result = run_study(study, design, out=out, progress=progress)
    if as_json:
        show_json(result.to_json())
    else:
        _show(result)
        show(f"\n{out / 'study.html'} shows it as a page, {out / 'study.json'} holds every number")


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
