"""Timing: ways to do a job, run in turn, and what the clock says of each.

It decides that every round runs each way once, in an order drawn anew, after one round that is not counted. A slow way
may take part in every n-th round only. Beside the time on the clock stands the time that the process spent on all
cores together: another job stretches the first one, the second one hardly. Dimension letters: R rounds, N runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


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
    """

    group: str
    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = _nothing
    every: int = 1
    tokens: int = 0


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
        low, median, high = np.quantile(np.array(seconds)[:, 0] * 1000, [0.25, 0.5, 0.75]).tolist()
        return cls(way, median, low, high, 1000 * float(np.median(np.array(seconds)[:, 1])), len(seconds))


def time_interleaved(ways: Sequence[Way], *, rounds: int, seed: int = 0) -> list[Timing]:
    """Run all ways in turn and time each run.

    Parameters
    ----------
    ways : sequence of Way
        What to compare.
    rounds : int
        R, beside the first round, which warms up and is not counted.
    seed : int
        Of the order within each round.

    Returns
    -------
    list of Timing
        In the order of `ways`.
    """
    random = np.random.default_rng(seed)
    taken: list[list[tuple[float, float]]] = [[] for _ in ways]
    for number in range(rounds + 1):
        for choice in map(int, random.permutation(len(ways))):
            way = ways[choice]
            if number and (number - 1) % way.every:
                continue
            way.prepare()
            begun = time.perf_counter(), time.process_time()
            way.run()
            ended = time.perf_counter(), time.process_time()
            if number:
                taken[choice].append((ended[0] - begun[0], ended[1] - begun[1]))
    return [Timing.of(way, times) for way, times in zip(ways, taken, strict=True)]
