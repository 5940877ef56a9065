"""`recollect evaluate`: replay a part of the log in time order, and measure a run beside the floors."""

from typing import Annotated, Final, Literal

import typer

from recollect.cli.measures import show_measures
from recollect.cli.options import AsJson, DataFolder, ProtocolName, RunFolder, WayName
from recollect.cli.output import show_json
from recollect.cli.progress import shown_progress

EXAMPLES: Final = """Examples:

recollect evaluate run data

recollect evaluate run data --protocol rella-ml1m --part valid --rows 5000 --json"""


def run(
    run_folder: RunFolder,
    data: DataFolder,
    *,
    protocol: ProtocolName = None,
    part: Annotated[
        Literal["valid", "test"], typer.Option("--part", help="The part to measure; choose anything only on valid.")
    ] = "valid",
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=0, help="Answer about N rows, of whole users; 0 for all.")
    ] = 0,
    way: WayName = None,
    as_json: AsJson = False,
) -> None:
    """Measure a run on a part of the log that it did not learn from, beside the floors."""
    from recollect.data.dataset import Dataset

    dataset = Dataset.load(data)

    from recollect.rank.assess import evaluate

    with shown_progress() as progress:
        found = evaluate(run_folder, dataset, protocol=protocol, part=part, rows=rows, way=way, progress=progress)
    if as_json:
        show_json(found.result.to_json())
    else:
        show_measures(found.result)
