"""What came of answers, by arm: how many items were shown, how many of them were liked.

It decides that a *hit* is a like of an item that was among the first of the last list of that user. The lists of the
last users are held in memory only, so hits are a floor; counts go to the store, lazily.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

from recollect.service.arms import Arms
from recollect.service.queries import Answer
from recollect.service.records import StoredEvent
from recollect.service.store import Store

_SHOWN: Final = 20  # items of a list that are held


class Outcomes:
    """Count what came of answers.

    Parameters
    ----------
    store : Store
        Keeps the counts.
    recent : int
        Of how many users the last list is held.
    """

    def __init__(self, store: Store, *, recent: int) -> None:
        self._store = store
        self._recent = recent
        self._shown: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()
        self._lock = Lock()

    def answered(self, user: str | None, answer: Answer) -> None:
        """Count an answer, and hold its list."""
        items = tuple(item.item for item in answer.ranking.items)
        self._store.count_outcome(answer.arm, "answers")
        self._store.count_outcome(answer.arm, "shown", count=len(items))
        if answer.ranker == "light":
            self._store.count_outcome(answer.arm, "light")
        if user is None:
            return
        with self._lock:
            self._shown[user] = answer.arm, items[:_SHOWN]
            self._shown.move_to_end(user)
            while len(self._shown) > self._recent:
                self._shown.popitem(last=False)

    def happened(self, events: Sequence[StoredEvent], arms: Arms) -> None:
        """Count events."""
        counts = Counter[tuple[str, str]]()
        for event in events:
            arm = arms.of(event.user).name
            counts[arm, "events"] += 1
            counts[arm, "likes"] += event.liked
            shown = self._shown.get(event.user)
            if event.liked and shown is not None and event.item in shown[1]:
                counts[shown[0], "hits"] += 1
        for (arm, kind), count in counts.items():
            if count:
                self._store.count_outcome(arm, kind, count=count)

    def forget(self, user: str) -> None:
        """Forget what a user was shown."""
        with self._lock:
            self._shown.pop(user, None)
