"""The page of a study: plots, tables and how to read them, in one file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Final

from recollect.evaluation import page
from recollect.evaluation.result import TITLES
from recollect.studies import charts, tables
from recollect.studies.result import StudyResult

_READING: Final = (
    ("AUC", "the chance that a random like is scored above a random non-like, over all rows; .5 is guessing."),
    ("UAUC", "the same inside each user with both labels, averaged over these users."),
    ("interval", "95 %, by drawing users again and again; with several seeds, of the mean over seeds."),
    (
        "difference",
        "paired: all methods answer the same rows and are drawn alike; draws of two periods are independent.",
    ),
    ("p", "twice the share of draws on the other side of zero."),
    ("floors", "simple predictors that every method must beat, fitted on what the methods learn from."),
)


def render(result: StudyResult) -> str:
    """Write the page of a study as HTML text; equal results give equal bytes."""
    body = [
        page.heading(result.title, note=result.asks),
        _plots(result),
        *(_matrix(result, metric) for metric in ("auc", "uauc")),
        _contrasts(result),
        _numbers(result),
        page.facts(result.facts),
        _notes(result.notes),
        page.reading(_READING),
    ]
    return page.frame(result.title, "".join(body))


def _plots(result: StudyResult) -> str:
    drawn = [(f"{TITLES[metric]} by {result.axis}", charts.by_place(result, metric)) for metric in ("auc", "uauc")]
    if not any(svg for _, svg in drawn) or result.study == "efficiency":
        drawn += [
            (f"AUC against {name}", charts.by_cost(result, "auc", cost=cost)) for cost, name in charts.COSTS.items()
        ]
    figures = "".join(page.figure(title, svg, note="With 95 % intervals.") for title, svg in drawn if svg)
    return f'<h2>At a glance</h2>\n<div class="plots">\n{figures}</div>\n' if figures else ""


def _matrix(result: StudyResult, metric: str) -> str:
    title = f"{TITLES[metric]} by {result.axis}"
    rows = tables.matrix(result, metric, between=" · ")
    return f"<h2>{escape(title)}</h2>\n" + page.grid(rows, header=tables.matrix_header(result), label=title)


def _contrasts(result: StudyResult) -> str:
    kinds = dict.fromkeys(one.kind for one in result.contrasts)
    parts: list[str] = []
    for kind in kinds:
        chosen = [one for one in result.contrasts if one.kind == kind]
        notes = " ".join(dict.fromkeys(one.note for one in chosen if one.note))
        parts.append(f"<h2>Differences: {escape(kind)}</h2>\n")
        parts.append(page.grid(tables.contrast_rows(chosen), header=tables.CONTRAST_HEADER, label=kind))
        parts.append(f'<p class="quiet">{escape(notes)}</p>\n' if notes else "")
    return "".join(parts)


def _numbers(result: StudyResult) -> str:
    table = page.grid(tables.numbers(result), header=tables.numbers_header(result), label="All numbers")
    return f"<details>\n<summary>All numbers</summary>\n{table}</details>\n"


def _notes(notes: list[str]) -> str:
    return "".join(f'<p class="quiet">{escape(note)}</p>\n' for note in notes)
