"""Sampling a slow way: in which batches it is fastest, and how much of the job stands for all of it.

It decides that a job which would take more than 20 seconds is measured on what fits into six, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from recollect.bench.timing import Way, time_once

__all__ = ["Sampling", "choose_sampling"]

_TOO_LONG: Final = 20.0  # seconds of one run
_SAMPLED: Final = 6.0  # seconds that a run on a part may take


@dataclass(frozen=True, slots=True)
class Sampling:
    """Hold how many pieces of work go at once, and how many of `count` stand for all."""

    batch: int
    some: int
    count: int

    @property
    def note(self) -> str:
        """Say what is scaled; empty if nothing is."""
        return "" if self.some == self.count else f"plain way scaled from {self.some}"


def choose_sampling(
    run: Callable[[int], object], *, count: int, batches: tuple[int, ...], settle: Callable[[], object]
) -> Sampling:
    """Try batches of some sizes once each, after one that does not count.

    Parameters
    ----------
    run : callable
        Does so many pieces of work at once.
    count : int
        Pieces of the whole job.
    batches : tuple of int
        Sizes to try, as far as there are so many pieces; the first is 1.
    settle : callable
        Waits until a device has done all that it was given.
    """
    run(1)
    tried = [batch for batch in batches if batch <= count]
    each = {batch: time_once(Way("", "", lambda batch=batch: run(batch)), settle=settle)[0] / batch for batch in tried}
    batch = min(each, key=lambda one: each[one])
    return Sampling(batch, _sampled(count, batch, each[batch]), count)


def _sampled(count: int, batch: int, seconds: float) -> int:
    """Return how many pieces to measure, whole batches of them if not all, each taking so many seconds."""
    if seconds * count <= _TOO_LONG:
        return count
    return min(count, batch * max(1, int(_SAMPLED / seconds / batch)))
