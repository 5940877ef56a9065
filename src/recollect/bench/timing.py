"""Timing: ways to do a job, run in turn, and what the clock says of each.

It decides that every round runs each way once, in an order drawn anew, after one round that is not counted; so another
job on the machine hits all ways alike. That first round also says how many rounds fit into the seconds given. A slow
way may take part in every n-th round only, or do a part of the job, whose time is then scaled. Beside the time on the
clock stands the time that the process spent on all cores together: another job stretches the first one, the second one
hardly. Dimension letters: R rounds, N runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from recollect.progress import SILENT, Progress

LEAST_ROUNDS: Final = 3
"""Rounds that are counted however long they take."""


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """Name one way to do a job.

    Parameters
    ----------
    group : str
        The job; ways of one group are compared.
    name : str
        The way.
    run : callable
        Does the job once; this is what is timed.
    prepare : callable
        Runs before each time, unseen by the clock.
    every : int
        Takes part in every n-th round.
    tokens : int
        Tokens that one run works through, 0 if nobody asks for a rate.
    share : float
        The part of the job that one run does; its time is divided by it.
    """

    group: str
    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = _nothing
    every: int = 1
    tokens: int = 0
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Hold the milliseconds of a way over its runs: median and quartiles, and the median summed over all cores."""

    way: Way
    median: float
    low: float
    high: float
    cores: float
    runs: int

    @classmethod
    def of(cls, way: Way, seconds: Sequence[tuple[float, float]]) -> Timing:
        """Sum up single runs, each with its seconds on the clock and on all cores."""
        milliseconds = np.array(seconds) * 1000 / way.share
        low, median, high = np.quantile(milliseconds[:, 0], [0.25, 0.5, 0.75]).tolist()
        return cls(way, median, low, high, float(np.median(milliseconds[:, 1])), len(seconds))


def time_interleaved(
    ways: Sequence[Way],
    *,
    rounds: int,
    seconds: float = math.inf,
    settle: Callable[[], object] = _nothing,
    progress: Progress = SILENT,
    label: str = "timing",
    seed: int = 0,
) -> list[Timing]:
    """Run all ways in turn and time each run.

    Parameters
    ----------
    ways : sequence of Way
        What to compare.
    rounds : int
        R, beside the first round, which warms up and is not counted.
    seconds : float
        About how long all rounds may take: there are fewer than R if they would take longer, `LEAST_ROUNDS` at least.
    settle : callable
        Waits until a device has done all that it was given; called before the clock is read.
    progress : Progress
        Hears of every round.
    label : str
        What is timed, for `progress`.
    seed : int
        Of the order within each round.

    Returns
    -------
    list of Timing
        In the order of `ways`.
    """
    random = np.random.default_rng(seed)
    taken: list[list[tuple[float, float]]] = [[] for _ in ways]
    begun = time.perf_counter()
    for choice in map(int, random.permutation(len(ways))):
        time_once(ways[choice], settle=settle)
    count = _fitting(rounds, seconds, took=time.perf_counter() - begun)
    progress.start(label, count)
    for number in range(count):
        for choice in map(int, random.permutation(len(ways))):
            if number % ways[choice].every == 0:
                taken[choice].append(time_once(ways[choice], settle=settle))
        progress.advance(number + 1)
    progress.finish(f"{len(ways)} ways in {count} rounds")
    return [Timing.of(way, times) for way, times in zip(ways, taken, strict=True)]


def time_once(way: Way, *, settle: Callable[[], object] = _nothing) -> tuple[float, float]:
    """Prepare and run a way once; return its seconds on the clock and on all cores, not scaled."""
    way.prepare()
    settle()
    begun = time.perf_counter(), time.process_time()
    way.run()
    settle()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def _fitting(rounds: int, seconds: float, *, took: float) -> int:
    """Return how many rounds fit; the first one, which warms up, is rather slower than the others."""
    return min(rounds, max(LEAST_ROUNDS, int(min(rounds, seconds / max(took, 1e-9)))))
