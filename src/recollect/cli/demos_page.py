"""The pages of `recollect demos`: one file each, that needs nothing else.

It decides that effects are bars with two standard errors, coloured by verdict, and that of the watched losses the mean
up to each event is drawn, since single answers scatter.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from recollect.cli import demos_tables as tables
from recollect.context.effect_report import DemonstrationLine
from recollect.context.effect_watch import LOSSES, Watch
from recollect.evaluation import page
from recollect.evaluation.plots import ACCENT, BARE, FLOOR_COLOURS, MUTED, legend, svg_of

_COLOURS: Final = {"helps": FLOOR_COLOURS[2], "harmful?": ACCENT, "redundant": BARE, "neutral": MUTED}
_CURVES: Final = dict(zip(LOSSES, (ACCENT, FLOOR_COLOURS[0], MUTED), strict=True))
_TITLE: Final = 26  # letters of a title in a plot

_READING: Final = (
    (
        "effect",
        "how fast the loss of the person's known answers falls as more attention goes to a demonstration, in nats.",
    ),
    ("of the set", "its part of the effect of all demonstrations together."),
    ("overlap", "cosine between what two demonstrations add to the attention heads."),
    ("harmful?", "an effect clearly below 0 on these answers; leaving it out is right about as often as it is wrong."),
    ("redundant", "another demonstration of larger effect adds the same."),
    ("not measured", "no known answer was asked after it."),
)


def report_page(
    lines: Sequence[DemonstrationLine],
    facts: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    *,
    title: str,
    note: str,
) -> str:
    """Write the page of a report as HTML text.

    Parameters
    ----------
    lines : sequence of DemonstrationLine
        The candidates to list.
    facts : sequence of pairs of str
        What all of them do together.
    warnings : sequence of str
        What to know first.
    title, note : str
        Head of the page, and a quiet line about it.
    """
    header, rows = tables.line_rows(lines, wide=True)
    measured = [line for line in lines if line.effect is not None]
    body = [
        page.heading(title, note=note),
        _plots(
            page.figure("Effect of each demonstration", effects_svg(measured), note="Lines are two standard errors."),
            page.figure("Effect and attention", attention_svg(measured), note="Attention alone tells no effect."),
        )
        if measured
        else "",
        *(f"<p><strong>{escape(warning)}</strong></p>\n" for warning in warnings),
        "<h2>Each demonstration</h2>\n",
        page.grid(rows, header=header, label="Each demonstration"),
        page.facts(dict(facts)),
        page.reading(_READING),
    ]
    return page.frame(title, "".join(body))


def watch_page(watch: Watch, *, title: str, note: str) -> str:
    """Write the page of watched events as HTML text.

    Parameters
    ----------
    watch : Watch
        The events.
    title, note : str
        Head of the page, and a quiet line about it.
    """
    body = [
        page.heading(title, note=note),
        _plots(
            page.figure("Loss of the answers that came", losses_svg(watch), note="Mean up to each event."),
            page.figure("Loss of the known answers", support_svg(watch), note="By this the set was chosen."),
        ),
        "<h2>Event by event</h2>\n",
        page.grid(tables.watch_rows(watch, wide=True), header=tables.WATCH_HEADER, label="Watched events"),
        page.facts(dict(tables.watch_facts(watch))),
    ]
    return page.frame(title, "".join(body))


def effects_svg(lines: Sequence[DemonstrationLine]) -> str:
    """Draw the effect of each measured candidate, with its standard error."""

    def drawing(axes: Axes) -> None:
        for place, line in enumerate(lines):
            effect, error, colour = line.effect or 0.0, 2 * (line.error or 0.0), _COLOURS[line.verdict or "neutral"]
            axes.barh([place], [effect], color=colour, height=0.62, alpha=0.8)
            axes.hlines([place], [effect - error], [effect + error], color=colour, linewidth=1.2)
        axes.set_yticks(range(len(lines)), [tables.short(line.title, _TITLE) for line in lines])
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.locator_params(axis="x", nbins=4)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("effect in nats")

    return svg_of(drawing, title="Effect of each demonstration", height=0.7 + 0.2 * len(lines))


def attention_svg(lines: Sequence[DemonstrationLine]) -> str:
    """Draw the effect of each measured candidate against the attention that it takes, coloured by verdict."""

    def drawing(axes: Axes) -> None:
        for verdict in dict.fromkeys(line.verdict for line in lines):
            drawn = [line for line in lines if line.verdict == verdict]
            shares, effects = [100 * (line.attention or 0.0) for line in drawn], [line.effect or 0.0 for line in drawn]
            axes.scatter(shares, effects, s=30, color=_COLOURS[verdict or "neutral"], label=verdict, linewidth=0)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.ticklabel_format(style="plain", useOffset=False)
        axes.set(xlabel="share of attention in %", ylabel="effect in nats")
        legend(axes)

    return svg_of(drawing, title="Effect of each demonstration against the attention that it takes", height=3.2)


def losses_svg(watch: Watch) -> str:
    """Draw the mean loss up to each event, with the chosen sets, the most recent demonstrations and none."""
    count = np.arange(1, len(watch.events) + 1)

    def drawing(axes: Axes) -> None:
        for name, colour in _CURVES.items():
            means = np.cumsum([getattr(event, name) for event in watch.events]) / count
            axes.plot(count, means, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=name)
        axes.set(xlabel="event", ylabel="loss in nats")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(axes)

    return svg_of(drawing, title="Mean loss up to each event")


def support_svg(watch: Watch) -> str:
    """Draw the loss on the support with the set of each event and without demonstrations; gaps where unmeasured."""
    count = np.arange(1, len(watch.events) + 1)
    curves = {
        "with the set": (ACCENT, [event.support for event in watch.events]),
        "with none": (MUTED, [event.support_without for event in watch.events]),
    }

    def drawing(axes: Axes) -> None:
        for name, (colour, values) in curves.items():
            drawn = np.array([np.nan if value is None else value for value in values])
            axes.plot(count, drawn, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=name)
        axes.set(xlabel="event", ylabel="loss in nats")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(axes)

    return svg_of(drawing, title="Loss of the known answers, by which the set was chosen")


def _plots(*figures: str) -> str:
    return f'<div class="plots">\n{"".join(figures)}</div>\n'
