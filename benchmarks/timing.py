"""Timing: ways to do a job, run in turn, and what the clock says of each.

It decides that every round runs each way once, in an order drawn anew, after one round that is not counted. A slow way
may take part in every n-th round only. Dimension letter: R rounds.
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
    """Hold the milliseconds of a way over its runs: median and quartiles."""

    way: Way
    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, way: Way, milliseconds: Sequence[float]) -> Timing:
        """Sum up single runs."""
        low, median, high = np.quantile(milliseconds, [0.25, 0.5, 0.75]).tolist()
        return cls(way, median, low, high, len(milliseconds))


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
    taken: list[list[float]] = [[] for _ in ways]
    for number in range(rounds + 1):
        for choice in random.permutation(len(ways)).tolist():
            way = ways[choice]
            if number and (number - 1) % way.every:
                continue
            way.prepare()
            begun = time.perf_counter()
            way.run()
            if number:
                taken[choice].append(1000 * (time.perf_counter() - begun))
    return [Timing.of(way, times) for way, times in zip(ways, taken, strict=True)]
