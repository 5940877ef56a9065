"""The plots of a study, drawn in the manner of `recollect.evaluation.plots`.

It decides that places stand at equal distances, so that one drawing serves names, counts that double and periods; that
every point of a method has its interval; that of the floors only the strongest, their logistic regression, is drawn;
and that cost is drawn on a logarithmic axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from recollect.evaluation.plots import ACCENT, BARE, DASHES, FLOOR_COLOURS, MUTED, legend, svg_of
from recollect.evaluation.result import TITLES
from recollect.studies.result import Point, StudyResult

Cost = Literal["tuning_flops", "tokens_per_row", "milliseconds_per_row"]

COSTS: Final[dict[Cost, str]] = {
    "tuning_flops": "operations of tuning",
    "tokens_per_row": "tokens per answered row",
    "milliseconds_per_row": "milliseconds per answered row",
}

_COLOURS: Final = (ACCENT, FLOOR_COLOURS[0], FLOOR_COLOURS[2], BARE, FLOOR_COLOURS[3])
_DRAWN_FLOOR: Final = "logistic regression"


def by_place(result: StudyResult, metric: str) -> str:
    """Draw a metric of every series along the places; "" where it is undefined, or there is one place only."""
    curves = {name: points for name in _drawn(result) if (points := _defined(result, name, metric))}
    if len(result.places) < 2 or not curves:
        return ""
    looks = _looks(list(curves))

    def drawing(axes: Axes) -> None:
        for name, points in curves.items():
            places = [float(result.places.index(point.place)) for point in points]
            value, low, high = _ends(points, metric)
            axes.plot(places, value, label=name, **looks[name])
            if not name.startswith(_DRAWN_FLOOR):
                axes.fill_between(places, low, high, color=looks[name]["color"], alpha=0.12, linewidth=0)
        axes.set_xticks(range(len(result.places)), result.places)
        if sum(map(len, result.places)) > 50:
            axes.tick_params(axis="x", rotation=90)
        axes.set(xlabel=result.axis, ylabel=TITLES[metric])
        legend(axes, columns=1)

    return svg_of(drawing, title=f"{TITLES[metric]} by {result.axis}", height=2.9 + 0.17 * len(curves))


def by_cost(result: StudyResult, metric: str, *, cost: Cost) -> str:
    """Draw a metric of every series against what it cost; "" unless some point tells its cost."""
    costly = {name: _defined(result, name, metric, cost=cost) for name in _drawn(result)}
    curves = {name: points for name, points in costly.items() if points}
    if not curves:
        return ""
    looks = _looks(list(curves))

    def drawing(axes: Axes) -> None:
        for name, points in curves.items():
            costs = [float(getattr(point, cost)) for point in points]
            value, low, high = _ends(points, metric)
            axes.plot(costs, value, label=name, **looks[name])
            axes.vlines(costs, low, high, color=looks[name]["color"], alpha=0.35, linewidth=4)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=COSTS[cost], ylabel=TITLES[metric])
        axes.margins(x=0.1)
        legend(axes, columns=1)

    return svg_of(drawing, title=f"{TITLES[metric]} against {COSTS[cost]}", height=2.9 + 0.17 * len(curves))


def _drawn(result: StudyResult) -> list[str]:
    floors = {point.series for point in result.points if point.floor}
    return [name for name in result.series if name not in floors or name.startswith(_DRAWN_FLOOR)]


def _looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give each series its colour, and another dash when the colours are used up; floors stay in the background."""
    looks: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names):
        colour, dash = _COLOURS[number % len(_COLOURS)], DASHES[number // len(_COLOURS) % len(DASHES)]
        looks[name] = {"color": colour, "linestyle": dash, "linewidth": 1.8, "marker": "o", "markersize": 4.5}
        if name.startswith(_DRAWN_FLOOR):
            looks[name] |= {"color": MUTED, "linestyle": DASHES[number % 3 + 1], "linewidth": 1.2, "marker": ""}
    return looks


def _defined(result: StudyResult, name: str, metric: str, *, cost: Cost | None = None) -> list[Point]:
    """Take the points of a series where the metric is defined and the cost is above zero."""
    points = [point for point in result.points if point.series == name and getattr(point, metric) is not None]
    return [point for point in points if cost is None or (getattr(point, cost) or 0) > 0]


def _ends(points: Sequence[Point], metric: str) -> Float64[np.ndarray, "3 P"]:
    """Give values, lower and upper ends; the value itself where there is no interval."""
    rows: list[list[float]] = []
    for point in points:
        value: float = getattr(point, metric)
        low, high = point.intervals[metric]
        rows.append([value, value if low is None else low, value if high is None else high])
    return np.array(rows, np.float64).T
