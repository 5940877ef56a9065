"""The engine: an acknowledged event is known at once, and whatever is forgotten comes back exactly."""

import asyncio
import logging
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select
from worlds import planted_world, small_recipe, untuned

from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.errors import DataError, Overloaded, RunNotFound, SystemFailure, UnknownItem, UnknownRequest, UsageError
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel
from recollect.service.database import Database
from recollect.service.engine import Engine, InlineEvent, Query
from recollect.service.engine_settings import EngineSettings
from recollect.service.logs import LOGGER
from recollect.service.past import past_events
from recollect.service.records import Item, NewEvent, User
from recollect.service.scorer import Scorer
from recollect.service.settings import load_settings
from recollect.service.state import Service
from recollect.service.store import Store
from recollect.service.tables import REQUESTS

EXACT = 1e-5
DAY = 24 * 3600
PATIENT = EngineSettings(deadline_ms=60_000.0, way="compact")
SMALL = PATIENT.model_copy(update={"trunk_bytes": 60_000, "history_bytes": 6_000})
ITEMS = ("i0", "i3", "i6", "i7", "i11")


@pytest.fixture(scope="module")
def world():
    return planted_world(users=8, items=15, events=80)


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine") / "first"
    untuned(world, small_recipe()).save(folder)
    return folder


