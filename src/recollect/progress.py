"""Progress: how long work tells what it is doing. It decides nothing about how that is shown.

Tuning and evaluation take a `Progress` as a parameter; the command line hands in a display, programs and tests hand
in `SILENT` or their own.
"""

from dataclasses import dataclass
from typing import Final, Protocol


class Progress(Protocol):
    """Listen to one piece of work after another, never two at a time."""

    def start(self, label: str, total: int) -> None:
        """Begin a piece of work: what it is, and of how many units it consists."""
        ...

    def advance(self, done: int, **facts: float) -> None:
        """Say how many units are done since `start` (not since the last call), and facts such as the loss."""
        ...

    def finish(self, note: str = "") -> None:
        """End the piece of work, with one line that sums it up."""
        ...


@dataclass(frozen=True)
class Silence:
    """A `Progress` that shows nothing."""

    def start(self, label: str, total: int) -> None:
        """Ignore the begin of a piece of work."""

    def advance(self, done: int, **facts: float) -> None:
        """Ignore the units done."""

    def finish(self, note: str = "") -> None:
        """Ignore the end."""


SILENT: Final = Silence()
