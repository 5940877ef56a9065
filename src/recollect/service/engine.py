"""The engine: what the service knows and answers, behind one object that any thread may call.

    append:    store (durable) ─► every event up to it, in order, to the context of each arm ─► acknowledged
    recommend: arm of the user ─► queue ─► scorer (the model) ─► answer, or the light ranker when time runs out

It decides who answers a question: the model of the user's arm if it can within the deadline, else the light ranker, and
nobody (`Overloaded`) if even that one has too much to do. What is known is decided in `recollect.service.knowledge`.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import BoundedSemaphore, Lock

import numpy as np
import torch
from jaxtyping import Int32

from recollect.context.live import NOBODY
from recollect.data.catalog import Catalog
from recollect.data.dataset import Dataset
from recollect.errors import Overloaded, UnknownItem, UnknownRequest, UsageError
from recollect.rank.ask import Ask, InlineHistory
from recollect.service.arms import Arm
from recollect.service.engine_settings import EngineSettings
from recollect.service.erasures import Erasures
from recollect.service.explaining import explained, remembered
from recollect.service.filters import ItemFilter
from recollect.service.knowledge import Knowledge
from recollect.service.outcomes import Outcomes
from recollect.service.queries import Answer, ArmStatus, Erasure, Explanation, InlineEvent, Query, Status
from recollect.service.records import Added, Appended, Item, NewEvent, User
from recollect.service.scorer import Job, Scored, Scorer
from recollect.service.store import Store

__all__ = ["Answer", "Engine", "Erasure", "Explanation", "InlineEvent", "Query", "Status"]

_LIGHT_SHARE, _LIGHT_SECONDS = 0.25, 0.15  # of a deadline, and most, that is kept back for the light ranker


class Engine:
    """Answer questions from models and a store; see `start`. All methods block, and are safe from many threads.

    Parameters
    ----------
    knowledge : Knowledge
        Everything stored.
    store : Store
        Where it is stored.
    settings : EngineSettings
        Budgets and deadlines.
    """

    def __init__(self, knowledge: Knowledge, store: Store, *, settings: EngineSettings) -> None:
        self._knowledge = knowledge
        self._store = store
        self._settings = settings
        self._light_slots = BoundedSemaphore(settings.light)
        self._explaining = Lock()  # one at a time leaves room for those who ask
        self._outcomes = Outcomes(store, recent=settings.recent_requests)
        self._erasures = Erasures()
        self._answered = Counter[str]()
        self._filter = ItemFilter(self.catalog, knowledge.shelves.attributes)
        self._scorer = Scorer(queue=settings.queue, prepare=self._set_threads)

    @classmethod
    def start(cls, run: Path, dataset: Dataset, store: Store, *, settings: EngineSettings | None = None) -> Engine:
        """Load a run, replay the store, and start the scorer; it is ready when it returns.

        Parameters
        ----------
        run : Path
            A run folder.
        dataset : Dataset
            The imported log.
        store : Store
            What came since; it stays the caller's to close.
        settings : EngineSettings, optional
            Budgets and deadlines.

        Raises
        ------
        RunNotFound, RunVersion, ModelError
            If the run cannot be read.
        SystemFailure
            If the store cannot be read.
        """
        chosen = settings or EngineSettings()
        return cls(Knowledge(run, dataset, store, settings=chosen), store, settings=chosen)

    @property
    def catalog(self) -> Catalog:
        """All items, those added included."""
        return self._knowledge.shelves.catalog

    def has_user(self, user: str) -> bool:
        """Return whether a user is known: imported, added, or with an event."""
        recommender = self._knowledge.arms.first.recommender
        person = recommender.person(user)
        return person.code != NOBODY or recommender.context.has_events(person)

    def recommend(self, query: Query) -> Answer:
        """Rank items of the catalog, or the candidates, and return the best.

        Raises
        ------
        UsageError
            If limit, diversity or filter make no sense.
        UnknownItem
            If a candidate is not in the catalog.
        Overloaded
            If not even the light ranker can answer in time.
        """
        return self._answer(query, self._ask(query, top=query.limit), count=self._outcomes.answered)

    def rank(self, query: Query) -> Answer:
        """Score all candidates of a query: probabilities of a like, best first.

        Raises
        ------
        UsageError
            If there are no candidates, or diversity or filter make no sense.
        UnknownItem
            If a candidate is not in the catalog.
        Overloaded
            If not even the light ranker can answer in time.
        """
        if not query.candidates:
            raise UsageError("no items to rank", got="none", expected="one or more", do="name the candidates")
        return self._answer(query, self._ask(query, top=len(query.candidates)))

    def append(self, events: Sequence[NewEvent]) -> Appended:
        """Store events durably, and let every answer from now on know them. An item that nobody described is added.

        Raises
        ------
        DataError
            If an event cannot be stored or has not happened yet, or its id belongs to an event with other content.
        SystemFailure
            If the store fails.
        """
        appended = self._knowledge.append(events)
        self._outcomes.happened(appended.accepted, self._knowledge.arms)
        return appended

    def add_items(self, items: Sequence[Item]) -> Added:
        """Add items to the catalog; they can be recommended at once.

        Raises
        ------
        DataError
            If an item is there with other content.
        SystemFailure
            If the store fails.
        """
        return self._knowledge.add_items(items)

    def add_users(self, users: Sequence[User]) -> Added:
        """Add users with profiles.

        Raises
        ------
        DataError
            If a user is there with another profile.
        SystemFailure
            If the store fails.
        """
        return self._knowledge.add_users(users)

    def erase(self, user: str) -> Erasure:
        """Erase a user: events, kept requests, profile, and all that is held in memory.

        Imported events lie in a folder that is only read; they are never shown again.

        Raises
        ------
        SystemFailure
            If the store cannot do it; then nothing is erased.
        """
        with self._erasures.of(user):
            erased = self._knowledge.erase(user)
            self._outcomes.forget(user)
        return erased

    def explain(self, request_id: str) -> Explanation:
        """Say why an answer was what it was.

        Raises
        ------
        UnknownRequest
            If there was no such request, or it is forgotten by now.
        SystemFailure
            If the store cannot be read.
        """
        request = self._store.request(request_id)
        if request is None:
            raise UnknownRequest(
                "a request that nobody remembers",
                got=request_id,
                expected="the id of an answer given lately",
                do="ask again, and take the request id of that answer",
            )
        with self._explaining:
            return explained(request, self._knowledge.arms)

    def activate(self, run: Path, *, split: float | None = None) -> Status:
        """Load a run beside those that answer, and switch to it, for all users or for a share of them.

        Parameters
        ----------
        run : Path
            A run folder; one that answers already is not loaded again, unless it was written anew.
        split : float, optional
            Share of the users, 0 to 1, who stay with it; the other users stay with the first model.

        Raises
        ------
        UsageError
            If the share is out of range.
        RunNotFound, RunVersion, ModelError
            If the run cannot be read; then nothing has changed.
        """
        self._knowledge.activate(run, split=split)
        return self.status()

    def status(self) -> Status:
        """Describe the engine."""
        arms, counts = self._knowledge.arms, self._store.outcomes()
        recommenders = [arm.recommender for arm in arms]
        return Status(
            ready=self._scorer.alive,
            arms=tuple(
                ArmStatus(
                    arm.name,
                    str(arm.run),
                    arm.digest,
                    arms.share_of(arm),
                    {kind: count for (name, kind), count in counts.items() if name == arm.name},
                )
                for arm in arms
            ),
            seq=self._knowledge.seq,
            items=len(self.catalog),
            users=len(self._knowledge.shelves.users),
            waiting=len(self._scorer),
            answered=dict(self._answered),
            trunk_bytes=sum(one.trunks.nbytes for one in recommenders),
            history_bytes=sum(one.context.nbytes for one in recommenders),
            trunks=sum(len(one.trunks) for one in recommenders),
        )

    def stop(self) -> None:
        """Answer what waits, then stop the scorer. The store is left open."""
        self._scorer.stop()

    def _set_threads(self) -> None:
        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)

    def _ask(self, query: Query, *, top: int) -> Ask:
        """Say a query in codes.

        Raises
        ------
        UsageError
            If limit, diversity or filter make no sense.
        UnknownItem
            If a candidate is not in the catalog.
        """
        catalog, attributes = self.catalog, self._knowledge.shelves.attributes
        if self._filter.catalog is not catalog or self._filter.attributes is not attributes:
            self._filter = ItemFilter(catalog, attributes)
        excluded = [catalog.find(one, -1) for one in query.exclude]
        return Ask(
            user=query.user,
            history=None if query.user is not None else _inline(query.history, catalog),
            top=top,
            items=None if query.candidates is None else _codes(query.candidates, catalog),
            exclude=np.array([code for code in excluded if code >= 0], np.int32) if excluded else None,
            allowed=self._filter.mask(query.filter),
            diversity=query.diversity,
        )

    def _answer(self, query: Query, ask: Ask, *, count: Callable[[str | None, Answer], None] | None = None) -> Answer:
        """Let the scorer answer, or the light ranker when time runs out; keep and count the answer.

        Raises
        ------
        Overloaded
            If not even the light ranker can answer in time.
        """
        begun, since = time.perf_counter(), self._erasures.count(query.user)
        seconds = (query.deadline_ms or self._settings.deadline_ms) / 1000
        until = begun + seconds
        arm = self._knowledge.arms.of(query.user or "")
        scored, fallback = self._scorer.ask(Job(arm, ask, until - min(_LIGHT_SHARE * seconds, _LIGHT_SECONDS)))
        if scored is None:
            scored = self._light(arm, ask, until=until, reason=fallback)
        answer = Answer(
            request_id=uuid.uuid4().hex,
            ranker="light" if fallback else "model",
            fallback=fallback or None,
            arm=arm.name,
            seq=scored.seq,
            ranking=scored.ranking,
            milliseconds=1000 * (time.perf_counter() - begun),
        )
        self._answered[f"light/{fallback}" if fallback else "model"] += 1

        def remember() -> None:
            self._store.save_request(remembered(query, answer, digest=arm.digest))
            if count is not None:
                count(query.user, answer)

        self._erasures.keep(query.user, since=since, work=remember)
        return answer

    def _light(self, arm: Arm, ask: Ask, *, until: float, reason: str) -> Scored:
        """Answer without the model.

        Raises
        ------
        Overloaded
            If too many do so at the same time.
        """
        if not self._light_slots.acquire(timeout=max(until - time.perf_counter(), 0.0)):
            raise Overloaded(
                "too many questions at once",
                got=f"{self._settings.light} light answers under way",
                expected="fewer questions at the same time",
                do="ask again a little later",
            )
        try:
            seq = arm.recommender.context.seq
            return Scored(arm.light.answer(ask, reason=reason), seq)
        finally:
            self._light_slots.release()


def _inline(history: Sequence[InlineEvent], catalog: Catalog) -> InlineHistory:
    known = [(catalog.find(event.item, -1), event.value) for event in history]
    kept = [(code, value) for code, value in known if code >= 0]
    return InlineHistory(
        np.array([code for code, _ in kept], np.int32), np.array([value for _, value in kept], np.float32)
    )


def _codes(items: Sequence[str], catalog: Catalog) -> Int32[np.ndarray, " C"]:
    """Return the codes of items.

    Raises
    ------
    UnknownItem
        If the catalog lacks one. Near misses are not looked for: that takes too long while others wait.
    """
    codes = [catalog.find(one, -1) for one in items]
    if -1 in codes:
        raise UnknownItem(
            "an item that the catalog does not hold",
            got=repr(items[codes.index(-1)]),
            expected=f"one of {len(catalog)} ids",
            do="add the item first, or leave it out",
        )
    return np.array(codes, np.int32)
