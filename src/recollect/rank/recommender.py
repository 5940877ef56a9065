"""The recommender: a query in, a ranking and its trace out, and events in between.

It decides that an event that comes in is encoded at once where its user's trunk is warm (`recollect.rank.trunks`), so
that the next query finds it there. No weight ever changes. Scores are those of the offline replay
(`recollect.run.answering`), since prompter and model are the same code.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Float64, Int32

from recollect.context.evidence import Context, Timeline
from recollect.context.live import LiveContext
from recollect.data.dataset import Dataset
from recollect.data.labels import LabelRule
from recollect.errors import UsageError
from recollect.model.cache import TrunkCache
from recollect.model.ways import fastest_way, use_way
from recollect.prompt.prompter import NO_EVENT, Question
from recollect.rank.candidates import Candidates
from recollect.rank.ranking import RankedItem, Ranking, Reason, Trace
from recollect.rank.trunks import Trunks
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel

_REASONS: Final = 3
_EVERYTHING: Final = 50_000  # items of which all are scored where one costs a token or two
_LIMIT: Final = 5_000
_SHORT: Final = 2
_BRANCH_TOKENS: Final = 20_000  # of all candidates together, where one costs more
_FEWEST: Final = 100


class Recommender:
    """Rank items for users of a dataset with a tuned model.

    Parameters
    ----------
    tuned : TunedModel
        The model; it is set to the dataset's catalog.
    dataset : Dataset
        Log, catalog and users.
    way : str, optional
        How the model is run (`recollect.model.ways`); by default the fastest one that changes no score, measured now.

    Raises
    ------
    UsageError, ModelError
        If there is no such way, or not for this model.

    Examples
    --------
    >>> recommender = Recommender.load(Path("RUN"), Dataset.load(Path("DATA")))  # doctest: +SKIP
    >>> recommender.recommend("42").items[0].title  # doctest: +SKIP
    """

    def __init__(self, tuned: TunedModel, dataset: Dataset, *, way: str | None = None) -> None:
        self.tuned = tuned.fitted_to(dataset.catalog)
        self.dataset = dataset
        self.model = self.tuned.language_model.eval()
        self.context = LiveContext(Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior))
        self.prompter = make_prompter(self.tuned, dataset)
        length = self._branch_length()
        use_way(self.model, way or fastest_way(self.model), lengths=[length])
        most = self._affordable(length)
        self.candidates = Candidates.of(
            dataset.log, self.tuned.vectors.static, everything=most, limit=min(most, _LIMIT)
        )
        self._trunks = Trunks(self.model)
        self._new_users: dict[str, int] = {}
        self._old_users = frozenset(dataset.users.ids)

    @classmethod
    def load(cls, run: Path, dataset: Dataset, *, way: str | None = None) -> Recommender:
        """Read a run folder and set it to a dataset; `way` as for the class.

        Raises
        ------
        RunNotFound, RunVersion, ModelError
            If the run cannot be read.
        UsageError
            If there is no such way.
        """
        return cls(TunedModel.load(run), dataset, way=way)

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
        question = self._question(known, items, moment)
        trunk, reused = self._trunks.warm(code, question.trunk)
        probability = self._probabilities(trunk, question)
        best = np.argsort(-probability, kind="stable")[:top]
        reasons = self._reasons(known, items[best], moment) if explain else [()] * len(best)
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
                shown=int((question.events != NO_EVENT).sum()),
                dropped=question.dropped.events + question.dropped.demonstrations,
                candidates=len(items),
                chosen=chosen,
                tokens_reused=reused,
                tokens_new=trunk.length - reused,
                trunk_bytes=trunk.nbytes,
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
        known = self._known(self._user_code(user), moment)
        question = self._question(known, codes, moment)
        return self._probabilities(self._trunks.warm(known.user, question.trunk).cache, question)

    def question(self, user: str, items: Sequence[str], *, at: int | None = None) -> Question:
        """Return what the model is shown when it is asked about items, without asking it.

        Raises
        ------
        UnknownUser, UnknownItem
            If an id is unknown.
        """
        moment = self.context.now() if at is None else at
        codes = np.array([self.dataset.catalog.code(one) for one in items], np.int32)
        return self._question(self._known(self._user_code(user), moment), codes, moment)

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
        number = self.dataset.catalog.code(item)
        self.context.add(code, number, value=value, liked=bool(liked[0]), time=moment)
        if code in self._trunks:
            known = self._known(code, moment + self.context.gap)
            self._trunks.warm(code, self._question(known, _NO_ITEMS, moment).trunk)

    def _branch_length(self) -> int:
        """Return the tokens of a candidate's branch for somebody without events."""
        nobody = self.context.timeline(len(self.dataset.users))
        return self._question(nobody, np.zeros(1, np.int32), self.context.now()).branches.tokens.shape[1]

    def _affordable(self, tokens: int) -> int:
        """Return how many candidates a query may score: soft tokens are cheap, titles and retrieved events are not."""
        room = tokens + self.tuned.recipe.history.shown * tokens * (self.tuned.recipe.history.choice != "recent")
        return _EVERYTHING if room <= _SHORT else max(_FEWEST, _BRANCH_TOKENS // room)

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

    def _question(self, known: Timeline, items: Int32[np.ndarray, " C"], moment: int) -> Question:
        return self.prompter.question(known, items, self.context.features(items, moment))

    def _probabilities(self, trunk: TrunkCache, question: Question) -> Float64[np.ndarray, " C"]:
        return self.tuned.calibration.probability(self._log_odds(trunk, question).numpy())

    def _log_odds(self, trunk: TrunkCache, question: Question, *, hidden: int | None = None) -> torch.Tensor:
        """Return each candidate's log-odds of a like, with one trunk segment hidden from the answer if asked."""
        sees = np.ones(trunk.segment_count, np.bool_)
        if hidden is not None:
            sees[hidden] = False
        logits = self.model.score(trunk, question.branches, sees=sees).double().cpu()
        return logits[:, 1] - logits[:, 0]

    def _reasons(self, known: Timeline, items: Int32[np.ndarray, " C"], moment: int) -> list[tuple[Reason, ...]]:
        """Measure the direct effect of every segment that shows an event on every given item; keep the strongest."""
        question = self._question(known, items, moment)
        trunk = self._trunks.warm(known.user, question.trunk).cache
        shown = np.flatnonzero(question.events != NO_EVENT)
        if not len(shown):
            return [()] * len(items)
        whole = self._log_odds(trunk, question)
        effect = torch.stack([whole - self._log_odds(trunk, question, hidden=int(segment)) for segment in shown])
        strongest = cast(list[list[int]], effect.abs().topk(min(_REASONS, len(shown)), dim=0).indices.T.tolist())
        places = question.events[shown]
        return [
            tuple(self._reason(known, int(places[one]), float(effect[one, number])) for one in those)
            for number, those in enumerate(strongest)
        ]

    def _reason(self, known: Timeline, place: int, weight: float) -> Reason:
        item = int(known.items[place])
        return Reason(
            item=self.dataset.catalog.ids[item],
            title=self.dataset.catalog.titles[item],
            liked=bool(known.labels[place]),
            weight=weight,
            time=int(known.times[place]),
        )


_NO_ITEMS = np.zeros(0, np.int32)
