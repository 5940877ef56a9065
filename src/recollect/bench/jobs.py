"""Jobs: ways with what they cost, timed together, and rows made of their times.

It decides that a product of matrices takes part in every round, so that shares of the peak hold for the load of that
moment; and that of several ways of ours the fastest stands for us, by its median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from recollect.bench.cost import Cost
from recollect.bench.machine import product_flops, product_way, settler
from recollect.bench.result import Row, WayTime
from recollect.bench.timing import Timing, Way, time_interleaved
from recollect.progress import Progress

__all__ = ["Effort", "Job", "compare", "time_jobs"]

_NUMBER_BYTES: Final = {"float32": 4, "bfloat16": 2, "int8": 1}
_PER_GIGA: Final = 1e-6  # operations per millisecond, in GFLOP/s


@dataclass(frozen=True, slots=True)
class Job:
    """Hold a way with its cost and the type of its numbers; `note` says what was scaled, if anything was."""

    way: Way
    cost: Cost | None
    precision: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Effort:
    """Set how often and how long ways are timed."""

    rounds: int
    seconds: float


def time_jobs(
    jobs: Sequence[Job], *, effort: Effort, device: torch.device, progress: Progress, label: str
) -> list[WayTime]:
    """Time all jobs in turn, beside a matrix product of each type that they use."""
    kinds = [kind for kind in dict.fromkeys(job.precision for job in jobs) if kind != "int8"]
    products = [product_way("peak", kind, device) for kind in kinds]
    timings = time_interleaved(
        [*products, *(job.way for job in jobs)],
        rounds=effort.rounds,
        seconds=effort.seconds,
        settle=settler(device),
        progress=progress,
        label=label,
    )
    peaks = {
        kind: product_flops(device) * _PER_GIGA / one.median
        for kind, one in zip(kinds, timings[: len(kinds)], strict=True)
    }
    return [_way_time(job, one, peaks) for job, one in zip(jobs, timings[len(kinds) :], strict=True)]


def compare(row: Row, ours: Sequence[WayTime], against: WayTime | None, *, units: int = 0) -> Row:
    """Fill in a row: the fastest of ours beside another way.

    Parameters
    ----------
    row : Row
        What is asked.
    ours : sequence of WayTime
        Ways of ours, at least one.
    against : WayTime
        The other way; None if there is none, and only the rate counts.
    units : int
        Pieces of work of a run, of which the row's rate counts so many a second.
    """
    best = min(ours, key=lambda one: one.median_ms)
    filled = {
        "ours": best.way,
        "rate": 1000 * units / best.median_ms if units else None,
        "peak_share": best.peak_share,
        "note": "; ".join(
            dict.fromkeys(part for part in (row.note, best.note, against.note if against else "") if part)
        ),
    }
    if against is not None:
        filled |= {
            "ratio": against.median_ms / best.median_ms,
            "low": against.low_ms / best.high_ms,
            "high": against.high_ms / best.low_ms,
            "allowed": against.flops / best.flops if against.flops and best.flops else None,
        }
    return row.model_copy(update=filled)


def _way_time(job: Job, timing: Timing, peaks: dict[str, float]) -> WayTime:
    gflops = None if job.cost is None else job.cost.flops * _PER_GIGA / timing.median
    peak = peaks.get(job.precision)
    return WayTime(
        group=job.way.group,
        way=job.way.name,
        precision=job.precision,
        median_ms=timing.median,
        low_ms=timing.low,
        high_ms=timing.high,
        cores_ms=timing.cores,
        runs=timing.runs,
        share=job.way.share,
        note=job.note,
        flops=None if job.cost is None else job.cost.flops,
        bytes=None if job.cost is None else job.cost.numbers * _NUMBER_BYTES[job.precision],
        gflops=gflops,
        peak_share=None if gflops is None or peak is None else gflops / peak,
    )
