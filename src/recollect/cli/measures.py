"""How measures are shown: the table of `evaluate` and of `demo`. It decides that every value stands by its interval."""

from typing import TYPE_CHECKING

from recollect.cli.output import show_table

if TYPE_CHECKING:
    from recollect.evaluation.result import Cell, Evaluation


def show_measures(evaluation: "Evaluation") -> None:
    """Write the table of an evaluation to stdout: the floors first, the run last; a star marks the best value."""
    from recollect.evaluation.result import TITLES, table

    rows = [(row.name, *map(_text, row.cells), f"{row.coverage:,}") for row in table(evaluation)]
    title = (
        f"{evaluation.protocol}, {evaluation.part}: {evaluation.rows:,} rows in {evaluation.seconds:.1f} s; "
        "below each value its 95 % interval by user; * best"
    )
    show_table(rows, header=("", *TITLES.values(), "users in UAUC"), title=title)


def _text(cell: "Cell") -> str:
    value = f"* {cell.value}" if cell.best else cell.value
    return f"{value}\n{cell.interval}" if cell.interval else value
