"""The report: one page, in one file, that shows how good a run is and beside what.

Decides: the page needs nothing but itself (no script, no link, no font, no picture from elsewhere); every text that
comes from data is escaped; the same input gives the same bytes; a section is a title and a table, so that whoever
writes the page can add what it likes, such as how a list moved after three clicks.

Source: issue "First light", `report.html`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from recollect.evaluation import page, plots
from recollect.evaluation.bootstrap import METRICS
from recollect.evaluation.predictions import Predictions
from recollect.evaluation.result import HIGHER_IS_BETTER, TITLES, Evaluation, TableRow, decimals, table

_READING = (
    ("AUC", "the chance that a random like is scored above a random non-like, over all rows; .5 is guessing."),
    (
        "UAUC",
        "the same inside each user with both labels, averaged over these users: does it know what a user prefers?",
    ),
    ("log loss", "how surprised the probabilities were by what happened, in nats; lower is better."),
    ("ECE", "how far stated probabilities lie from what happened, in 15 bins; lower is better."),
    ("intervals", "95 %, by drawing users again and again (bootstrap); differences are paired on the same draws."),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A further table of the page: plain text, escaped when written; `header` may be empty."""

    title: str
    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """Everything that the page shows.

    Parameters
    ----------
    title : str
        Head of the page.
    evaluation : Evaluation
        Measured values of the run and of the floors.
    predictions : Predictions
        The run's own, for calibration and score distribution.
    recipe : str
        Text of the recipe; "" leaves it out.
    facts : mapping of str to str
        What else a reader should know, such as seed, device and duration.
    sections : sequence of Section
        Tables between the plots and the facts.
    losses : mapping of str to sequence of (step, loss)
        Loss curves by name.
    """

    title: str
    evaluation: Evaluation
    predictions: Predictions
    recipe: str = ""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    sections: Sequence[Section] = ()
    losses: Mapping[str, Sequence[tuple[float, float]]] = field(
        default_factory=dict[str, Sequence[tuple[float, float]]]
    )


def render(report: Report) -> str:
    """Write the page as HTML text.

    Raises
    ------
    DataError
        When the predictions hold no row.
    """
    body = [
        _head(report),
        _tiles(report.evaluation),
        _headline(report.evaluation),
        _plots(report),
        *(_section(section) for section in report.sections),
        page.facts(report.facts),
        _recipe(report.recipe),
        page.reading(_READING),
    ]
    return page.frame(report.title, "".join(body))


def write_report(path: Path, report: Report) -> None:
    """Write the page to a file: aside first, then renamed.

    Raises
    ------
    RecollectError
        When writing fails in a way that `recollect.errors.translate` knows (no folder, no space, no rights).
    DataError
        When the predictions hold no row.
    """
    page.write_aside(path, render(report))


def _head(report: Report) -> str:
    result = report.evaluation
    judged = (
        f"{result.part} part · protocol {result.protocol} · {result.rows:,} rows · {result.uauc_users:,} users in UAUC"
    )
    return page.heading(report.title, note=judged)


def _tiles(evaluation: Evaluation) -> str:
    run = table(evaluation)[-1]
    tiles = "".join(
        f'<dl class="tile"><dt>{TITLES[cell.metric]}</dt><dd class="value">{cell.value}</dd>'
        f"<dd>{cell.interval}</dd>{_against_best_floor(evaluation, cell.metric)}</dl>\n"
        for cell in run.cells
    )
    return f'<div class="tiles">\n{tiles}</div>\n'


