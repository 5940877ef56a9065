"""Shots: quality by the number of rows learned from, beside conventional predictors fitted on the same rows.

It decides that the sets are nested (`recollect.data.few_shot`), drawn by the seed of the tuning, and that the floors
are fitted on the very rows that the first arm learns from; what they may look back on when they answer is the whole
past of the user, as it is for the arms. Source: ReLLa (arXiv 2308.11131), the few-shot curve; TALLRec (arXiv
2305.00447).
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Final

from recollect.data.few_shot import few_shot
from recollect.studies.design import Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.readings import Readings
from recollect.studies.result import Contrast
from recollect.studies.study import Study

SIZES: Final = (64, 256, 1024, 4096, 16_384, 65_536)


def shots_study(*, sizes: tuple[int, ...] = SIZES) -> Study:
    """Make the study of few-shot sizes.

    Parameters
    ----------
    sizes : tuple of int
        Rows to learn from; those that the training part does not have are left out.
    """
    return Study(
        name="shots",
        title="Quality by rows learned from",
        asks="How many rows does a method need, and where does a conventional predictor overtake it?",
        axis="rows learned from",
        cells=partial(_cells, sizes=sizes),
        contrasts=_contrasts,
        notes=("Smaller sets lie inside larger ones of the same seed. The floors are fitted on the same rows.",),
    )


def fitting(design: Design, sizes: tuple[int, ...]) -> list[int]:
    """Keep the sizes that the training part has; all of it if it has none of them."""
    there = len(design.split.train)
    return [size for size in sizes if size <= there] or [there]


def _cells(design: Design, *, sizes: tuple[int, ...]) -> list[Cell]:
    chosen = fitting(design, sizes)
    variants = [Variant(f"{size:,}", tuning=(f"tuning.rows={size}",)) for size in chosen]
    cells = [cell for arm in design.arms for cell in design.cells(arm, variants)]
    draw = design.arms[0].resolve().tuning.draw
    for seed in design.seeds:
        for size in chosen:
            rows = few_shot(design.dataset.log, design.split.train, count=size, draw=draw, seed=seed)
            cells += design.floors(f"{size:,}", train=rows, seed=seed)
    return cells


def _contrasts(design: Design, readings: Readings) -> list[Contrast]:
    floors = [("logistic regression")]
    rivals = [*combinations([arm.name for arm in design.arms], 2)]
    rivals += [(arm.name, floor) for arm in design.arms for floor in floors]
    return [one for first, second in rivals for one in readings.versus(first, second)]
