"""What the engine knows: everything stored, applied in order to the context of every arm.

It decides that an event is known before it is acknowledged, whoever stored it: after a write, everything in the store
up to it is applied, in order of its sequence numbers, under one lock, so the next question of anybody knows it, and a
duplicate is acknowledged only when the first one is known. Memory holds what can be made again from run, data and
store; a start replays the store, and ends in the state that the last run ended in.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from threading import Lock, RLock
from typing import Final

from recollect.context.live import NOBODY, LiveEvent
from recollect.data.dataset import Dataset
from recollect.errors import DataError, UsageError
from recollect.rank.capacity import Capacity
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel, digest_of, read_card
from recollect.service.arms import Arm, Arms
from recollect.service.engine_settings import EngineSettings
from recollect.service.light import LightRanker
from recollect.service.logs import write
from recollect.service.queries import Erasure
from recollect.service.records import Added, Appended, Item, NewEvent, StoredEvent, User
from recollect.service.shelves import Shelves
from recollect.service.store import Store

_PAGE: Final = 10_000
_AHEAD: Final = 24 * 3600  # seconds by which the clock of a sender may be fast


class Knowledge:
    """Keep the arms at the state of the store; safe from many threads. It knows everything stored once it is made.

    Parameters
    ----------
    run : Path
        The run folder of the first arm.
    dataset : Dataset
        The imported log.
    store : Store
        What came since.
    settings : EngineSettings
        Budgets.

    Attributes
    ----------
    arms : Arms
        Those that answer.
    shelves : Shelves
        All items and users.
    seq : int
        The last event of the store that is known.

    Raises
    ------
    RunNotFound, RunVersion, ModelError
        If the run cannot be read.
    SystemFailure
        If the store cannot be read.
    """

    def __init__(self, run: Path, dataset: Dataset, store: Store, *, settings: EngineSettings) -> None:
        self._dataset = dataset
        self._imported_until = int(dataset.log.time[-1]) if len(dataset.log) else 0
        self._store = store
        self._settings = settings
        self._erased = store.erased_among(dataset.users.ids)
        self._erasures = 0
        self._applying = RLock()
        self._activating = Lock()
        self._names: dict[str, str] = {}
        self.seq = 0
        self.shelves = Shelves(dataset)
        self.shelves.hide_users(self._erased)
        self.shelves.put_items(store.items())
        self.shelves.put_users(store.users())
        first = self._load(run)
        self._replay(first)
        self.arms = Arms(first)
        self._catch_up()

    def append(self, events: Sequence[NewEvent]) -> Appended:
        """Store events durably, then apply everything stored. An item that nobody described is added.

        Raises
        ------
        DataError
            If an event cannot be stored or has not happened yet, or its id belongs to an event with other content.
        SystemFailure
            If the store fails.
        """
        erasures, now = self._erasures, int(time.time())
        _check_past(events, latest=max(now, self._imported_until) + _AHEAD)
        likes = self.arms.first.recommender.likes
        appended = self._store.append(events, liked=likes, now=max(now, self._imported_until + 1))
        with self._applying:
            follows = bool(appended.accepted) and appended.accepted[0].seq == self.seq + 1
            whole = follows and appended.accepted[-1].seq == self.seq + len(appended.accepted)
            if whole and erasures == self._erasures:  # spares reading what is at hand
                self._apply(appended.accepted)
            else:
                self._catch_up()
        return appended

    def add_items(self, items: Sequence[Item]) -> Added:
        """Store items, then show them to every arm; as `Engine.add_items`."""
        with self._applying:
            new, same = self.shelves.parted_items(items)
            added = self._store.add_items(new)
            accepted = set(added.accepted)
            if self.shelves.put_items([item for item in new if item.id in accepted]):
                self._show_items()
        return Added(added.accepted, [*added.duplicates, *same])

    def add_users(self, users: Sequence[User]) -> Added:
        """Store users, then show them to every arm; as `Engine.add_users`."""
        with self._applying:
            imported = {user.id for user in self.shelves.imported_users(users)}
            added = self._store.add_users([user for user in users if user.id not in imported])
            accepted = set(added.accepted)
            if self.shelves.put_users([user for user in users if user.id in accepted]):
                for arm in self.arms:
                    arm.recommender.set_users(self.shelves.users)
        return Added(added.accepted, [*added.duplicates, *(user.id for user in users if user.id in imported)])

    def erase(self, user: str) -> Erasure:
        """Erase a user from the store, then from every arm; as `Engine.erase`."""
        with self._applying:
            self._catch_up()
            code = self.shelves.users.find(user, NOBODY)
            imported = int((self._dataset.log.user == code).sum())
            events = self._live_events(self._stored_events(user))
            erased = self._store.erase_user(user, now=int(time.time()))
            self._erasures += 1
            for arm in self.arms:
                arm.recommender.forget(user, events)
            self.shelves.hide_users([user])
        return Erasure(erased.events, erased.requests, erased.profile, imported)

    def activate(self, run: Path, *, split: float | None = None) -> None:
        """Load a run unless it answers as it lies there, let it know all that is stored, and exchange the arms.

        Raises
        ------
        UsageError
            If the share is out of range.
        RunNotFound, RunVersion, ModelError
            If the run cannot be read; then nothing has changed.
        """
        with self._activating:
            if split is not None and not 0 <= split <= 1:
                raise UsageError("a share out of range", got=split, expected="0 to 1", do="give 0.1 for a tenth")
            erasures, before = self._erasures, self.arms
            arm = next((one for one in before if _is_as_loaded(one, run)), None) or self._load(run)
            try:
                self._share_memory({*self.arms, arm})
                self._replay(arm)
                with self._applying:
                    if erasures != self._erasures and arm not in tuple(self.arms):
                        arm = self._load(run)  # somebody was erased whose events it has read
                    self._replay(arm)
                    self.arms = self.arms.switched(arm, share=split)
            finally:
                self._share_memory(set(self.arms))
            same = (*before, before.share) == (*self.arms, self.arms.share)
            write("run already active" if same else "run activated", arm=arm.name, digest=arm.digest, share=split)

    def _load(self, run: Path) -> Arm:
        """Make the arm of a run; it knows all items and users, and no event yet."""
        tuned = TunedModel.load(run)
        capacity = Capacity(
            candidates=self._settings.candidates,
            trunk_bytes=self._settings.trunk_bytes,
            history_bytes=self._settings.history_bytes,
            load=self._events_of,
        )
        recommender = Recommender(tuned, self._dataset, way=self._settings.way, capacity=capacity)
        recommender.hide(self._erased)
        digest = tuned.digest()
        name = run.resolve().name
        if name in self._names and self._names[name] != digest:
            name = f"{name}-{digest[:8]}"
        self._names[name] = digest
        backbone = digest_of(recommender.model.causal)
        return Arm(name, run, digest, backbone, recommender, LightRanker(recommender))

    def _share_memory(self, arms: Collection[Arm]) -> None:
        """Give every arm an equal part of the budgets."""
        trunk_bytes, history_bytes = self._settings.trunk_bytes, self._settings.history_bytes
        for arm in arms:
            arm.recommender.limit(trunk_bytes=trunk_bytes // len(arms), history_bytes=history_bytes // len(arms))

    def _replay(self, arm: Arm) -> None:
        """Let an arm know all that the others know."""
        recommender = arm.recommender
        if recommender.catalog is not self.shelves.catalog:
            recommender.set_catalog(self.shelves.catalog)
        if recommender.shelf.users.ids != self.shelves.users.ids:
            recommender.set_users(self.shelves.users)
        while events := self._store.events_after(recommender.context.seq, limit=_PAGE):
            known = [event for event in events if event.seq <= self.seq]
            recommender.context.take(self._live_events(known))
            if len(known) < len(events):
                return

    def _catch_up(self) -> None:
        """Apply everything in the store."""
        with self._applying:
            while events := self._store.events_after(self.seq, limit=_PAGE):
                self._apply(events)

    def _apply(self, events: Sequence[StoredEvent]) -> None:
        if self.shelves.name_items(event.item for event in events):
            self._show_items()
        live = self._live_events(events)
        for arm in self.arms:
            arm.recommender.context.take(live)
        self.seq = events[-1].seq

    def _show_items(self) -> None:
        for arm in self.arms:
            arm.recommender.set_catalog(self.shelves.catalog)

    def _events_of(self, user: str) -> list[LiveEvent]:
        return self._live_events(self._stored_events(user))

    def _stored_events(self, user: str) -> list[StoredEvent]:
        """Read all events of a user."""
        events: list[StoredEvent] = []
        while page := self._store.history(user, limit=_PAGE, before=events[-1].seq if events else None):
            events += page
            if len(page) < _PAGE:
                break
        return events

    def _live_events(self, events: Sequence[StoredEvent]) -> list[LiveEvent]:
        find = self.shelves.catalog.find
        return [LiveEvent(e.seq, e.user, find(e.item, -1), e.value, e.liked, e.time) for e in events]


def _is_as_loaded(arm: Arm, run: Path) -> bool:
    """Return whether a run is that of an arm, and was not written anew since."""
    return arm.run.resolve() == run.resolve() and arm.recommender.tuned.card == read_card(run)


def _check_past(events: Sequence[NewEvent], *, latest: int) -> None:
    """See that events have happened.

    Raises
    ------
    DataError
        If one is later than a moment (unix seconds).
    """
    newest = max((event.time for event in events if event.time is not None), default=latest)
    if newest > latest:
        raise DataError(
            "an event that has not happened yet",
            got=f"time {newest}",
            expected=f"unix seconds, at most {latest}: a day from now",
            do="correct the time, or leave it out; nothing of this batch was stored",
        )
