"""The grid of a study: cells, answered one after another, each at most once.

It decides the folder of a study, which is also how one that was stopped goes on:

    DIR/runs/<key>/            one run per recipe, tuning rows and seed; <key>.json beside it says what tuning took
    DIR/cells/<key>.parquet    what a method said about each row
    DIR/cells/<key>.json       its measures, written last: a cell with this file is done

A key is made of everything that decides an answer, the data and local models included, so that a folder may hold
several studies.

Dimension letters: R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from pydantic import BaseModel, ConfigDict, ValidationError

from recollect.data.dataset import Dataset
from recollect.evaluation.metrics import measure
from recollect.evaluation.page import write_aside
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.result import Number
from recollect.progress import SILENT, Progress
from recollect.studies.cost import TuningCost
from recollect.studies.keys import key_of, key_of_data
from recollect.studies.methods import Answered, Method
from recollect.studies.runs import Runs


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """Ask one method about some rows; `series` and `place` say where in the table the answer stands.

    Parameters
    ----------
    series : str
        Line of the table, curve of the plot.
    place : str
        Column of the table, place along the plot.
    seed : int
        Cells that differ in their seed alone are averaged.
    method : Method
        Who answers.
    rows : Int64[R]
        Rows of the log.
    floor : bool
        Whether this is a floor, not what the study is about.
    """

    series: str
    place: str
    seed: int
    method: Method
    rows: Int64[np.ndarray, " R"]
    floor: bool = False


class Record(BaseModel):
    """The measures of a cell, as its JSON keeps them; series, place and seed are those it was first asked under."""

    model_config = ConfigDict(frozen=True)

    series: str
    place: str
    seed: int
    auc: Number
    uauc: Number
    uauc_users: int
    log_loss: Number
    ece: Number
    rows: int
    seconds: float
    milliseconds_per_row: float
    tokens_per_row: float | None
    tuning: TuningCost | None


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """Hold a cell with what was said about its rows; answers of one key are one answer."""

    key: str
    cell: Cell
    record: Record
    predictions: Predictions


def answer_cells(cells: Sequence[Cell], dataset: Dataset, *, out: Path, progress: Progress = SILENT) -> list[Answer]:
    """Answer every cell that was not answered before, those of one run together.

    Parameters
    ----------
    cells
        The grid.
    dataset
        The log with its catalog.
    out
        Folder of the study.
    progress
        Is told what goes on, with the number of the cell.

    Returns
    -------
    list of Answer
        In the order of the cells.

    Raises
    ------
    RecollectError
        If a model cannot be tuned or read, or a file cannot be written.
    """
    data = key_of_data(dataset)
    runs = Runs(dataset, out / "runs", data=data)
    answers: dict[int, Answer] = {}
    for done, place in enumerate(_grouped(cells), start=1):
        cell = cells[place]
        key = key_of(data, cell.method.identity, cell.rows)
        file = out / "cells" / f"{key}.json"
        record = _kept(file)
        if record is None:
            numbered = _Numbered(progress, f"cell {done} of {len(cells)}, {cell.series}, {cell.place}")
            record = _keep(file, cell, cell.method.answer(cell.rows, runs=runs, progress=numbered))
        answers[place] = Answer(key, cell, record, Predictions.load(file.with_suffix(".parquet")))
    return [answers[place] for place in range(len(cells))]


def _grouped(cells: Sequence[Cell]) -> list[int]:
    """Order the cells so that those of one group stand together: one model is held at a time."""
    first: dict[str, int] = {}
    for place, cell in enumerate(cells):
        first.setdefault(cell.method.group, place)
    return sorted(range(len(cells)), key=lambda place: first[cells[place].method.group])


def _kept(file: Path) -> Record | None:
    """Read the measures of a cell that is done; None if it is not, or if another version wrote them otherwise."""
    if not (file.is_file() and file.with_suffix(".parquet").is_file()):
        return None
    try:
        return Record.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError:
        return None


def _keep(file: Path, cell: Cell, answered: Answered) -> Record:
    """Write predictions, then the measures, whose file says that the cell is done."""
    record = Record.model_validate(
        {
            "series": cell.series,
            "place": cell.place,
            "seed": cell.seed,
            **asdict(measure(answered.predictions)),
            "seconds": answered.seconds,
            "milliseconds_per_row": 1000 * answered.seconds / len(answered.predictions),
            "tokens_per_row": answered.tokens,
            "tuning": answered.tuning,
        }
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    answered.predictions.save(file.with_suffix(".parquet"))
    write_aside(file, record.model_dump_json(indent=2) + "\n")
    return record


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A progress that says which cell the work belongs to."""

    inner: Progress
    cell: str

    def start(self, label: str, total: int) -> None:
        self.inner.start(f"{self.cell}: {label}", total)

    def advance(self, done: int, **facts: float) -> None:
        self.inner.advance(done, **facts)

    def finish(self, note: str = "") -> None:
        self.inner.finish(note)
