"""The recommender: a query in, a ranking and its trace out, and events in between.

It decides what is kept warm: for each user the encoded trunk (profile and shown events). A new event is appended to
it; a query that sees more than the trunk holds encodes only what is missing; when old events are evicted, the trunk is
encoded anew once per `evict` events. No weight ever changes. Scores are those of the offline replay
(`recollect.run.answering`), since evidence, layout and model are the same code.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Float64, Int32

from recollect.context.evidence import Context, Evidence, Timeline
from recollect.context.live import LiveContext
from recollect.data.dataset import Dataset
from recollect.data.labels import LabelRule
from recollect.errors import UsageError
from recollect.model.cache import TrunkCache
from recollect.prompt.branches import Branches
from recollect.prompt.stream import StreamLayout
from recollect.rank.candidates import Candidates
from recollect.rank.ranking import RankedItem, Ranking, Reason, Trace
from recollect.run.tuned import TunedModel

_KEPT_TRUNKS: Final = 256
_REASONS: Final = 3


@dataclass(frozen=True, eq=False, slots=True)
class Trunk:
    """Hold a user's encoded trunk: the window's start and end in the timeline, and the cache."""

    start: int
    end: int
    line: Timeline
    cache: TrunkCache


class Recommender:
    """Rank items for users of a dataset with a tuned model.

    Parameters
    ----------
    tuned : TunedModel
        The model; it is set to the dataset's catalog.
    dataset : Dataset
        Log, catalog and users.

    Examples
    --------
    >>> recommender = Recommender.load(Path("RUN"), Dataset.load(Path("DATA")))  # doctest: +SKIP
    >>> recommender.recommend("42").items[0].title  # doctest: +SKIP
    """

    def __init__(self, tuned: TunedModel, dataset: Dataset) -> None:
        self.tuned = tuned.fitted_to(dataset.catalog)
        self.dataset = dataset
        self.model = self.tuned.language_model.eval()
        self.context = LiveContext(Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior))
        self.layout = StreamLayout.of(tuned.vocabulary, dataset.catalog, dataset.users, tuned.recipe.layout)
        self.candidates = Candidates.of(dataset.log, self.tuned.vectors.static)
        self._trunks: OrderedDict[int, Trunk] = OrderedDict()
        self._new_users: dict[str, int] = {}
        self._old_users = frozenset(dataset.users.ids)

    @classmethod
    def load(cls, run: Path, dataset: Dataset) -> Recommender:
        """Read a run folder and set it to a dataset.

        Raises
        ------
        RunNotFound, RunVersion, ModelError
            If the run cannot be read.
        """
        return cls(TunedModel.load(run), dataset)

    def recommend(
        self,
        user: str,
        *,
        at: int | None = None,
        top: int = 10,
        explain: bool = False,
        candidates: Sequence[str] | None = None,
    ) -> Ranking:
        """Rank items for a user at a moment.

        Parameters
        ----------
        user : str
            Id of the user. Without events so far, profile and item statistics decide.
        at : int, optional
            Unix seconds; only what is known by then is seen. By default everything so far.
        top : int
            How many items, 1 or more.
        explain : bool
            Whether each item names the past events that carried weight.
        candidates : sequence of str, optional
            Ids of the items to rank; chosen from the catalog by default.

        Returns
        -------
        Ranking
            At most `top` items, best first; equal scores in the order of the catalog.

        Raises
        ------
        UsageError
            If top is below 1.
        UnknownUser, UnknownItem
            If an id is unknown; the message names near misses.
        """
        if top < 1:
            raise UsageError("too few items asked for", got=top, expected="1 or more", do="give --top 10")
        begun = time.perf_counter()
        code, moment = self._user_code(user), self.context.now() if at is None else at
        known = self._known(code, moment)
        if candidates is None:
            items, chosen = self.candidates.choose(known)
        else:
            items, chosen = np.array([self.dataset.catalog.code(one) for one in candidates], np.int32), "given"
        trunk, reused = self._trunk(known)
        probability = self._probabilities(trunk, self._branches(trunk, items, moment))
        best = np.argsort(-probability, kind="stable")[:top]
        reasons = self._reasons(trunk, items[best], moment) if explain else [()] * len(best)
        ranked = tuple(
            RankedItem(
                rank=place + 1,
                item=self.dataset.catalog.ids[items[number]],
                title=self.dataset.catalog.titles[items[number]],
                score=float(probability[number]),
                reasons=reasons[place],
            )
            for place, number in enumerate(best.tolist())
        )
        return Ranking(
            ranked,
            Trace(
                user=user,
                time=moment,
                known=len(known),
                shown=trunk.end - trunk.start,
                candidates=len(items),
                chosen=chosen,
                tokens_reused=reused,
                tokens_new=trunk.cache.length - reused,
                milliseconds=1000 * (time.perf_counter() - begun),
            ),
        )

    def score(self, user: str, items: Sequence[str], *, at: int | None = None) -> Float64[np.ndarray, " C"]:
        """Return the probability of a like for each given item.

        Raises
        ------
        UnknownUser, UnknownItem
            If an id is unknown.
        """
        moment = self.context.now() if at is None else at
        codes = np.array([self.dataset.catalog.code(one) for one in items], np.int32)
        trunk, _ = self._trunk(self._known(self._user_code(user), moment))
        return self._probabilities(trunk, self._branches(trunk, codes, moment))

    def add(self, user: str, item: str, *, value: float, at: int | None = None) -> None:
        """Take in an event; the next ranking knows it. A user that nobody has seen is a new one.

        Parameters
        ----------
        user, item : str
            Ids.
        value : float
            Feedback in the unit of the log; the label rule of its import decides what is a like.
        at : int, optional
            Unix seconds; by default right after everything so far.

        Raises
        ------
        UnknownItem
            If the catalog does not hold the item.
        """
        code, moment = self._user_code(user, new=True), self.context.now() if at is None else at
        liked = LabelRule.parse(self.dataset.facts.rule)(np.array([value], np.float32))
        line = self.context.add(code, self.dataset.catalog.code(item), liked=bool(liked[0]), time=moment)
        trunk = self._trunks.get(code)
        if trunk is not None:
            if len(trunk.line) and line.times[len(trunk.line) - 1] != trunk.line.times[-1]:
                del self._trunks[code]  # the event came late and stands inside what was encoded
            else:
                self._trunk(self._known(code, moment + self.context.gap))

    def _user_code(self, user: str, *, new: bool = False) -> int:
        if user in self._new_users:
            return self._new_users[user]
        if new and user not in self._old_users:
            return self._new_users.setdefault(user, len(self.dataset.users) + len(self._new_users))
        return self.dataset.users.code(user)

    def _known(self, user: int, moment: int) -> Timeline:
        """Return what of a user is known at a moment."""
        line = self.context.timeline(user)
        return line.until(line.visible_at(moment, gap=self.context.gap))

    def _trunk(self, known: Timeline) -> tuple[Trunk, int]:
        """Return the trunk that shows what is known, and how many of its tokens were encoded before."""
        start = int(self.tuned.recipe.history.starts(np.array([len(known)], np.int32))[0])
        old = self._trunks.get(known.user)
        if old is not None and old.start == start and old.end >= len(known):
            kept = old.cache.crop(1 + len(known) - start)
            trunk = Trunk(start, len(known), known, kept)
            return trunk, kept.length
        warm = old if old is not None and old.start == start else None
        cache = self.model.append(TrunkCache.empty(), self.layout.trunk(known.user)) if warm is None else warm.cache
        reused = 0 if warm is None else cache.length
        shown = 0 if warm is None else warm.end - start
        evidence = known.window(start, len(known))
        if len(evidence) > shown:
            sees = np.arange(shown) < evidence.sees[shown:, None]
            profile = np.ones((len(sees), 1), np.bool_)
            cache = self.model.append(
                cache, self.layout.events(evidence, skip=shown), sees=np.concatenate([profile, sees], axis=1)
            )
        trunk = Trunk(start, len(known), known, cache)
        self._keep(trunk)
        return trunk, reused

    def _keep(self, trunk: Trunk) -> None:
        self._trunks[trunk.line.user] = trunk
        self._trunks.move_to_end(trunk.line.user)
        while len(self._trunks) > _KEPT_TRUNKS:
            self._trunks.popitem(last=False)

    def _evidence(self, trunk: Trunk) -> Evidence:
        return trunk.line.window(trunk.start, trunk.end)

    def _branches(self, trunk: Trunk, items: Int32[np.ndarray, " C"], moment: int) -> Branches:
        return self.layout.branches(self._evidence(trunk), items, self.context.features(items, moment))

    def _probabilities(self, trunk: Trunk, branches: Branches) -> Float64[np.ndarray, " C"]:
        return torch.sigmoid(self._log_odds(trunk, branches)).numpy()

    def _log_odds(self, trunk: Trunk, branches: Branches, *, hidden: int | None = None) -> torch.Tensor:
        """Return each branch's log-odds of a like, with one shown event hidden from the answer if asked."""
        sees = np.ones(trunk.cache.segment_count, np.bool_)
        if hidden is not None:
            sees[1 + hidden] = False
        logits = self.model.score(trunk.cache, branches, sees=sees).double()
        return logits[:, 1] - logits[:, 0]

    def _reasons(self, trunk: Trunk, items: Int32[np.ndarray, " C"], moment: int) -> list[tuple[Reason, ...]]:
        """Measure the direct effect of every shown event on every given item; keep the strongest."""
        branches = self._branches(trunk, items, moment)
        whole = self._log_odds(trunk, branches)
        count = trunk.end - trunk.start
        if count == 0:
            return [()] * len(items)
        effect = torch.stack([whole - self._log_odds(trunk, branches, hidden=event) for event in range(count)])
        strongest = cast(list[list[int]], effect.abs().topk(min(_REASONS, count), dim=0).indices.T.tolist())
        return [
            tuple(self._reason(trunk, event, float(effect[event, number])) for event in events)
            for number, events in enumerate(strongest)
        ]

    def _reason(self, trunk: Trunk, event: int, weight: float) -> Reason:
        place = trunk.start + event
        item = int(trunk.line.items[place])
        return Reason(
            item=self.dataset.catalog.ids[item],
            title=self.dataset.catalog.titles[item],
            liked=bool(trunk.line.labels[place]),
            weight=weight,
            time=int(trunk.line.times[place]),
        )
