"""Efficiency: quality beside tokens and milliseconds per row, and against what tuning took.

Arms with demonstrations are tuned twice, asked at the last question of each prompt (the papers' form) and at every
question. Several lengths of tuning give a curve of quality against operations. It decides that operations are counted
as `recollect.studies.cost` says, and that lengths are numbers of epochs, each a tuning with its own schedule.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations

from recollect.prompt.block import BlockSettings
from recollect.studies.design import Arm, Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.readings import Readings
from recollect.studies.result import Contrast
from recollect.studies.study import Study

_SUPERVISE = ("all", "last")


def efficiency_study(*, epochs: tuple[int, ...] = ()) -> Study:
    """Make the study of efficiency.

    Parameters
    ----------
    epochs : tuple of int
        Lengths of tuning; without any, that of the recipe.
    """
    return Study(
        name="efficiency",
        title="Quality beside its cost",
        asks="What does quality cost, in tuning and per answer?",
        axis="epochs",
        cells=partial(_cells, epochs=epochs),
        contrasts=_contrasts,
        notes=("Milliseconds are those of this machine, with batches of many rows; compare them within one study.",),
    )


def _cells(design: Design, *, epochs: tuple[int, ...]) -> list[Cell]:
    cells: list[Cell] = []
    for arm in design.arms:
        for series, more in _series(arm).items():
            cells += design.cells(arm, _variants(arm, epochs, more), series=series)
    places = dict.fromkeys(cell.place for cell in cells)
    return [*cells, *(cell for place in places for cell in design.floors(place))]


def _series(arm: Arm) -> dict[str, tuple[str, ...]]:
    """Name the series of an arm, each with the values that make it."""
    recipe = arm.resolve()
    asked = isinstance(recipe.layout, BlockSettings) and recipe.demonstrations.count and recipe.tuning.method != "none"
    if not asked:
        return {arm.name: ()}
    return {f"{arm.name}, {which} answers": (f"tuning.supervise={which}",) for which in _SUPERVISE}


def _variants(arm: Arm, epochs: tuple[int, ...], more: tuple[str, ...]) -> list[Variant]:
    tuning = arm.resolve().tuning
    lengths = epochs if epochs and tuning.method != "none" else (tuning.epochs,)
    return [Variant(str(length), tuning=(*more, f"tuning.epochs={length}")) for length in lengths]


def _contrasts(design: Design, readings: Readings) -> list[Contrast]:
    names = [name for arm in design.arms for name in _series(arm)]
    return [one for first, second in combinations(names, 2) for one in readings.versus(first, second)]
