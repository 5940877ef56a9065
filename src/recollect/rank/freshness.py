"""Freshness: how a real person's list moves with that person's next events, while no weight changes.

It decides the setting: the log is cut at the moment before the events, so nothing later is known; the events are the
user's real next ones, in their order; the model's weights are hashed before and after.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recollect.data.dataset import Dataset
from recollect.data.past import Past
from recollect.data.splits import Split
from recollect.errors import DataError
from recollect.rank.ranking import RankedItem, Ranking
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel

_KNOWN = 15  # a person worth looking at has this many events before


@dataclass(frozen=True, slots=True)
class Step:
    """One real event: what it was, what the model expected, and the milliseconds from the event to the new list."""

    item: str
    title: str
    value: float
    liked: bool
    expected: float
    milliseconds: float


class Move(NamedTuple):
    """Where an item stands now and stood before; rank and score before are None if it was not in the list."""

    title: str
    rank: int
    score: float
    rank_before: int | None
    score_before: float | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """What happened to a list.

    Parameters
    ----------
    user : str
        Id of the user.
    before, after : Ranking
        The whole list before the events, and after them.
    reasons : tuple of RankedItem
        The best items after the events, with the past events that carried weight.
    steps : tuple of Step
        The events.
    digest_before, digest_after : str
        SHA-256 of all weights.
    """

    user: str
    before: Ranking
    after: Ranking
    reasons: tuple[RankedItem, ...]
    steps: tuple[Step, ...]
    digest_before: str
    digest_after: str

    def moves(self, *, top: int) -> list[Move]:
        """Say of each of the best items now where it stood before."""
        old = {item.item: item for item in self.before.items}
        return [
            Move(
                item.title,
                item.rank,
                item.score,
                old[item.item].rank if item.item in old else None,
                old[item.item].score if item.item in old else None,
            )
            for item in self.after.items[:top]
        ]

    def largest_moves(self, *, among: int, count: int) -> list[Move]:
        """Return the moves by most places among the best items now, the largest first."""
        known = [(abs(move.rank - move.rank_before), move) for move in self.moves(top=among) if move.rank_before]
        return [move for _, move in sorted(known, key=lambda pair: -pair[0])[:count]]


def watch(tuned: TunedModel, dataset: Dataset, *, user: int, events: int = 3, top: int = 10) -> Freshness:
    """Let a user's last events happen again, one by one.

    Parameters
    ----------
    tuned : TunedModel
        The model.
    dataset : Dataset
        The whole log.
    user : int
        Code of the user, as `choose_user` gives it.
    events : int
        How many events.
    top : int
        Length of the list that each event is timed for, and how many of its items get reasons.

    Raises
    ------
    DataError
        If the user has not that many events, of different moments.
    """
    rows = Past(dataset.log).rows(user)[-events:]
    moments = dataset.log.time[rows]
    if len(rows) < events or len(np.unique(moments)) < events:
        raise DataError(
            "too few events to watch",
            got=f"{len(rows)} events",
            expected=f"{events} at different moments",
            do="take another user",
        )
    earlier = Dataset(dataset.log.before(int(moments[0])), dataset.catalog, dataset.users, dataset.facts)
    recommender = Recommender(tuned, earlier)
    name = dataset.users.ids[user]
    digest = tuned.digest()
    before = recommender.recommend(name, at=int(moments[0]), top=len(dataset.catalog))
    steps = tuple(_step(recommender, dataset, name, row=int(row), top=top) for row in rows)
    after = recommender.recommend(name, top=len(dataset.catalog))
    reasons = recommender.recommend(name, top=top, explain=True).items
    return Freshness(name, before, after, reasons, steps, digest, tuned.digest())


def choose_user(dataset: Dataset, split: Split, *, events: int = 3) -> int:
    """Find a person to watch: tastes of both kinds, a past of some length, and the last events in the test part.

    Raises
    ------
    DataError
        If nobody fits.
    """
    past, log = Past(dataset.log), dataset.log
    for user in np.unique(log.user[split.test]).tolist():
        rows = past.rows(user)
        known, last = rows[:-events], rows[-events:]
        share = log.label[known].mean() if len(known) else 0
        fits = len(known) >= _KNOWN and 0.3 < share < 0.7 and last[0] >= split.test[0]
        if fits and len(np.unique(log.time[last])) == events and log.label[last].any():
            return user
    raise DataError("nobody to watch", got="no user with enough events", expected="one", do="evaluate a longer log")


def _step(recommender: Recommender, dataset: Dataset, user: str, *, row: int, top: int) -> Step:
    log, catalog = dataset.log, dataset.catalog
    code = int(log.item[row])
    moment = int(log.time[row])
    expected = float(recommender.score(user, [catalog.ids[code]], at=moment)[0])
    begun = time.perf_counter()
    recommender.add(user, catalog.ids[code], value=float(log.value[row]), at=moment)
    recommender.recommend(user, top=top)
    milliseconds = 1000 * (time.perf_counter() - begun)
    return Step(
        catalog.ids[code], catalog.titles[code], float(log.value[row]), bool(log.label[row]), expected, milliseconds
    )
