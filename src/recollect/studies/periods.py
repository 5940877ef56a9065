"""Periods: what becomes of a model that is not tuned again, the longer it is in use.

The log is cut into periods D_0..D_{n-1} of equal size; f_t is tuned on all up to the end of D_t, and asked about every
later period. The matrix AUC[t, T] is the result; read out of it are

- PDM = AUC(f_new, D_T) - AUC(f_old, D_T): the price of not updating, paired on the same rows;
- PDT = AUC(f_old, D_old+1) - AUC(f_old, D_T): the fall over time, confounded by how hard the periods are;
- between two methods, the difference at every age, and how much larger it is at the end than at the beginning.

It decides that the last tenth of what f_t may learn from is kept to choose epochs by. Source: RecICL (arXiv
2410.23136), spec `recicl`, section 1 (n = 10 and what PDM and PDT subtract are our reading).
"""

from __future__ import annotations

from functools import partial
from itertools import combinations, pairwise

import numpy as np

from recollect.data.splits import Split, periods, split_by_time
from recollect.errors import UsageError
from recollect.studies.design import Arm, Design, Variant
from recollect.studies.grid import Cell
from recollect.studies.readings import Readings
from recollect.studies.result import Contrast
from recollect.studies.study import Study


def periods_study(*, count: int = 10, ends: tuple[int, ...] = (3, 7), recent: int = 0) -> Study:
    """Make the study of periods.

    Parameters
    ----------
    count : int
        Number n of periods.
    ends : tuple of int
        Last period t of each tuning, from 0; the last period of all must lie behind it.
    recent : int
        Learn from the last so many rows before the border only; 0 learns from all.

    Raises
    ------
    UsageError
        If a tuning would have no later period to be asked about.
    """
    if not ends or min(ends) < 0 or max(ends) > count - 2 or sorted(set(ends)) != list(ends):
        raise UsageError(
            "tunings that do not fit the periods",
            got=f"ends {ends} of {count} periods",
            expected=f"ascending numbers from 0 to {count - 2}",
            do="give fewer or earlier ends (--ends), or more periods (--periods)",
        )
    return Study(
        name="periods",
        title="Quality by age of the model",
        asks="What does a model lose that is not tuned again, and does it lose less with another method?",
        axis="test period",
        cells=partial(_cells, count=count, ends=ends, recent=recent),
        contrasts=partial(_contrasts, count=count, ends=ends),
        notes=(f"The whole log in {count} periods; f_t learns from D_0 to D_t, its last tenth chooses epochs.",),
    )


def split_up_to(design: Design, *, count: int, end: int, recent: int = 0) -> Split:
    """Give f_t its rows: nine tenths of all up to the end of period t to learn from, the last tenth to choose by."""
    border = int(periods(design.dataset.log, count)[end][-1]) + 1
    rows = np.arange(max(border - recent, 0) if recent else 0, border)
    parts = split_by_time(design.dataset.log.take(rows), fractions=(0.9, 0.1, 0.0))
    return Split(f"periods until D{end}", train=rows[parts.train], valid=rows[parts.valid], test=rows[:0])


def _cells(design: Design, *, count: int, ends: tuple[int, ...], recent: int) -> list[Cell]:
    parts = periods(design.dataset.log, count)
    cells: list[Cell] = []
    for end in ends:
        split = split_up_to(design, count=count, end=end, recent=recent)
        for period in range(end + 1, count):
            rows, place = design.sample(parts[period]), f"D{period}"
            for arm in design.arms:
                cells += design.cells(arm, [Variant(place)], series=_series(arm, end), split=split, rows=rows)
            cells += design.floors(place, series=f"{{}} to D{end}", train=split.train, rows=rows)
    return cells


def _series(arm: Arm, end: int) -> str:
    return f"{arm.name} to D{end}"


def _contrasts(design: Design, readings: Readings, *, count: int, ends: tuple[int, ...]) -> list[Contrast]:
    last = f"D{count - 1}"
    found: list[Contrast] = []
    for arm in design.arms:
        found += [one for old, new in pairwise(ends) for one in _prices(arm, readings, old, range(new, count))]
        found += [_fall(arm, readings, end, last) for end in ends if end + 1 < count - 1]
    for first, second in combinations(design.arms, 2):
        for end in ends:
            found += readings.versus(_series(first, end), _series(second, end))
        found += [_growth(readings, first, second, end=end, last=last) for end in ends if end + 1 < count - 1]
        found += [_price_between(readings, first, second, ends=(old, new), last=last) for old, new in pairwise(ends)]
    return sorted(found, key=lambda one: _KINDS.index(one.kind))


_KINDS = ("PDM", "PDT", "PDM between methods", "growth of the difference", "between methods")


def _prices(arm: Arm, readings: Readings, old: int, tested: range) -> list[Contrast]:
    """Give PDM at every period behind the newer tuning, whose end is the first of `tested`."""
    new = tested[0]
    return [
        readings.contrast(
            "PDM",
            f"{arm.name}: f_{new} − f_{old} on D{period}",
            plus=[(_series(arm, new), f"D{period}")],
            minus=[(_series(arm, old), f"D{period}")],
            note="The price of not updating.",
        )
        for period in tested[1:]
    ]


def _fall(arm: Arm, readings: Readings, end: int, last: str) -> Contrast:
    series = _series(arm, end)
    return readings.contrast(
        "PDT",
        f"{arm.name}: f_{end} on D{end + 1} − on {last}",
        plus=[(series, f"D{end + 1}")],
        minus=[(series, last)],
        note="The fall over time, confounded by how hard the periods are.",
    )


def _growth(readings: Readings, first: Arm, second: Arm, *, end: int, last: str) -> Contrast:
    """Say how much larger the difference of two methods is in the last period than in the first."""
    near, one, other = f"D{end + 1}", _series(first, end), _series(second, end)
    return readings.contrast(
        "growth of the difference",
        f"{first.name} − {second.name}, f_{end}: on {last} less on {near}",
        plus=[(one, last), (other, near)],
        minus=[(other, last), (one, near)],
        note="Above zero, the first method keeps better than the second.",
    )


def _price_between(readings: Readings, first: Arm, second: Arm, *, ends: tuple[int, int], last: str) -> Contrast:
    old, new = ends
    return readings.contrast(
        "PDM between methods",
        f"PDM of {first.name} − PDM of {second.name}, f_{new} and f_{old} on {last}",
        plus=[(_series(first, new), last), (_series(second, old), last)],
        minus=[(_series(first, old), last), (_series(second, new), last)],
        note="Below zero, the first method pays less for not being updated.",
    )