@pytest.fixture(scope="module")
def other_run(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine") / "second"
    untuned(world, small_recipe(), seed=1).save(folder)
    return folder


@pytest.fixture
def start(run, world, tmp_path):
    """Start engines on one store, one after the other."""
    begun = []

    def again(settings=PATIENT):
        stop()
        store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
        begun.append((Engine.start(run, world, store, settings=settings), store))
        return begun[-1][0]

    def stop():
        while begun:
            engine, store = begun.pop()
            engine.stop()
            store.close()

    yield again
    stop()


def events(count, *, seed=0, users=12, items=17, late=False):
    """Make events of known and new users and items, some of them late."""
    random = np.random.default_rng(seed)
    base = 4000
    return [
        NewEvent(
            f"e{seed}-{number}",
            f"u{random.integers(users)}",
            f"i{random.integers(items)}",
            float(random.choice([2.0, 5.0])),
            base + number // 2 - (int(random.integers(3000)) if late and number % 4 == 0 else 0),
        )
        for number in range(count)
    ]


def offline(world, run, engine) -> Recommender:
    """Make a recommender that was never told anything: of a dataset that holds all events from the start."""
    catalog, users, stored = engine.catalog, world.users, engine._store.events_after(0)
    for event in stored:
        if users.find(event.user, -1) < 0:
            users = users.add(event.user)
    more = EventLog.sorted(
        user=np.array([users.code(event.user) for event in stored], np.int32),
        item=np.array([catalog.code(event.item) for event in stored], np.int32),
        time=np.array([event.time for event in stored], np.int64),
        value=np.array([event.value for event in stored], np.float32),
        label=np.array([event.liked for event in stored], np.bool_),
        user_count=len(users),
        item_count=len(catalog),
    )
    return Recommender(TunedModel.load(run), Dataset(world.log.append(more), catalog, users, world.facts))


def scores(engine, user, items=ITEMS):
    answer = engine.rank(Query(user=user, candidates=items))
    assert answer.ranker == "model"
    found = {item.item: item.score for item in answer.ranking.items}
    return [found[item] for item in items]


@pytest.mark.parametrize("settings", [PATIENT, SMALL], ids=["kept", "evicted"])
def test_scores_are_those_of_the_log_offline(start, world, run, settings):
    engine, new = start(settings), events(24, late=True)
    for number in range(0, 24, 4):
        engine.append(new[number : number + 4])
        engine.rank(Query(user=f"u{number}", candidates=ITEMS))
    whole = offline(world, run, engine)
    asked = [f"u{number}" for number in range(6, 12) if whole.shelf.users.find(f"u{number}", -1) >= 0]
    expected = {user: whole.score(user, ITEMS) for user in asked}
    for user in asked:
        assert scores(engine, user) == pytest.approx(expected[user], abs=EXACT)
    again = start(settings)
    for user in asked:
        assert scores(again, user) == pytest.approx(expected[user], abs=EXACT)
    status = again.status()
    assert (status.ready, status.seq, status.items) == (True, 24, len(whole.catalog))
    assert status.trunk_bytes <= settings.trunk_bytes
    assert status.history_bytes <= settings.history_bytes


def test_an_acknowledged_event_is_known_to_the_next_answer_of_anybody(start):
    engine, seen = start(), []

    def write_and_read(writer):
        for number in range(6):
            engine.append([NewEvent(f"{writer}-{number}", "shared", f"i{number}", 5.0)])
            seen.append(engine.recommend(Query(user="shared")).ranking.trace.known)
        assert engine.recommend(Query(user="shared")).ranking.trace.known >= 6

    threads = [threading.Thread(target=write_and_read, args=(one,)) for one in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer = engine.recommend(Query(user="shared"))
    assert answer.ranking.trace.known == answer.seq == 18
    assert len(seen) == 18


def test_an_event_that_came_before_is_left_as_it_is(start):
    engine = start()
    event = NewEvent("one", "u1", "i1", 5.0, 5000)
    assert list(engine.append([event]).duplicates) == []
    known = engine.recommend(Query(user="u1")).ranking.trace.known
    assert list(engine.append([event]).duplicates) == ["one"]
    assert engine.recommend(Query(user="u1")).ranking.trace.known == known
    with pytest.raises(DataError):
        engine.append([replace(event, value=1.0)])


def test_an_event_that_has_not_happened_yet_is_refused(start):
    engine = start()
    with pytest.raises(DataError, match=r"not happened yet.*nothing of this batch"):
        engine.append([NewEvent("now", "u1", "i1", 5.0), NewEvent("far", "u1", "i2", 5.0, int(time.time()) + 2 * DAY)])
    assert engine.status().seq == 0


def test_nobodys_events_move_those_of_others(start):
    engine, clock = start(), int(time.time())
    engine.append([NewEvent("fast", "ahead", "i1", 5.0, clock + DAY // 2)])
    engine.append([NewEvent("one", "u1", "i1", 5.0), NewEvent("two", "ahead", "i2", 5.0)])
    one, two = engine._store.events_after(1)
    assert clock <= one.time < clock + 60
    assert two.time == clock + DAY // 2 + 1
    assert engine.recommend(Query(user="u1")).ranking.trace.known > 0


def test_events_without_times_keep_their_order(start, world, run):
    engine, items = start(), ("i9", "i3", "i7", "i1", "i0")
    new = [NewEvent(item, "new", item, 5.0 if item > "i3" else 2.0) for item in items]
    engine.append(new[:3])
    for event in new[3:]:
        engine.append([event])
    known = engine._store.events_after(0)
    assert [event.item for event in sorted(known, key=lambda event: event.time)] == list(items)
    assert len({event.time for event in known}) == len(items)
    expected = offline(world, run, engine).score("new", ITEMS)
    assert scores(engine, "new") == pytest.approx(expected, abs=EXACT)
    assert scores(start(), "new") == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    ("query", "ranker", "fallback"),
    [(Query(user="u1"), "model", None), (Query(user="u1", deadline_ms=0.001), "light", "deadline")],
)
def test_every_answer_says_who_answered_and_why(start, query, ranker, fallback):
    engine = start()
    answer = engine.recommend(query)
    assert (answer.ranker, answer.fallback, answer.arm) == (ranker, fallback, "first")
    assert len(answer.ranking.items) > 0
    engine.stop()
    late = engine.recommend(query)
    assert (late.ranker, late.fallback) == ("light", "failure")
    assert not engine.status().ready


def test_more_than_can_be_answered_is_refused(start):
    engine = start(PATIENT.model_copy(update={"light": 1}))
    with engine._light_slots, pytest.raises(Overloaded):
        engine.recommend(Query(user="u1", deadline_ms=0.001))
    assert engine.recommend(Query(user="u1", deadline_ms=0.001)).ranker == "light"


def test_unknown_users_and_items_work_at_once(start):
    engine = start()
    assert not engine.has_user("somebody")
    assert engine.recommend(Query(user="somebody")).ranking.trace.known == 0
    engine.append([NewEvent("1", "somebody", "brand new", 5.0)])
    assert engine.has_user("somebody")
    assert "brand new" in engine.catalog.ids
    assert scores(engine, "somebody", ("brand new", "i1"))
    assert "brand new" in {item.item for item in engine.recommend(Query(user="u2", limit=50)).ranking.items}
    described = Item("brand new", "A comedy (1999)", ("Comedy",), {"year": 1999})
    assert list(engine.add_items([described]).accepted) == ["brand new"]
    assert list(engine.add_items([described]).duplicates) == ["brand new"]
    fits = engine.recommend(Query(user="u2", filter={"year": 1999, "genres": ["comedy"]})).ranking.items
    assert [item.title for item in fits] == ["A comedy (1999)"]
    anonymous = engine.recommend(Query(history=(InlineEvent("brand new", 5.0), InlineEvent("no such item", 1.0))))
    assert anonymous.ranking.trace.known == 1


def test_items_and_users_outlast_a_restart(start):
    engine = start()
    engine.append([NewEvent("1", "new", "named only", 5.0)])
    engine.add_items([Item("described", "Horror of the dawn", ("Horror",), {"year": 1980, "shelf": "top"})])
    engine.add_users([User("new", {"age": "21", "shoes": "red"})])
    with pytest.raises(DataError):
        engine.add_items([Item("i1", "Something else")])
    with pytest.raises(DataError):
        engine.add_users([User("u1", {"age": "99"})])
    asked = ("named only", "described", "i3")
    before = scores(engine, "new", asked)
    found = engine.recommend(Query(user="u1", filter={"shelf": "top", "year": {"min": 1980}})).ranking.items
    assert [item.item for item in found] == ["described"]
    assert scores(start(), "new", asked) == pytest.approx(before, abs=EXACT)


def test_an_imported_item_may_get_attributes_but_no_other_content(start, world):
    engine, title, year = start(), world.catalog.titles[3], int(world.catalog.years[3])
    before = scores(engine, "u1")
    described = Item("i3", title, (), {"colour": "red", "length": 90, "year": year})
    assert list(engine.add_items([described]).accepted) == ["i3"]
    assert list(engine.add_items([described, Item("i3", title, world.catalog.genres[3])]).duplicates) == ["i3", "i3"]
    for other in (replace(described, attributes={"year": 1000}), replace(described, attributes={"colour": "blue"})):
        with pytest.raises(DataError):
            engine.add_items([other])
    for current in (lambda: engine, start):
        query = Query(user="new", filter={"colour": "Red", "length": {"max": 90.5}, "year": year})
        assert [item.item for item in current().recommend(query).ranking.items] == ["i3"]
        assert scores(current(), "u1") == pytest.approx(before, abs=EXACT)


@pytest.mark.parametrize("user", ["u1", "added"])
def test_an_erased_user_was_never_there(start, user):
    engine = start()
    engine.add_users([User("added", {"age": "21"})])
    others = [NewEvent(f"other{number}", "u2", f"i{number}", 5.0, 5000 + number) for number in range(4)]
    engine.append(others)
    before, nobody = scores(engine, "u2"), scores(engine, "never seen")
    engine.append([NewEvent(f"mine{number}", user, f"i{number}", 2.0, 4990 + number) for number in range(4)])
    request = engine.recommend(Query(user=user)).request_id
    erased = engine.erase(user)
    assert (erased.events, erased.requests, erased.profile) == (4, 1, user == "added")
    assert (erased.imported > 0) == (user == "u1")
    for current in (lambda: engine, start):
        now = current()
        assert scores(now, "u2") == pytest.approx(before, abs=EXACT)
        assert scores(now, user) == pytest.approx(nobody, abs=EXACT)
        assert not now.has_user(user)
        with pytest.raises(UnknownRequest):
            now.explain(request)
    again = start()
    again.append([NewEvent("back", user, "i1", 5.0)])
    assert again.recommend(Query(user=user)).ranking.trace.known == 1


class ErasesMeanwhile(Scorer):
    """A scorer that lets the person be erased when the answer is there already."""

    def __init__(self, erase):
        super().__init__(queue=4)
        self._erase = erase

    def ask(self, job):
        answered = super().ask(job)
        self._erase(job.ask.user)
        return answered


class Unswept(Database):
    """A database whose write-ahead log cannot be swept."""

    def sweep(self):
        raise SystemFailure("the store is locked", got="a reader", expected="nobody", do="retry")


def test_an_erased_user_is_gone_from_memory_where_the_log_cannot_be_swept(start):
    engine = start()
    engine.append([NewEvent(f"mine{number}", "dave", f"i{number}", 5.0) for number in range(4)])
    whole = engine._store.database
    engine._store.database = Unswept(str(whole.url.database))
    assert engine.erase("dave").events == 4
    engine._store.database.close()
    engine._store.database = whole
    assert not engine.has_user("dave")
    assert engine.recommend(Query(user="dave")).ranking.trace.known == 0


@pytest.mark.parametrize("asks", [Engine.recommend, Engine.rank], ids=["recommend", "rank"])
def test_an_answer_under_way_leaves_nothing_of_a_person_erased_meanwhile(start, asks):
    engine = start()
    engine.append([NewEvent("mine", "carol", "i1", 5.0)])
    engine._scorer.stop()
    engine._scorer = ErasesMeanwhile(engine.erase)
    answer = asks(engine, Query(user="carol", candidates=ITEMS))
    assert answer.ranking.trace.known == 1
    with pytest.raises(UnknownRequest):
        engine.explain(answer.request_id)
    engine._store.flush()
    with engine._store.reading() as connection:
        assert "carol" not in {row.user for row in connection.execute(select(REQUESTS))}
    assert "carol" not in engine._outcomes._shown


def test_an_answer_under_way_is_kept_where_somebody_else_is_erased(start):
    engine = start()
    engine._scorer.stop()
    engine._scorer = ErasesMeanwhile(lambda _: engine.erase("somebody else"))
    assert engine.explain(engine.recommend(Query(user="u1", limit=2)).request_id).user == "u1"


def test_an_answer_can_be_explained_later(start):
    engine = start()
    answer = engine.recommend(Query(user="u1", limit=3))
    engine.append([NewEvent("later", "u1", "i2", 5.0)])
    explained = engine.explain(answer.request_id)
    assert explained.exact
    assert explained.untouched
    assert [item.item for item in explained.items] == [item.item for item in answer.ranking.items]
    assert all(len(item.reasons) == 3 for item in explained.items)
    light = engine.explain(engine.recommend(Query(user="u1", deadline_ms=0.001)).request_id)
    assert (light.ranker, light.fallback, light.exact) == ("light", "deadline", False)
    with pytest.raises(UnknownRequest):
        engine.explain("nothing")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (Query(user="u1", limit=0), UsageError),
        (Query(user="u1", diversity=2.0), UsageError),
        (Query(user="u1", filter={"nothing": 1}), UsageError),
        (Query(user="u1", candidates=("i1", "no such item")), UnknownItem),
    ],
)
def test_bad_questions_are_refused(start, query, error):
    with pytest.raises(error):
        start().recommend(query)


def test_a_slate_is_ranked_whole(start):
    engine = start()
    with pytest.raises(UsageError):
        engine.rank(Query(user="u1"))
    answer = engine.rank(Query(user="u1", candidates=ITEMS, limit=1, exclude=("i3", "no such item")))
    assert len(answer.ranking.items) == len(ITEMS) - 1


@pytest.fixture
def said():
    """What the service logs, message by message."""
    handler, logger, messages = logging.Handler(), logging.getLogger(LOGGER), []
    handler.emit = lambda record: messages.append(record.getMessage())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield messages
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_run_that_was_written_anew_is_loaded_again(start, world, tmp_path, said):
    engine, again = start(), tmp_path / "again"
    untuned(world, small_recipe(), seed=2).save(again)
    engine.activate(again)
    first = scores(engine, "u1")
    engine.activate(again)
    assert said == ["run activated", "run already active"]
    untuned(world, small_recipe(), seed=3).save(again)
    engine.activate(again, split=0.25)
    assert [arm.share for arm in engine.status().arms] == [0.75, 0.25]
    engine.activate(again)
    assert said[2:] == ["run activated", "run activated"]
    assert scores(engine, "u1") != pytest.approx(first, abs=EXACT)
    with pytest.raises(RunNotFound):
        engine.activate(tmp_path / "nowhere")


def test_two_models_share_the_memory_of_one(start, other_run):
    engine = start(SMALL)
    people = [f"u{number}" for number in range(12)]
    engine.append(events(40))

    def fill():
        for user in people:
            assert scores(engine, user)
        status = engine.status()
        assert status.trunk_bytes <= SMALL.trunk_bytes
        assert status.history_bytes <= SMALL.history_bytes
        return status.trunk_bytes

    alone = fill()
    engine.activate(other_run, split=0.5)
    assert fill() > alone // 4
    engine.activate(other_run)
    assert fill() > SMALL.trunk_bytes // 2


def test_events_that_come_in_count_in_the_memory_of_histories(start):
    engine = start(SMALL)
    for number in range(40):
        engine.append([NewEvent(f"many{number}", "u1", f"i{number % 15}", 5.0)])
        assert engine.status().history_bytes <= SMALL.history_bytes
    kept = start(PATIENT)
    before = kept.status().history_bytes
    kept.append([NewEvent(f"more{number}", "u1", f"i{number % 15}", 5.0) for number in range(40)])
    assert kept.status().history_bytes >= before + 40 * 200


def test_a_list_is_as_long_as_it_is_asked_for(start):
    engine = start(PATIENT.model_copy(update={"candidates": 3}))
    for limit in (2, 3, 9):
        answer = engine.recommend(Query(user="never seen", limit=limit))
        assert (answer.ranker, len(answer.ranking.items)) == ("model", limit)


def test_an_answer_is_explained_after_an_item_of_it_is_gone(start):
    engine = start()
    engine.append([NewEvent("1", "erin", "named only", 5.0), NewEvent("2", "frank", "i1", 5.0)])
    both = engine.rank(Query(user="frank", candidates=("named only", "i2")))
    one = engine.rank(Query(user="frank", candidates=("named only",)))
    engine.erase("erin")
    engine = start()
    explained = engine.explain(both.request_id)
    assert {item.item: bool(item.reasons) for item in explained.items} == {"named only": False, "i2": True}
    assert not explained.exact
    assert not engine.explain(one.request_id).items[0].reasons


def test_a_history_names_an_item_that_is_not_known_yet(start, world):
    engine = start()
    engine._store.append([NewEvent("1", "u1", "brand new", 5.0)], liked=bool, now=5000)
    service = Service(lambda: engine, store=engine._store, dataset=world, settings=load_settings())
    asyncio.run(service.start())
    assert past_events(service, "u1", limit=1).events[0].title == "brand new"


def test_models_are_switched_while_they_answer(start, other_run):
    engine, failed, done = start(), [], threading.Event()

    def ask():
        while not done.is_set():
            answer = engine.recommend(Query(user="u1"))
            if answer.ranker != "model":
                failed.append(answer)

    asking = threading.Thread(target=ask)
    asking.start()
    engine.append(events(10))
    first = scores(engine, "u1")
    split = engine.activate(other_run, split=0.5)
    assert [(arm.name, arm.share) for arm in split.arms] == [("first", 0.5), ("second", 0.5)]
    arms = {engine.recommend(Query(user=f"u{number}")).arm for number in range(12)}
    assert arms == {"first", "second"}
    engine.append([NewEvent("liked", "u1", engine.recommend(Query(user="u1")).ranking.items[0].item, 5.0)])
    alone = engine.activate(other_run)
    done.set()
    asking.join()
    assert [arm.name for arm in alone.arms] == ["second"]
    assert not failed
    assert scores(engine, "u1") != pytest.approx(first, abs=EXACT)
    shown = {arm.name: dict(arm.outcomes) for arm in split.arms}
    assert shown["first"]["answers"] > 0
    engine._store.flush()
    counts = engine._store.outcomes()
    assert sum(count for (_, kind), count in counts.items() if kind == "hits") == 1
    with pytest.raises(UsageError):
        engine.activate(other_run, split=1.5)
