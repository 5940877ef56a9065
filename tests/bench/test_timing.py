"""Interleaved timing: every way runs in every round, and what the clock says becomes milliseconds."""

import math
from collections import Counter

import pytest

from recollect.bench.timing import LEAST_ROUNDS, Timing, Way, time_interleaved, time_once


class Spoken:
    """A `Progress` that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, label: str, total: int) -> None:
        self.told.append((label, total))

    def advance(self, done: int, **facts: float) -> None:
        self.told.append((done, facts))

    def finish(self, note: str = "") -> None:
        self.told.append(("end", bool(note)))


def test_median_and_quartiles_are_milliseconds_of_the_whole_job():
    way = Way("job", "way", int, share=0.5)
    timing = Timing.of(way, [(0.001, 0.002), (0.002, 0.004), (0.003, 0.006)])
    assert (timing.low, timing.median, timing.high) == pytest.approx((3.0, 4.0, 5.0))  # 1.5, 2 and 2.5 ms of a half
    assert timing.cores == pytest.approx(8.0)
    assert timing.runs == 3


@pytest.mark.parametrize(("rounds", "seconds", "counted"), [(2, math.inf, 2), (9, math.inf, 9), (9, 0.0, LEAST_ROUNDS)])
def test_every_way_runs_once_a_round_beside_the_first(rounds, seconds, counted):
    runs: Counter[str] = Counter()
    progress = Spoken()
    ways = [Way("job", name, lambda name=name: runs.update([name])) for name in "ab"]
    timings = time_interleaved(ways, rounds=rounds, seconds=seconds, progress=progress, label="both")
    assert [(one.way.name, one.runs) for one in timings] == [("a", counted), ("b", counted)]
    assert runs == {"a": counted + 1, "b": counted + 1}
    assert progress.told == [("both", counted), *((done, {}) for done in range(1, counted + 1)), ("end", True)]


def test_a_slow_way_takes_part_in_some_rounds():
    slow, fast = time_interleaved([Way("job", "slow", int, every=3), Way("job", "fast", int)], rounds=7)
    assert (slow.runs, fast.runs) == (3, 7)


def test_preparation_comes_first_and_the_device_settles_before_each_look_at_the_clock():
    order: list[str] = []
    way = Way("job", "way", lambda: order.append("run"), prepare=lambda: order.append("prepare"))
    time_once(way, settle=lambda: order.append("settle"))
    assert order == ["prepare", "settle", "run", "settle"]
