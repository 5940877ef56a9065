"""The tables of a study, as text cells for a terminal and for a page alike.

It decides three tables: one metric with series down and places across; the differences that were read out; and every
number of every point, with what it cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from recollect.evaluation.bootstrap import METRICS
from recollect.evaluation.result import TITLES, Gap, decimals
from recollect.studies.result import Contrast, Point, StudyResult

Rows = list[Sequence[str]]

COST_HEADER = ("", "", "tokens a row", "ms a row", "tuning rows", "tuning tokens", "tuning TFLOP", "tuning s")
CONTRAST_HEADER = ("difference", "AUC", "95 % interval", "p", "UAUC", "95 % interval", "p")


def matrix_header(result: StudyResult) -> list[str]:
    """Name the columns of a matrix."""
    return [result.axis, *result.places]


def matrix(result: StudyResult, metric: str, *, between: str = "\n") -> Rows:
    """Give one metric with series down and places across; `between` stands before each interval."""
    return [
        [name, *(_valued(result.at(name, place), metric, between) for place in result.places)] for name in result.series
    ]


def contrast_rows(contrasts: Sequence[Contrast]) -> Rows:
    """Give one line per difference: AUC and UAUC, each with interval and p."""
    return [[one.name, *_gap(one.gaps["auc"]), *_gap(one.gaps["uauc"])] for one in contrasts]


def numbers_header(result: StudyResult) -> list[str]:
    """Name the columns of all numbers."""
    return ["", result.axis, "rows", *TITLES.values(), "users in UAUC", "AUC of each seed", *COST_HEADER[2:]]


def numbers(result: StudyResult) -> Rows:
    """Give every number of every point."""
    return [
        [
            point.series,
            point.place,
            f"{point.rows:,}",
            *(decimals(getattr(point, metric)) for metric in METRICS),
            f"{point.uauc_users:,}",
            " ".join(decimals(value) for value in point.by_seed["auc"]),
            *_costs(point),
        ]
        for point in result.points
    ]


def costs(result: StudyResult) -> Rows:
    """Give what each point cost, floors left out."""
    return [[point.series, point.place, *_costs(point)] for point in result.points if not point.floor]


def _costs(point: Point) -> list[str]:
    flops = None if point.tuning_flops is None else point.tuning_flops / 1e12
    return [
        amount(point.tokens_per_row),
        amount(point.milliseconds_per_row),
        amount(point.tuning_rows),
        amount(point.tuning_tokens),
        amount(flops),
        amount(point.tuning_seconds),
    ]


def amount(value: float | None) -> str:
    """Write an amount with three digits at least, a dash if there is none.

    Examples
    --------
    >>> amount(12345.6), amount(123.4), amount(0.01234), amount(0.0), amount(None)
    ('12,346', '123', '0.0123', '0', '–')
    """
    if value is None:
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _valued(point: Point | None, metric: str, between: str) -> str:
    if point is None:
        return "–"
    low, high = point.intervals[metric]
    value = decimals(getattr(point, metric))
    return value if low is None or high is None else f"{value}{between}{decimals(low)} – {decimals(high)}"


def _gap(gap: Gap) -> list[str]:
    if gap.value is None or gap.low is None or gap.high is None:
        return ["–", "", ""]
    interval = f"{decimals(gap.low, sign=True)} to {decimals(gap.high, sign=True)}"
    return [decimals(gap.value, sign=True), interval, "–" if gap.p is None else f"{gap.p:.3f}"]
