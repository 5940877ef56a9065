"""The job of a benchmark of the service: which run and data, how large, and the events that people make.

It decides that all chance comes from one seed, that half of the people are of the import and half are new, and that
events are of any item, with feedback as the log has it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from recollect.data.dataset import Dataset

EventBody = dict[str, Any]
"""An event as the HTTP API takes it."""

_LATE: Final = 30 * 24 * 3600  # seconds that an event which comes in late may be late


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Say what is measured, and where.

    Parameters
    ----------
    run, data : Path
        Folders of a tuned model and of the imported log.
    dataset : Dataset
        What lies in `data`.
    folder : Path
        An empty folder for stores and logs.
    seed : int
        Of all chance.
    quick : bool
        Whether to see only that all of it runs.
    stores : tuple of str
        "sqlite" and "postgresql": the kinds of stores to measure; none leaves it to the part.
    requests : int
        Of the soak.
    kills : int
        Of each store.
    """

    run: Path
    data: Path
    dataset: Dataset
    folder: Path
    seed: int
    quick: bool
    stores: tuple[str, ...]
    requests: int
    kills: int


class People:
    """Make the events of some people, not safe from many threads.

    Parameters
    ----------
    dataset : Dataset
        Whose items they judge, and some of whom they are.
    name : str
        Marks new people and events; each maker has another one.
    count : int
        How many people.
    seed : int
        Of all chance.

    Attributes
    ----------
    users : tuple of str
        Their ids: users of the import, and as many new ones.
    """

    def __init__(self, dataset: Dataset, *, name: str, count: int, seed: int) -> None:
        self.dataset = dataset
        self.random = np.random.default_rng([seed, *name.encode()])
        imported: list[int] = self.random.permutation(len(dataset.users))[: count // 2].tolist()
        new = [f"{name}-{code}" for code in range(count - len(imported))]
        self.users: tuple[str, ...] = (*(dataset.users.ids[code] for code in imported), *new)
        self._values = np.unique(dataset.log.value)
        self._name = name
        self._numbers = itertools.count()

    def event(self, user: str | None = None, *, late: float = 0.0) -> EventBody:
        """Make an event of a user, or of anybody; `late` is the chance that it happened some time ago."""
        event: EventBody = {
            "id": f"{self._name}-e{next(self._numbers)}",
            "user": user or self.users[self.random.integers(len(self.users))],
            "item": self.items(1)[0],
            "value": float(self.random.choice(self._values)),
        }
        if self.random.random() < late:
            event["time"] = int(self.dataset.log.time[-1]) + int(self.random.integers(_LATE))
        return event

    def events(self, number: int, *, late: float = 0.0) -> list[EventBody]:
        """Make events of anybody."""
        return [self.event(late=late) for _ in range(number)]

    def items(self, number: int) -> list[str]:
        """Choose items, none twice."""
        total = len(self.dataset.catalog)
        codes: list[int] = self.random.choice(total, min(number, total), replace=False).tolist()
        return [self.dataset.catalog.ids[code] for code in codes]
