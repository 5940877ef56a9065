"""The data path: import, split and sample a generated log of MovieLens-25M's shape, and a quarter of it.

It decides that every size runs in a process of its own, which tells its peak memory; and that a time is called linear
by what an event takes in the whole log against the quarter.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from recollect.bench.generated_log import EVENTS, write_movielens
from recollect.bench.result import Asked, Findings, Row, WayTime
from recollect.errors import SystemFailure
from recollect.progress import Progress

__all__ = ["measure_data"]

_QUICK_EVENTS: Final = 8_000
_QUARTER: Final = 4
_STAGES: Final = ("import", "load", "split", "statistics", "sample")


def measure_data(asked: Asked, *, progress: Progress) -> Findings:
    """Generate the logs and run all stages on each.

    Raises
    ------
    SystemFailure
        If a stage does not come to its end.
    """
    events = _QUICK_EVENTS if asked.quick else EVENTS
    sizes = (events // _QUARTER, events)
    progress.start(f"data path, {events:,} events", len(sizes) * (1 + len(_STAGES)))
    found = Findings()
    took: list[dict[str, dict[str, Any]]] = []
    for number, size in enumerate(sizes):
        with tempfile.TemporaryDirectory(prefix="recollect-bench-") as folder:
            place = Path(folder)
            write_movielens(place / "log", events=size, seed=0)
            progress.advance(number * (1 + len(_STAGES)) + 1)
            took.append(_run(place, progress, done=number * (1 + len(_STAGES)) + 1))
        found.times += [_time(f"{size:,} events", stage, one["seconds"]) for stage, one in took[-1].items()]
        found.facts |= _facts(size, took[-1])
    progress.finish()
    found.rows += [_row(events, stage, took[0][stage]["seconds"], took[1][stage]["seconds"]) for stage in _STAGES]
    return found


def _run(place: Path, progress: Progress, *, done: int) -> dict[str, dict[str, Any]]:
    """Run the stages in a process of their own; return what each said.

    Raises
    ------
    SystemFailure
        If one does not come to its end.
    """
    command = [sys.executable, "-m", "recollect.bench.data_stages", str(place / "log"), str(place / "data")]
    stages: dict[str, dict[str, Any]] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:  # noqa: S603 - our own module
        for line in process.stdout or ():
            told = json.loads(line)
            stages[told["stage"]] = told
            progress.advance(done + len(stages))
    if process.returncode or len(stages) < len(_STAGES):
        raise SystemFailure(
            "the data path did not come to its end",
            got=f"exit code {process.returncode} after {', '.join(stages) or 'nothing'}",
            expected=f"{len(_STAGES)} stages",
            do="look at the message above; a full log needs some gigabytes of memory and of temporary space",
        )
    return stages


def _time(group: str, stage: str, seconds: float) -> WayTime:
    each = 1000 * seconds
    return WayTime(
        group=group, way=stage, precision="", median_ms=each, low_ms=each, high_ms=each, cores_ms=each, runs=1
    )


def _facts(events: int, stages: dict[str, dict[str, Any]]) -> dict[str, float | str]:
    peaks = {stage: one["peak_mb"] for stage, one in stages.items() if one["peak_mb"] is not None}
    return {f"peak memory in MB, {events:,} events, up to {stage}": peak for stage, peak in peaks.items()}


def _row(events: int, stage: str, quarter: float, whole: float) -> Row:
    """Compare what an event takes: 1 is linear time, below 1 is worse."""
    return Row(
        part="data",
        work=f"{stage}, {events:,} events",
        backbone="",
        against="a quarter, per event",
        precision="",
        ratio=_QUARTER * quarter / whole,
        low=_QUARTER * quarter / whole,
        high=_QUARTER * quarter / whole,
        allowed=1.0,
        ours=stage,
        rate=events / whole,
        rate_unit="events/s",
    )