def _against_best_floor(evaluation: Evaluation, metric: str) -> str:
    """Say how far the run lies from the best floor, marked better or worse when the interval is clear of zero."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    known = {name: value for name, floor in evaluation.floors.items() if (value := getattr(floor, metric)) is not None}
    if not known:
        return ""
    best = max(known, key=lambda name: sign * known[name])
    gap = evaluation.paired.get(best, {}).get(metric)
    if gap is None or gap.value is None or gap.low is None or gap.high is None:
        return ""
    ends = sorted((sign * gap.low, sign * gap.high))
    verdict = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else "open"
    return f'<dd class="{verdict}">{decimals(gap.value, sign=True)} vs. {escape(best)}</dd>'


def _headline(evaluation: Evaluation) -> str:
    names = plots.colours(evaluation)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", *(TITLES[metric] for metric in METRICS), "users"))
    rows = "".join(_headline_row(row, colour=names[row.name]) for row in table(evaluation))
    return (
        "<h2>Beside the floors</h2>\n"
        '<div class="card" role="region" aria-label="Metrics of every scorer" tabindex="0">\n'
        f'<table class="metrics">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n'
        '<p class="quiet">Below each value its 95 % interval; the best value of a column is underlined.</p>\n'
    )


def _headline_row(row: TableRow, *, colour: str) -> str:
    cells = "".join(
        f'<td class="{"best" if cell.best else "other"}"><b>{cell.value}</b><small>{cell.interval}</small></td>'
        for cell in row.cells
    )
    kind = ' class="run"' if row.is_run else ""
    return f'<tr{kind}><th scope="row">{_swatch(colour)}{escape(row.name)}</th>{cells}<td>{row.coverage:,}</td></tr>\n'


def _swatch(colour: str) -> str:
    return f'<span class="swatch" style="background:var(--{colour})" aria-hidden="true"></span>'


def _plots(report: Report) -> str:
    result = report.evaluation
    drawn = (
        ("AUC, every scorer", plots.headline(result, "auc"), "Dot: value. Bar: 95 % interval."),
        ("UAUC, every scorer", plots.headline(result, "uauc"), "Dot: value. Bar: 95 % interval."),
        ("AUC by time", plots.by_slice(result, "time"), "Slices of equal numbers of rows, named by their first day."),
        ("AUC by known events", plots.by_slice(result, "known events"), "How many of the user's events were visible."),
        ("Calibration", plots.calibration(report.predictions), "On the dashed line, probabilities mean what they say."),
        ("Score distribution", plots.score_distribution(report.predictions), "The further apart, the better it tells."),
        ("Loss while tuning", plots.losses(report.losses), ""),
    )
    legend = "".join(f"<li>{_swatch(colour)}{escape(name)}</li>" for name, colour in plots.colours(result).items())
    figures = "".join(page.figure(title, svg, note=note) for title, svg, note in drawn if svg)
    slices = "".join(_slice_table(result, kind) for kind in result.slices)
    return (
        f'<h2>Where it is good</h2>\n<ul class="legend">{legend}</ul>\n<div class="plots">\n{figures}</div>\n'
        f"<details>\n<summary>The numbers of the slices</summary>\n{slices}</details>\n"
    )


def _slice_table(evaluation: Evaluation, kind: str) -> str:
    others = list(evaluation.slices[kind][0].others) if evaluation.slices[kind] else []
    rows = [
        (
            entry.name,
            f"{entry.rows:,}",
            *(decimals(getattr(entry, metric)) for metric in METRICS),
            *(decimals(entry.others[name]) for name in others),
        )
        for entry in evaluation.slices[kind]
    ]
    header = (kind, "rows", *TITLES.values(), *(f"AUC, {name}" for name in others))
    return page.grid(rows, header=header, label=f"Metrics by {kind}")


def _section(section: Section) -> str:
    note = f'<p class="quiet">{escape(section.note)}</p>\n' if section.note else ""
    body = page.grid(section.rows, header=section.header, label=section.title, kind="card text")
    return f"<h2>{escape(section.title)}</h2>\n{body}{note}"


def _recipe(recipe: str) -> str:
    if not recipe:
        return ""
    region = 'class="card" role="region" aria-label="Recipe" tabindex="0"'
    return f"<h2>Recipe</h2>\n<div {region}>\n<pre><code>{escape(recipe.strip())}</code></pre>\n</div>\n"
