"""A study: a question, the cells that answer it, and what is read out of them.

It decides what every study leaves in its folder: `study.json` and `study.html`, beside the runs and cells of `grid`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recollect.evaluation.page import write_aside
from recollect.progress import SILENT, Progress
from recollect.studies.cost import FORMULA
from recollect.studies.design import Design
from recollect.studies.grid import Cell, answer_cells
from recollect.studies.readings import Readings
from recollect.studies.report import render
from recollect.studies.result import Contrast, StudyResult

JSON_FILE: Final = "study.json"
PAGE_FILE: Final = "study.html"


@dataclass(frozen=True, slots=True)
class Study:
    """Hold a question and how it is answered.

    Parameters
    ----------
    name : str
        Of the command.
    title : str
        Of the page.
    asks : str
        The question, in one sentence.
    axis : str
        What the places of a series are.
    cells : callable
        Lays out the grid for a design.
    contrasts : callable
        Reads the differences that answer the question.
    notes : tuple of str
        What a reader of the numbers should know.
    """

    name: str
    title: str
    asks: str
    axis: str
    cells: Callable[[Design], list[Cell]]
    contrasts: Callable[[Design, Readings], list[Contrast]]
    notes: tuple[str, ...] = ()


def run_study(study: Study, design: Design, *, out: Path, progress: Progress = SILENT) -> StudyResult:
    """Answer every cell of a study that is not answered yet, and write what it found.

    Parameters
    ----------
    study : Study
        The question.
    design : Design
        The arms, rows and seeds.
    out : Path
        Folder of the study; one that was stopped goes on, and several studies may share their runs in one folder.
    progress : Progress
        Is told what goes on.

    Returns
    -------
    StudyResult
        As `study.json` holds it.

    Raises
    ------
    UsageError
        If a value of the study does not fit a recipe.
    RecollectError
        If a model cannot be tuned or read, or a file cannot be written.
    """
    answers = answer_cells(study.cells(design), design.dataset, out=out, progress=progress)
    readings = Readings.of(answers)
    result = StudyResult(
        study=study.name,
        title=study.title,
        asks=study.asks,
        axis=study.axis,
        facts=_facts(design),
        points=readings.points(),
        contrasts=study.contrasts(design, readings),
        notes=[*study.notes, *design.split.notes],
    )
    write_aside(out / JSON_FILE, json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
    write_aside(out / PAGE_FILE, render(result))
    return result


def _facts(design: Design) -> dict[str, str]:
    users = f"users, at most {design.per_user} of each" if design.per_user else "whole users"
    return {
        "methods": ", ".join(arm.name for arm in design.arms),
        "log": f"{len(design.dataset.log):,} events, source {design.dataset.facts.source}",
        "protocol": design.split.name,
        "seeds": ", ".join(map(str, design.seeds)),
        "rows asked": f"about {design.rows:,} of {users}, the same for every method",
        "tuning operations": FORMULA,
    }
