"""History: the same weights shown more or fewer demonstrations, and longer or shorter histories, recent or retrieved.

It decides that one thing changes at a time, the rest staying as the recipe has it, and that the tuned model stays the
same, so that the curves say what a model makes of more context, not what tuning makes of it.
Source: RecICL (arXiv 2410.23136), number of demonstrations; ReLLa (arXiv 2308.11131), quality against K.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Final

from recollect.prompt.block import BlockSettings
from recollect.studies.design import Arm, Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.readings import Readings
from recollect.studies.result import Contrast
from recollect.studies.study import Study

DEMONSTRATIONS: Final = (0, 1, 2, 4, 8)
SHOWN: Final = (0, 2, 5, 10, 20, 40)


def history_study(*, demonstrations: tuple[int, ...] = DEMONSTRATIONS, shown: tuple[int, ...] = SHOWN) -> Study:
    """Make the study of how much is shown.

    Parameters
    ----------
    demonstrations : tuple of int
        Numbers of demonstrations, for recipes of the block layout.
    shown : tuple of int
        Numbers of events in a history.
    """
    return Study(
        name="history",
        title="Quality by what is shown",
        asks="Does a tuned model make use of more demonstrations and longer histories, and of retrieved ones?",
        axis="number K shown",
        cells=partial(_cells, demonstrations=demonstrations, shown=shown),
        contrasts=_contrasts,
        notes=("One tuning per method; only what is shown changes, one thing at a time.",),
    )


def _cells(design: Design, *, demonstrations: tuple[int, ...], shown: tuple[int, ...]) -> list[Cell]:
    cells = [cell for arm in design.arms for cell in _arm_cells(design, arm, demonstrations, shown)]
    places = dict.fromkeys(cell.place for cell in cells)
    ordered = sorted(places, key=int)
    cells.sort(key=lambda cell: ordered.index(cell.place))
    return [*cells, *(cell for place in ordered for cell in design.floors(place))]


def _arm_cells(design: Design, arm: Arm, demonstrations: tuple[int, ...], shown: tuple[int, ...]) -> list[Cell]:
    recipe = arm.resolve()
    evict = recipe.history.evict
    lengths = {count: (f"history.shown={count}", f"history.evict={min(evict, max(count, 1))}") for count in shown}
    if not isinstance(recipe.layout, BlockSettings):
        return design.cells(arm, [Variant(str(k), shown=v) for k, v in lengths.items()], series=_recent(arm))
    sweeps = {
        _demonstrations(arm): [Variant(str(k), shown=(f"demonstrations.count={k}",)) for k in demonstrations],
        _recent(arm): [Variant(str(k), shown=(*v, "history.choice=recent")) for k, v in lengths.items()],
        _retrieved(arm): [Variant(str(k), shown=(*v, "history.choice=retrieved")) for k, v in lengths.items()],
    }
    return [cell for series, variants in sweeps.items() for cell in design.cells(arm, variants, series=series)]


def _demonstrations(arm: Arm) -> str:
    return f"{arm.name}, K demonstrations"


def _recent(arm: Arm) -> str:
    return f"{arm.name}, K recent events"


def _retrieved(arm: Arm) -> str:
    return f"{arm.name}, K retrieved events"


def _contrasts(design: Design, readings: Readings) -> list[Contrast]:
    found: list[Contrast] = []
    for arm in design.arms:
        for series in (_demonstrations(arm), _recent(arm), _retrieved(arm)):
            found += readings.changes(series) if readings.places(series) else []
        found += readings.versus(_retrieved(arm), _recent(arm))
    for first, second in combinations(design.arms, 2):
        for name in (_demonstrations, _recent, _retrieved):
            found += readings.versus(name(first), name(second))
    return sorted(found, key=lambda one: one.kind, reverse=True)
