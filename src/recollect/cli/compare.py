"""`recollect compare`: is one run better than another on the same rows?"""

from pathlib import Path
from typing import Annotated, Final

import typer

from recollect.cli.options import AsJson, DataFolder
from recollect.cli.output import show_json, show_table

EXAMPLES: Final = """Examples:

recollect compare run-a run-b data

recollect compare run-a run-b data --json"""

HEADER: Final = ("", "RUN_A", "RUN_B", "difference", "95 % interval", "p")


def run(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of the first run, already evaluated.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of the second run, already evaluated.")],
    data: DataFolder,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the rows that both were evaluated on, by a paired user bootstrap."""
    from recollect.data.dataset import Dataset

    dataset = Dataset.load(data)

    from recollect.rank.assess import compare

    comparison = compare(run_a, run_b, dataset)
    if as_json:
        show_json(comparison.to_json())
    else:
        show_table(comparison.rows(), header=HEADER)
