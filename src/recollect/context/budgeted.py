"""A mapping within a byte budget: the least recently used entries go first.

It decides nothing about what is kept; whoever keeps something says how many bytes it takes. What has gone must be
possible to make again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Budgeted(Generic[Key, Value]):
    """Keep values by key, of all together at most so many bytes.

    Parameters
    ----------
    budget : int or None
        Bytes; None keeps everything.

    Examples
    --------
    >>> kept = Budgeted[str, int](budget=10)
    >>> for name in ("a", "b", "c"):
    ...     kept.put(name, 0, nbytes=4)
    >>> [name in kept for name in ("a", "b", "c")], kept.nbytes
    ([False, True, True], 8)
    """

    def __init__(self, *, budget: int | None) -> None:
        self.budget = budget
        self.nbytes = 0
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """Return what is kept and count it as used now; None if nothing is."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: Value, *, nbytes: int) -> None:
        """Keep a value as the one used last; what exceeds the budget goes, this one too if it alone does."""
        self.drop(key)
        self._kept[key] = value, nbytes
        self.nbytes += nbytes
        self._shrink()

    def limit(self, budget: int | None) -> None:
        """Keep to another budget from now on."""
        self.budget = budget
        self._shrink()

    def _shrink(self) -> None:
        while self.budget is not None and self.nbytes > self.budget:
            self.nbytes -= self._kept.popitem(last=False)[1][1]

    def drop(self, key: Key) -> bool:
        """Forget a value; say whether there was one."""
        found = self._kept.pop(key, None)
        self.nbytes -= 0 if found is None else found[1]
        return found is not None

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.nbytes = 0
