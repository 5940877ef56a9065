"""`recollect demos`: what solved examples do to a model, for one person, and whether a model can be asked.

It decides that every report compares the two layouts, as measured and as served, and that a model to verify is a run
folder or whatever `transformers` can load.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from recollect.cli.options import AsJson, DataFolder, RunFolder
from recollect.cli.output import say, show, show_json, show_table
from recollect.errors import ModelError, UsageError

if TYPE_CHECKING:
    from recollect.model.dual import Identity
    from recollect.model.language_model import LanguageModel

HELP: Final = "Measure what demonstrations do for a person, and watch how they are chosen."

EXAMPLES: Final = {
    "report": """Examples:

recollect demos report run data --user 42

recollect demos report run data --user 42 --exact --top 10 --html report.html""",
    "verify": """Examples:

recollect demos verify run

recollect demos verify Qwen/Qwen3-0.6B --json""",
    "watch": """Examples:

recollect demos watch run data --user 42 --events 20

recollect demos watch run data --user 42 --json""",
}

CLOSE: Final = 1e-5
"""How far the two computations may differ in float32."""

UserId = Annotated[str, typer.Option("--user", metavar="ID", help="The user, as named in the log.")]


def _in_a_folder(page: Path | None) -> Path | None:
    """Refuse a page that could not be written, before anything is measured.

    Raises
    ------
    UsageError
        If its folder is not there.
    """
    if page is not None and not page.absolute().parent.is_dir():
        raise UsageError(
            "no folder for the page",
            got=page,
            expected=f"a file in a folder that is there; {page.absolute().parent} is not",
            do="make the folder, or name another file",
        )
    return page


Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with a plot, too.", callback=_in_a_folder),
]


def report(
    run_folder: RunFolder,
    data: DataFolder,
    *,
    user: UserId,
    exact: Annotated[
        bool, typer.Option("--exact", help="Measure each alone and left out too: one more pass for each.")
    ] = False,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="List the N of largest effect, up or down; 0 for all.")
    ] = 0,
    as_json: AsJson = False,
    html: Page = None,
) -> None:
    """Show what each of a person's demonstrations does to the answers already known, in nats.

    Raises
    ------
    UsageError
        If the run shows no demonstrations, or too little is known of the person.
    ModelError
        If the model cannot measure demonstrations.
    """
    from recollect.cli import demos_tables as tables
    from recollect.cli.demos_person import Person

    person = Person.load(run_folder, data, user)
    found, layouts = person.report(exact=exact), person.layouts()
    lines = found.strongest(top) if top else found.lines
    facts = [*tables.set_rows(found.whole), *tables.layout_rows(layouts)]
    warnings = [*found.warnings, *filter(None, [layouts.warning])]
    if html is not None:
        from recollect.cli.demos_page import report_page
        from recollect.evaluation.page import write_aside

        title = f"Demonstrations of {user}"
        write_aside(html, report_page(lines, facts, warnings, title=title, note=person.note))
    if as_json:
        show_json({"user": user, **found.to_json(top), "layouts": layouts.to_json(), "warnings": warnings})
        return
    show_table(facts)
    show("")
    header, rows = tables.line_rows(lines, wide=False)
    show_table(rows, header=header)
    for warning in warnings:
        show(f"warning: {warning}")
    say(person.note)


def watch(
    run_folder: RunFolder,
    data: DataFolder,
    *,
    user: UserId,
    events: Annotated[
        int, typer.Option("--events", metavar="N", min=1, help="Replay the last N events of the user.")
    ] = 20,
    as_json: AsJson = False,
    html: Page = None,
) -> None:
    """Replay a person's last events: which demonstrations came and went, and what they were worth."""
    from recollect.cli import demos_tables as tables
    from recollect.cli.demos_person import Person

    person = Person.load(run_folder, data, user)
    found = person.watch(events=events)
    if html is not None:
        from recollect.cli.demos_page import watch_page
        from recollect.evaluation.page import write_aside

        write_aside(html, watch_page(found, title=f"Demonstrations of {user}, event by event", note=person.note))
    if as_json:
        show_json({"user": user, **found.to_json()})
        return
    show_table(tables.watch_rows(found, wide=False), header=tables.WATCH_HEADER)
    show("")
    show_table(tables.watch_facts(found))
    say(person.note)


def verify(
    model: Annotated[
        str, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a causal language model by folder or name.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Check on a model that attention to demonstrations is a step of its dual model.

    Differences are relative where values exceed 1.

    Raises
    ------
    ModelError
        If the two differ by more than `CLOSE`, or the model's attention cannot be read.
    """
    from recollect.model.dual import TOKENS
    from recollect.model.dual import verify as verified

    loaded = _language_model(model)
    found = verified(loaded, tokens=min(TOKENS, loaded.span_limit))
    if as_json:
        show_json(_identity(found))
    else:
        _show_identity(found)
    worst = max(*found.layer_residuals, found.logits_residual)
    if not worst <= CLOSE:
        raise ModelError(
            "attention to demonstrations is not a step of the dual model here",
            got=f"a difference of {worst:.2g}",
            expected=f"at most {CLOSE:g} in float32",
            do="do not trust demonstration effects of this model; it computes attention in another way",
        )


def _language_model(model: str) -> "LanguageModel":
    """Load a run's model, or a model without answers of its own, to compute in float32.

    Raises
    ------
    ModelError
        If it cannot be loaded, or cannot show prompt trees.
    """
    from recollect.model.backbone import load_backbone
    from recollect.model.language_model import LanguageModel
    from recollect.model.settings import PretrainedBackbone
    from recollect.run.tuned import TunedModel

    if (Path(model) / "run.json").is_file():
        return TunedModel.load(Path(model)).language_model.float().eval()
    loaded = load_backbone(PretrainedBackbone(name=model, dtype="float32"))
    return LanguageModel(loaded.causal, answers=(0, 1)).eval()  # any two tokens: no answer is read


def _identity(found: "Identity") -> dict[str, Any]:
    return {
        "layer_residuals": list(found.layer_residuals),
        "logits_residual": found.logits_residual,
        "moved": found.moved,
        "in_context_gap": found.icl_gap,
    }


def _show_identity(found: "Identity") -> None:
    layers = [(f"layer {number}", f"{residual:.2e}") for number, residual in enumerate(found.layer_residuals)]
    show_table([*layers, ("logits", f"{found.logits_residual:.2e}")], header=("", "largest difference"))
    show("")
    show_table(
        [
            ("attention that moves to the demonstrations", f"{found.moved:.1%}"),
            ("logits move by up to", f"{found.icl_gap:.3g}"),
        ]
    )
