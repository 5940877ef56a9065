"""Erasures and the answers that are under way meanwhile: such an answer leaves nothing of the person behind.

It decides that an answer is kept only if its person was not erased between question and answer, and that both are one
step: what is kept before an erasure is erased by it. Counts stand for people, a few for many, so nobody's id is held;
who shares a count with somebody erased has an answer that cannot be explained later, which is rare and harms nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_COUNTS: Final = 1024


class Erasures:
    """Count erasures; safe from many threads."""

    def __init__(self) -> None:
        self._counts = [0] * _COUNTS
        self._erasing = Lock()
        self._keeping = Lock()

    def count(self, user: str | None) -> int:
        """Return a number that changes with each erasure of a user, and is odd while one is under way."""
        return 0 if user is None else self._counts[_place(user)]

    @contextmanager
    def of(self, user: str) -> Generator[None]:
        """Erase a user within the block, one after the other."""
        with self._erasing:
            self._step(user)
            try:
                yield
            finally:
                self._step(user)

    def keep(self, user: str | None, *, since: int, work: Callable[[], object]) -> None:
        """Do quick work that keeps something of a user, unless an erasure began since `count` was `since`."""
        with self._keeping:
            if since % 2 == 0 and self.count(user) == since:
                work()

    def _step(self, user: str) -> None:
        with self._keeping:
            self._counts[_place(user)] += 1


def _place(user: str) -> int:
    return hash(user) % _COUNTS
