"""The progress display: one line on stderr that says how far, how well and how long still.

It decides that a terminal gets a bar, and anything else one plain line about every ten seconds, so that a log file
stays short.
"""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from recollect.cli.output import say
from recollect.progress import Progress

EVERY = 10.0
"""Seconds between two lines where stderr is no terminal."""


@contextmanager
def shown_progress() -> Generator[Progress]:
    """Give a `Progress` on stderr that fits the place; the terminal is tidy again afterwards, whatever happened."""
    if not sys.stderr.isatty():
        yield LineProgress(say, clock=time.monotonic)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield BarProgress(bar, clock=time.monotonic)


class BarProgress:
    """A `Progress` for terminals: a bar, the facts of the last `advance`, the rate and the time left.

    Parameters
    ----------
    bar
        The rich display, already started.
    clock
        Gives seconds; only differences count.
    """

    def __init__(self, bar: Bar, *, clock: Callable[[], float]) -> None:
        self._bar = bar
        self._clock = clock
        self._task = bar.add_task("", visible=False, facts="")
        self._label = ""
        self._begun = 0.0

    def start(self, label: str, total: int) -> None:
        """Show a fresh bar."""
        self._label = label
        self._begun = self._clock()
        self._bar.reset(self._task, description=label, total=total, visible=True, facts="")

    def advance(self, done: int, **facts: float) -> None:
        """Move the bar to the units done and show the facts beside it."""
        seconds = self._clock() - self._begun
        self._bar.update(self._task, completed=done, facts=_told(done, facts, seconds=seconds))

    def finish(self, note: str = "") -> None:
        """Replace the bar by one line with the time it took."""
        self._bar.update(self._task, visible=False)
        self._bar.console.print(_ended(self._label, note, self._clock() - self._begun), highlight=False, markup=False)


class LineProgress:
    """A `Progress` for files and pipes: a line at the start of each stretch of `EVERY` seconds, and one at the end.

    Parameters
    ----------
    say
        Takes each line.
    clock
        Gives seconds; only differences count.
    """

    def __init__(self, say: Callable[[str], None], *, clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._label, self._total = "", 0
        self._begun = self._spoken = 0.0

    def start(self, label: str, total: int) -> None:
        """Remember what begins; short work says nothing before its end."""
        self._label, self._total = label, total
        self._begun = self._spoken = self._clock()

    def advance(self, done: int, **facts: float) -> None:
        """Write a line if the last one is long enough ago."""
        now = self._clock()
        if now - self._spoken < EVERY:
            return
        self._spoken = now
        seconds = now - self._begun
        left = f" · {seconds * (self._total - done) / done:.0f} s left" if 0 < done <= self._total else ""
        share = f"{done / self._total:.0%}" if self._total else str(done)
        self._say(f"{self._label}: {share} · {_told(done, facts, seconds=seconds)}{left}")

    def finish(self, note: str = "") -> None:
        """Write the line that sums up."""
        self._say(_ended(self._label, note, self._clock() - self._begun))


def _told(done: int, facts: dict[str, float], *, seconds: float) -> str:
    """Say the facts, then the rate per second once there is one."""
    parts = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in facts.items()]
    if seconds > 0:
        parts.append(f"{done / seconds:,.0f}/s")
    return " · ".join(parts)


def _ended(label: str, note: str, seconds: float) -> str:
    return f"{label}: {note or 'done'} ({seconds:.1f} s)"
