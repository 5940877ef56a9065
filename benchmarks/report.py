"""The report: tables on stdout and the same as JSON."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.suite import Report
from recollect.bench.timing import Timing
from recollect.cli.output import say, show, show_table

_HEADER = ("way", "median ms", "quartiles ms", "all cores ms", "runs", "times the first", "tokens/s")


def show_report(report: Report) -> None:
    """Print machine, one table per job, agreement and targets."""
    show_table([(name, value) for name, value in report.machine.items()], title=f"machine, {report.date}")
    for group, timings in groupby(report.timings, key=lambda one: one.way.group):
        listed = list(timings)
        show("")
        show_table([_row(one, listed[0]) for one in listed], header=_HEADER, title=group)
    show("")
    show_table(
        [(name, f"{value:.1e}") for name, value in report.disagreement.items()],
        title="largest difference of log-odds from a warm trunk",
    )
    if report.targets:
        show("")
        rows = [
            (one.name, f"{one.measured:.3g}", one.promised, "met" if one.met else "MISSED") for one in report.targets
        ]
        show_table(rows, header=("target", "measured", "promised", ""))


def write_report(report: Report, file: Path) -> None:
    """Write the JSON, making its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    say(f"written to {file}")


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values."""
    first = {one.way.group: one for one in reversed(report.timings)}
    return {
        "date": report.date,
        "machine": report.machine,
        "ways": [_values(one, first[one.way.group]) for one in report.timings],
        "disagreement": report.disagreement,
        "targets": [
            {"name": one.name, "measured": one.measured, "promised": one.promised, "met": one.met}
            for one in report.targets
        ],
    }


def _values(timing: Timing, first: Timing) -> dict[str, Any]:
    return {
        "group": timing.way.group,
        "way": timing.way.name,
        "median_ms": timing.median,
        "quartiles_ms": [timing.low, timing.high],
        "all_cores_ms": timing.cores,
        "runs": timing.runs,
        "times_the_first": timing.median / first.median,
        "tokens_per_second": _rate(timing),
    }


def _row(timing: Timing, first: Timing) -> tuple[str, ...]:
    rate = _rate(timing)
    return (
        timing.way.name,
        f"{timing.median:.2f}",
        f"{timing.low:.2f} to {timing.high:.2f}",
        f"{timing.cores:.2f}",
        str(timing.runs),
        f"{timing.median / first.median:.2f}",
        "" if rate is None else f"{rate:,.0f}",
    )


def _rate(timing: Timing) -> float | None:
    return 1000 * timing.way.tokens / timing.median if timing.way.tokens else None
