"""Plots of an evaluation as SVG text, to be put into a page.

Decides: plots are drawn without a display and without global state; the same numbers give the same text, byte for
byte; letters stay text, in the font of the page; colours are names that the page's style sheet defines, so that one
drawing serves light and dark. A scorer keeps its colour and dash in every plot.

Source: issue "First light": quality by time slice and by known events, calibration, score distribution.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recollect.evaluation.metrics import reliability
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.result import RUN, TITLES, WITHOUT_EVENTS, Evaluation, SliceEntry

Drawing = Callable[[Axes], None]

# Colours that occur nowhere else stand for the names of the page's style sheet while matplotlib draws.
INK, MUTED, LINE, ACCENT, BARE = "#010101", "#020202", "#030303", "#040404", "#050505"
FLOOR_COLOURS = ("#060606", "#070707", "#080808", "#090909")
_NAMES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    ACCENT: "run",
    BARE: "bare",
    **{colour: f"floor-{number}" for number, colour in enumerate(FLOOR_COLOURS)},
}
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
_SIZE = (4.5, 2.9)
_BINS = 40
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def colours(evaluation: Evaluation) -> dict[str, str]:
    """Give the style sheet's colour name of every scorer, in the order of the headline table."""
    return {name: _NAMES[look["color"]] for name, look in _looks(evaluation).items()}


def headline(evaluation: Evaluation, metric: str) -> str:
    """Draw one metric of every scorer with its interval, the run last; "" when no scorer has one."""
    looks = _looks(evaluation)
    entries = [(name, entry) for name, entry in evaluation.entries() if getattr(entry, metric) is not None]
    if not entries:
        return ""

    def drawing(axes: Axes) -> None:
        for place, (name, entry) in enumerate(entries):
            value, (low, high) = getattr(entry, metric), entry.intervals[metric]
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=looks[name]["color"], linewidth=5, alpha=0.35)
            axes.plot([value], [place], "o", color=looks[name]["color"], markersize=7)
        axes.set_yticks(range(len(entries)), [name for name, _ in entries])
        axes.margins(x=0.06, y=0.12)
        axes.invert_yaxis()
        axes.locator_params(axis="x", nbins=5)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)

    return svg_of(
        drawing, title=f"{TITLES[metric]} of every scorer with 95 % intervals", height=0.5 + 0.33 * len(entries)
    )


def by_slice(evaluation: Evaluation, kind: str) -> str:
    """Draw the AUC of every scorer along the slices of one kind, with the run's interval; "" without slices."""
    slices = evaluation.slices.get(kind, [])
    if not any(entry.auc is not None for entry in slices):
        return ""

    def drawing(axes: Axes) -> None:
        places = np.arange(len(slices))
        for name, look in _looks(evaluation).items():
            axes.plot(places, [_number(_auc_of(entry, name)) for entry in slices], **look)
        low, high = ([_number(entry.auc_interval[end]) for entry in slices] for end in (0, 1))
        axes.fill_between(places, low, high, color=ACCENT, alpha=0.16, linewidth=0)
        axes.set_xticks(places, [entry.name for entry in slices])
        if kind == "time":
            axes.tick_params(axis="x", rotation=90)
        axes.set_ylabel("AUC")

    return svg_of(drawing, title=f"AUC by {kind}, for every scorer", height=3.2 if kind == "time" else 2.9)


def calibration(predictions: Predictions) -> str:
    """Draw the observed share of likes against the stated probability; a larger dot holds more rows."""
    rows, stated, seen = reliability(predictions.label, predictions.probability)

    def drawing(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(stated[rows > 0], seen[rows > 0], color=ACCENT, linewidth=1.4)
        axes.scatter(stated, seen, s=8 + 160 * rows / rows.max(), color=ACCENT, alpha=0.75, linewidth=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability", ylabel="share of likes")

    return svg_of(drawing, title="Calibration: share of likes by stated probability")


def score_distribution(predictions: Predictions) -> str:
    """Draw how the probabilities of likes and of other rows are spread."""
    edges = np.linspace(0, 1, _BINS + 1)

    def drawing(axes: Axes) -> None:
        for chosen, colour, name in ((predictions.label, ACCENT, "liked"), (~predictions.label, BARE, "not liked")):
            share = np.histogram(predictions.probability[chosen], edges)[0] / max(np.count_nonzero(chosen), 1)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.3)
            axes.stairs(share, edges, color=colour, linewidth=1.4, label=name)
        axes.set(xlim=(0, 1), xlabel="stated probability", ylabel="share of rows")
        legend(axes)

    return svg_of(drawing, title="Distribution of the stated probability, liked and not liked rows apart")


def losses(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw loss curves, each a name and its (step, loss) points; "" without a point."""
    drawn = {name: np.asarray(points, dtype=float) for name, points in curves.items() if len(points)}
    if not drawn:
        return ""

    def drawing(axes: Axes) -> None:
        palette = (MUTED, ACCENT, *FLOOR_COLOURS)
        for number, (name, points) in enumerate(drawn.items()):
            mark = "o" if len(points) < 20 else ""
            axes.plot(*points.T, color=palette[number % len(palette)], linewidth=1.4, marker=mark, ms=3.5, label=name)
        axes.set(xlabel="step", ylabel="loss")
        legend(axes)

    return svg_of(drawing, title="Loss while tuning")


def _looks(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Colour, width and dash of every scorer: the floors in their order, the run last and on top."""
    looks: dict[str, dict[str, Any]] = {
        name: {
            "color": FLOOR_COLOURS[number % len(FLOOR_COLOURS)],
            "linestyle": DASHES[number % len(DASHES)],
            "linewidth": 1.3,
        }
        for number, name in enumerate(evaluation.floors)
    }
    if evaluation.without_events is not None:
        looks[WITHOUT_EVENTS] = {"color": BARE, "linewidth": 1.3}
    looks[RUN] = {"color": ACCENT, "linewidth": 2.2, "marker": "o", "markersize": 4}
    return looks


def legend(axes: Axes, *, columns: int = 4) -> None:
    """Name the curves above the axes, where nothing is drawn."""
    axes.legend(
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.98),
        ncols=columns,
        handlelength=1.2,
        columnspacing=1.4,
    )


def _auc_of(entry: SliceEntry, name: str) -> float | None:
    return entry.auc if name == RUN else entry.others.get(name)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def svg_of(drawing: Drawing, *, title: str, height: float = _SIZE[1]) -> str:
    """Draw on fresh axes and give one <svg> element that scales with the page and says what it shows."""
    with mpl.rc_context(cast("Any", {**_STYLE, "svg.hashsalt": title})):
        figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        drawing(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_page(text.getvalue(), label=title)


def _for_page(svg: str, *, label: str) -> str:
    """Fit a drawing into a page: one element, no name that another drawing may hold too, colours by name."""
    for pattern, replacement in (
        (r"^.*?(?=<svg)", ""),
        (r"<metadata>.*?</metadata>|<style.*?</style>", ""),
        (r"(?<=<g) id=\"[^\"]*\"", ""),
        (r"font(-family)?: [^;\"]*'[^;\"]*; ?", ""),
        (r"xlink:href", "href"),
    ):
        svg = re.sub(pattern, replacement, svg, flags=re.DOTALL)
    svg = re.sub("#0[1-9]0[1-9]0[1-9]", lambda found: f"var(--{_NAMES[found[0]]})", svg)
    opening, rest = svg.split(">", 1)
    opening = re.sub(r' (width|height|version|xmlns|xmlns:xlink)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{escape(label, quote=True)}">{rest}'.strip()
