"""The recommender: a query in, a ranking and its trace out, and events in between.

It decides that an event that comes in counts at once, and costs its own tokens where its user's trunk is warm
(`recollect.rank.trunks`). No weight ever changes. Scores are those of the offline replay (`recollect.run.answering`),
since prompter and model are the same code. Items and users may come while it answers (`recollect.rank.shelf`).
Questions that are asked together share the passes of the model, whoever asks, and events wait for none.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock

import numpy as np
from jaxtyping import Float64, Int32

from recollect.context.evidence import Context, Timeline
from recollect.context.live import NOBODY, LiveContext, LiveEvent, Person
from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.data.labels import LabelRule
from recollect.model.language_model import LanguageModel
from recollect.model.ways import fastest_way, use_way
from recollect.prompt.prompter import Prompter, Question
from recollect.prompt.stream_prompter import StreamPrompter
from recollect.rank.ask import Ask
from recollect.rank.candidates import Candidates
from recollect.rank.capacity import LIMIT, UNBOUNDED, Capacity
from recollect.rank.diversity import best
from recollect.rank.draft import Draft, Posed
from recollect.rank.ranking import RankedItem, Ranking, Reason
from recollect.rank.reasons import strongest_reasons
from recollect.rank.shelf import Shelf
from recollect.rank.trunks import Trunks, Warm
from recollect.run.tuned import TunedModel


class Recommender:
    """Rank items for users of a dataset with a tuned model. Safe from many threads.

    Parameters
    ----------
    tuned : TunedModel
        The model; it is set to the dataset's catalog.
    dataset : Dataset
        Log, catalog and users.
    way : str, optional
        How the model is run (`recollect.model.ways`); by default the fastest one that changes no score, measured now.
    capacity : Capacity
        How much it does and keeps.

    Raises
    ------
    UsageError, ModelError
        If there is no such way, or not for this model.

    Examples
    --------
    >>> recommender = Recommender.load(Path("RUN"), Dataset.load(Path("DATA")))  # doctest: +SKIP
    >>> recommender.recommend("42").items[0].title  # doctest: +SKIP
    """

    def __init__(
        self, tuned: TunedModel, dataset: Dataset, *, way: str | None = None, capacity: Capacity = UNBOUNDED
    ) -> None:
        self.dataset = dataset
        self.shelf = Shelf.of(tuned, dataset)
        context = Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
        self.context = LiveContext(context, load=capacity.load, budget=capacity.history_bytes)
        self.rule = LabelRule.parse(dataset.facts.rule)
        model = self.shelf.model.eval()
        length = self._branch_length()
        use_way(model, way or fastest_way(model), lengths=[length])
        most = capacity.most_candidates(length, tuned.recipe.history)
        self.candidates = Candidates.of(
            dataset.log, self.shelf.tuned.vectors.static, everything=most, limit=min(most, LIMIT)
        )
        self.trunks = Trunks(model, budget=capacity.trunk_bytes)
        self._forgotten = 0  # how often somebody was
        self._lock = RLock()

    @classmethod
    def load(
        cls, run: Path, dataset: Dataset, *, way: str | None = None, capacity: Capacity = UNBOUNDED
    ) -> Recommender:
        """Read a run folder and set it to a dataset; `way` and `capacity` as for the class.

        Raises
        ------
        RunNotFound, RunVersion, ModelError
            If the run cannot be read.
        UsageError
            If there is no such way.
        """
        return cls(TunedModel.load(run), dataset, way=way, capacity=capacity)

    @property
    def tuned(self) -> TunedModel:
        """The model, set to all items."""
        return self.shelf.tuned

    @property
    def model(self) -> LanguageModel:
        """What answers."""
        return self.shelf.model

    @property
    def prompter(self) -> Prompter:
        """What asks it."""
        return self.shelf.prompter

    @property
    def catalog(self) -> Catalog:
        """All items, those added included."""
        return self.shelf.catalog

    def person(self, user: str) -> Person:
        """Return a user as the context knows people; any id is fine."""
        return Person(user, self.shelf.users.find(user, NOBODY))

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
        items = None if candidates is None else self._codes(candidates)
        ask = Ask(user=user, at=at, top=top, explain=explain, items=items)
        self._known_person(user)
        return self.answer(ask)

    def answer(self, ask: Ask) -> Ranking:
        """Answer a question about anybody, known or not."""
        return self.answer_all([ask])[0]

    def answer_all(self, asks: Sequence[Ask]) -> list[Ranking]:
        """Answer questions about anybody, known or not, in shared passes of the model.

        Parameters
        ----------
        asks : sequence of Ask
            Where a trunk knows nothing of the candidates, those of one person at one moment share it.
        """
        begun = time.perf_counter()
        with self._lock:
            drafts = self._drafts(asks)
        items = [self._ranked(ask, draft) for ask, draft in zip(asks, drafts, strict=True)]
        taken = 1000 * (time.perf_counter() - begun)
        return [
            Ranking(ranked, replace(draft.trace, milliseconds=taken))
            for ranked, draft in zip(items, drafts, strict=True)
        ]

    def score(self, user: str, items: Sequence[str], *, at: int | None = None) -> Float64[np.ndarray, " C"]:
        """Return the probability of a like for each given item.

        Raises
        ------
        UnknownUser, UnknownItem
            If an id is unknown.
        """
        person, codes = self._known_person(user), self._codes(items)
        with self._lock:
            moment = self._moment(at)
            question = self._question(self._known(person, moment), codes, moment)
            return self._probabilities([(self.trunks.warm(user, question.trunk), question)])[0]

    def question(self, user: str, items: Sequence[str], *, at: int | None = None) -> Question:
        """Return what the model is shown when it is asked about items, without asking it.

        Raises
        ------
        UnknownUser, UnknownItem
            If an id is unknown.
        """
        person, moment = self._known_person(user), self._moment(at)
        return self._question(self._known(person, moment), self._codes(items), moment)

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
        moment, code, liked = self._moment(at), self.catalog.code(item), self.likes(value)
        self.context.take([LiveEvent(self.context.seq + 1, user, code, value, liked, moment)])
        with self._lock:
            if user in self.trunks:
                known = self._known(self.person(user), moment + self.context.gap)
                self.trunks.warm(user, self._question(known, _NO_ITEMS, moment).trunk)

    def likes(self, value: float) -> bool:
        """Return whether feedback of this value is a like, by the label rule of the import."""
        return bool(self.rule(np.array([value], np.float32))[0])

    def set_catalog(self, catalog: Catalog) -> None:
        """Take in items: a catalog in which none has another code than now. Warm trunks stay if nothing else changed.

        Raises
        ------
        ModelError
            If the backbone cannot be set to it.
        """
        old = self.shelf
        grows, shelf = old.grows_to(catalog), old.with_catalog(catalog)
        static, known = shelf.tuned.vectors.static, self.candidates
        candidates = known.extended(static[len(old.catalog) :]) if grows else known.with_vectors(static)
        with self._lock:
            self.shelf, self.candidates, self.trunks.model = shelf, candidates, shelf.model
            if not grows:
                self.trunks.clear()

    def set_users(self, users: Users) -> None:
        """Take in users: a catalog of users in which none has another code than now."""
        with self._lock:
            self.shelf = self.shelf.with_users(users)

    def hide(self, users: Iterable[str]) -> None:
        """Know some users of the import no longer: neither their events nor their profiles."""
        with self._lock:
            self.shelf = self.shelf.without_users(list(users))

    def limit(self, *, trunk_bytes: int, history_bytes: int) -> None:
        """Keep no more trunks and timelines than this from now on."""
        with self._lock:
            self.trunks.limit(trunk_bytes)
            self.context.limit(history_bytes)

    def forget(self, user: str, events: Sequence[LiveEvent] = ()) -> None:
        """Forget a user: whatever is kept in memory, and the added events, which then were never there.

        Parameters
        ----------
        user : str
            Id. The imported events of a user of the import are not shown again.
        events : sequence of LiveEvent
            All added events of the user.
        """
        with self._lock:
            self._forgotten += 1
            self.hide([user])
            self.context.forget(user, events)
            self.trunks.forget(user)

    def _drafts(self, asks: Sequence[Ask]) -> list[Draft]:
        """Score the candidates of all questions."""
        sharing = self._sharing(asks)
        posed = [self._pose([asks[number] for number in numbers]) for numbers in sharing]
        trunks = self.trunks.warm_together([(one.user, one.question.trunk) for one in posed])
        scores = self._probabilities([(warm, one.question) for warm, one in zip(trunks, posed, strict=True)])
        drafts: dict[int, Draft] = {}
        for numbers, one, score, warm in zip(sharing, posed, scores, trunks, strict=True):
            drafts |= zip(numbers, one.drafts(score, warm=warm, forgotten=self._forgotten), strict=True)
        return [drafts[number] for number in range(len(asks))]

    def _sharing(self, asks: Sequence[Ask]) -> list[list[int]]:
        """Put together the numbers of the questions that share a trunk."""
        groups: dict[Hashable, list[int]] = {}
        streams = isinstance(self.prompter, StreamPrompter)
        for number, ask in enumerate(asks):
            alone = ask.user is None or not streams
            groups.setdefault(number if alone else (ask.user, ask.at, ask.known), []).append(number)
        return list(groups.values())

    def _pose(self, asks: Sequence[Ask]) -> Posed:
        """Choose the candidates of questions about one person at one moment."""
        moment = self._moment(asks[0].at)
        known = self.known(asks[0], moment)
        chosen = [self._choose(ask, known) for ask in asks]
        question = self._question(known, np.concatenate([items for items, _ in chosen]), moment)
        return Posed(asks[0].user, moment, known, chosen, question)

    def _choose(self, ask: Ask, known: Timeline) -> tuple[Int32[np.ndarray, " C"], str]:
        """Return the codes of the items to score, and in words how they were chosen."""
        allowed = ask.open_items(len(self.catalog))
        if ask.items is None:
            return self.candidates.choose(known, allowed=allowed, least=ask.top)
        return ask.items if allowed is None else ask.items[allowed[ask.items]], "given"

    def _ranked(self, ask: Ask, draft: Draft) -> tuple[RankedItem, ...]:
        """Put the best items in order, with reasons if asked."""
        directions = self.candidates.directions
        places = best(draft.probability, directions[draft.items], top=ask.top, diversity=ask.diversity)
        codes = draft.items[places]
        reasons = self._reasons(ask, codes, draft) if ask.explain else [()] * len(codes)
        ids, titles = self.catalog.ids, self.catalog.titles
        numbers: list[int] = codes.tolist()
        scores: list[float] = draft.probability[places].tolist()
        scored = zip(numbers, scores, reasons, strict=True)
        return tuple(
            RankedItem(number + 1, ids[code], titles[code], score, why)
            for number, (code, score, why) in enumerate(scored)
        )

    def _branch_length(self) -> int:
        """Return the tokens of a candidate's branch for somebody without events."""
        nobody = self.context.timeline(Person("", NOBODY))
        return self._question(nobody, np.zeros(1, np.int32), self.context.now()).branches.tokens.shape[1]

    def _moment(self, at: int | None) -> int:
        return self.context.now() if at is None else at

    def _codes(self, items: Sequence[str]) -> Int32[np.ndarray, " C"]:
        return np.array([self.catalog.code(one) for one in items], np.int32)

    def _known_person(self, user: str) -> Person:
        person = self.person(user)
        if person.code == NOBODY and not self.context.has_events(person):
            self.shelf.users.code(user)  # says which ids are near
        return person

    def known(self, ask: Ask, moment: int) -> Timeline:
        """Return what is known of whoever asks at a moment."""
        if ask.user is not None:
            known = self._known(self.person(ask.user), moment)
        elif ask.history is None:
            known = self.context.timeline(Person("", NOBODY))
        else:
            labels = self.rule(ask.history.values)
            known = self.context.anonymous(ask.history.items, values=ask.history.values, labels=labels)
        return known if ask.known is None else known.until(min(ask.known, len(known)))

    def _known(self, person: Person, moment: int) -> Timeline:
        """Return what of a user is known at a moment."""
        line = self.context.timeline(person)
        return line.until(line.visible_at(moment, gap=self.context.gap))

    def _question(self, known: Timeline, items: Int32[np.ndarray, " C"], moment: int) -> Question:
        return self.prompter.question(known, items, self.context.features(items, moment))

    def _probabilities(self, questions: Sequence[tuple[Warm, Question]]) -> list[Float64[np.ndarray, " _"]]:
        """Return each candidate's probability of a like, question by question."""
        together = [(warm.cache, question.branches) for warm, question in questions]
        logits = [one.double().cpu().numpy() for one in self.shelf.model.score_together(together)]
        return [self.tuned.calibration.probability(one[:, 1] - one[:, 0]) for one in logits]

    def _reasons(self, ask: Ask, items: Int32[np.ndarray, " C"], drafted: Draft) -> list[tuple[Reason, ...]]:
        """Say for every given item which events carried most weight. Takes long, so nobody waits for it."""
        known, model = drafted.known, self.shelf.model
        with self._lock:
            question = self._question(known, items, drafted.moment)
            whose = ask.user if self._forgotten == drafted.forgotten else None  # what was forgotten is not kept again
            trunk = self.trunks.warm(whose, question.trunk).cache
        return strongest_reasons(model, trunk, question, known=known, catalog=self.catalog)


_NO_ITEMS = np.zeros(0, np.int32)
