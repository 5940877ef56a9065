"""Demonstrations: the same weights shown recent, similar, random, or measured examples, as many of each.

It decides that choices are compared at equal numbers of demonstrations, which in one layout is equal tokens up to the
length of titles (the mean number stands in the table of costs), and that `all` stands beside them: every candidate that
a measured choice may choose from. Source: spec `lrgd`, section 9; similar ones are KATE's baseline, here oldest first.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from recollect.context.demonstrations import Choice
from recollect.errors import UsageError
from recollect.prompt.block import BlockSettings
from recollect.studies.design import Arm, Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.readings import Readings
from recollect.studies.result import Contrast
from recollect.studies.study import Study

CHOICES: Final[tuple[Choice, ...]] = ("recent", "similar", "random", "effect", "rerank")
COUNTS: Final = (2, 4, 8, 16)
_COMPARED: Final = (("effect", "recent"), ("effect", "similar"), ("effect", "random"), ("rerank", "similar"))


def demonstrations_study(*, counts: tuple[int, ...] = COUNTS, choices: tuple[Choice, ...] = CHOICES) -> Study:
    """Make the study of which demonstrations are shown.

    Parameters
    ----------
    counts : tuple of int
        Numbers of demonstrations.
    choices : tuple of str
        Ways of choosing them.
    """
    return Study(
        name="demonstrations",
        title="Quality by which demonstrations are shown",
        asks="At equal tokens, do demonstrations chosen by their measured effect beat recent, similar and random ones?",
        axis="demonstrations",
        cells=partial(_cells, counts=counts, choices=choices),
        contrasts=partial(_contrasts, choices=choices),
        notes=("One tuning per method; only the choice of demonstrations changes.",),
    )


def _cells(design: Design, *, counts: tuple[int, ...], choices: tuple[Choice, ...]) -> list[Cell]:
    cells: list[Cell] = []
    for arm in design.arms:
        _require_block(arm)
        everything = arm.resolve().effects.pool
        for choice in choices:
            sizes = [*counts, everything] if choice == "recent" else [*counts]
            cells += design.cells(arm, [_variant(choice, size) for size in sizes], series=_series(arm, choice))
    places = sorted({cell.place for cell in cells}, key=int)
    cells.sort(key=lambda cell: places.index(cell.place))
    return [*cells, *(cell for place in places for cell in design.floors(place))]


def _variant(choice: Choice, count: int) -> Variant:
    return Variant(str(count), shown=(f"demonstrations.choice={choice}", f"demonstrations.count={count}"))


def _series(arm: Arm, choice: str) -> str:
    return f"{arm.name}, {choice}"


def _require_block(arm: Arm) -> None:
    """Refuse recipes that show no demonstrations.

    Raises
    ------
    UsageError
        If the arm's layout is not that of blocks.
    """
    recipe = arm.resolve()
    if not isinstance(recipe.layout, BlockSettings):
        raise UsageError(
            "a method without separate demonstrations",
            got=f"recipe {recipe.name}, layout {recipe.layout.kind}",
            expected="the block layout",
            do="give recicl, lrgd, or a run of theirs",
        )


def _contrasts(design: Design, readings: Readings, *, choices: tuple[Choice, ...]) -> list[Contrast]:
    pairs = [pair for pair in _COMPARED if set(pair) <= set(choices)]
    return [
        contrast
        for arm in design.arms
        for first, second in pairs
        for contrast in readings.versus(_series(arm, first), _series(arm, second))
    ]
