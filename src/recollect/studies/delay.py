"""Delay: the same weights when labels arrive late.

For half of the rows of public logs the previous events lie seconds back, so a good part of what in-context learning
gains may be the mood of the minute. A label that arrives g seconds late is shown to no question before that, in
histories and demonstrations alike. It decides that the floors suffer the same delay. Source: spec `recicl`, section 2.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Final

from recollect.data.past import PastRule
from recollect.studies.design import Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.readings import Readings
from recollect.studies.result import Contrast
from recollect.studies.study import Study

_UNITS: Final = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))


def delay_study(*, delays: tuple[int, ...] = (0, 3600, 86_400)) -> Study:
    """Make the study of label delay.

    Parameters
    ----------
    delays : tuple of int
        Seconds until a label is known, the first one being what others are compared with.
    """
    return Study(
        name="delay",
        title="Quality by delay of labels",
        asks="How much of the quality rests on labels of the last minutes?",
        axis="delay",
        cells=partial(_cells, delays=delays),
        contrasts=contrasts,
        notes=("One tuning, at the delay of its own recipe; only what is shown changes.",),
    )


def contrasts(design: Design, readings: Readings) -> list[Contrast]:
    """Compare the places of each arm with its first, and the arms with each other at each place."""
    within = [one for arm in design.arms for one in readings.changes(arm.name)]
    between = [one for a, b in combinations(design.arms, 2) for one in readings.versus(a.name, b.name)]
    return [*within, *between]


def name_of(seconds: int) -> str:
    """Write a delay in its largest whole unit.

    Examples
    --------
    >>> name_of(0), name_of(3600), name_of(86_400), name_of(90)
    ('none', '1 h', '1 day', '90 s')
    """
    if seconds == 0:
        return "none"
    return next(f"{seconds // unit} {name}" for unit, name in _UNITS if seconds % unit == 0)


def _cells(design: Design, *, delays: tuple[int, ...]) -> list[Cell]:
    variants = [Variant(name_of(delay), shown=(f"past.delay={delay}",)) for delay in delays]
    cells = [cell for arm in design.arms for cell in design.cells(arm, variants)]
    for delay in delays:
        cells += design.floors(name_of(delay), rule=PastRule(ties=design.rule.ties, delay=delay))
    return cells
