"""The report of the benchmarks of the service: what was asked and what was got, as a table and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recollect.cli.output import say, show, show_table

_JUDGED = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one figure.

    Parameters
    ----------
    name : str
        What was measured, with its unit.
    got : float
        The figure.
    asked : str
        What it should be; empty where nothing is asked.
    met : bool or None
        Whether it is so; None where nothing is asked, or not at this size.
    """

    name: str
    got: float
    asked: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what a part found: figures, and whatever helps to understand them."""

    part: str
    figures: tuple[Figure, ...]
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


def at_most(name: str, got: float, limit: float) -> Figure:
    """Ask a figure to be a limit or less."""
    return Figure(name, got, f"at most {limit:g}" if limit else "0", got <= limit)


def at_least(name: str, got: float, limit: float) -> Figure:
    """Ask a figure to be a limit or more."""
    return Figure(name, got, f"at least {limit:g}", got >= limit)


def percentiles(name: str, milliseconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the largest of some times; nothing of none."""
    if not milliseconds:
        return {}
    values = np.percentile(milliseconds, (50, 95, 99, 100))
    return {f"{name} {mark}, ms": round(float(v), 2) for mark, v in zip(("p50", "p95", "p99", "max"), values)}  # noqa: B905


def show_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print a table for each part."""
    for outcome in outcomes:
        show("")
        rows = [(one.name, one.asked, _number(one.got), _JUDGED[one.met]) for one in outcome.figures]
        show_table(rows, header=(outcome.part, "asked", "got", ""))


def write_outcomes(outcomes: Sequence[Outcome], file: Path, *, facts: Mapping[str, Any]) -> None:
    """Write facts and figures as JSON, making the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    document = {"date": date, **facts, "parts": [asdict(one) for one in outcomes]}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    say(f"written to {file}")


def _number(value: float) -> str:
    return f"{value:,d}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
