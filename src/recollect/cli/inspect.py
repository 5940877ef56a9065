"""`recollect inspect`: what a data folder holds."""

from collections.abc import Mapping
from typing import Any, Final

from recollect.cli.options import AsJson, DataFolder
from recollect.cli.output import show, show_json, show_table

EXAMPLES: Final = """Examples:

recollect inspect data

recollect inspect data --json"""

PARTS: Final = ("train", "valid", "test")


def run(data: DataFolder, *, as_json: AsJson = False) -> None:
    """Show what a log holds: counts, span, labels, events per user, ties, splits."""
    from recollect.cli.description import describe
    from recollect.data.dataset import Dataset

    dataset = Dataset.load(data)
    description = describe(dataset)
    if as_json:
        show_json(description)
        return
    for line in dataset.facts.lines():
        show(line)
    show("")
    _show(description)


def _show(description: Mapping[str, Any]) -> None:
    span = description["span"]
    show_table(
        [
            ("span", f"{span['from']} to {span['to']} UTC" if span else "no events"),
            ("events that share user and second", _percent(description["ties_share"])),
            ("user attributes", ", ".join(description["user_attributes"]) or "none"),
        ]
    )
    quantiles = description["events_per_user"]
    if quantiles:
        show("")
        show_table([("events per user", *quantiles.values())], header=("", *quantiles))
    show("")
    splits = description["splits"]
    fitting = [(name, *(f"{cut[part]:,}" for part in PARTS)) for name, cut in splits.items() if cut["fits"]]
    show_table(fitting, header=("protocol", *PARTS))
    for name, cut in splits.items():
        if cut["fits"]:
            for note in cut["notes"]:
                show(f"{name}: {note}")
        else:
            show(f"{name}: not for this log ({cut['reason']})")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
