"""The live context: whatever the order of arrival, and whatever was forgotten, it equals a log that has all events."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.context.evidence import TIMELINE_ARRAYS, Context
from recollect.context.live import NOBODY, LiveContext, LiveEvent, Person
from recollect.data.log import EventLog
from recollect.data.past import PastRule

USERS, ITEMS = 3, 4

rows = st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1), st.integers(10, 40), st.booleans())


def log_of(events) -> EventLog:
    table = np.array([(u, i, t, liked) for u, i, t, liked in events], np.int64).reshape(-1, 4)
    return EventLog.sorted(
        user=table[:, 0].astype(np.int32),
        item=table[:, 1].astype(np.int32),
        time=table[:, 2],
        value=table[:, 3].astype(np.float32),
        label=table[:, 3] == 1,
        user_count=USERS,
        item_count=ITEMS,
    )


def live_events(events) -> list[LiveEvent]:
    return [
        LiveEvent(number + 1, str(user), item, float(liked), liked, time)
        for number, (user, item, time, liked) in enumerate(events)
    ]


def people():
    return [Person(str(code), code) for code in range(USERS)]


def assert_same(one, other):
    for name in TIMELINE_ARRAYS[1:]:  # rows differ: live events have none
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6, err_msg=name)


@given(
    old=st.lists(rows, max_size=12),
    new=st.lists(rows, max_size=12),
    delay=st.sampled_from([0, 7]),
    ties=st.sampled_from(["exclude", "order"]),
    budget=st.sampled_from([0, 2000, None]),
)
def test_events_that_came_in_any_order_equal_a_log_that_has_them(old, new, delay, ties, budget):
    rule = PastRule(ties=ties, delay=delay)
    stored: list[LiveEvent] = []
    live = LiveContext(
        Context(log_of(old), rule=rule, prior=0.4),
        load=lambda user: [event for event in stored if event.user == user],
        budget=budget,
    )
    for event in live_events(new):
        stored.append(event)
        live.take([event])
        live.timeline(people()[event.item % USERS])  # some are looked at, and so kept, in between
    whole = Context(log_of([*old, *new]), rule=rule, prior=0.4)
    for person in people():
        assert_same(live.timeline(person), whole.timeline(person.code))
    items = np.arange(ITEMS + 1, dtype=np.int32)
    for moment in (5, 25, live.now()):
        np.testing.assert_allclose(live.features(items, moment), whole.statistics.at(items, moment), atol=1e-6)
    assert budget is None or live.nbytes <= budget


@given(kept=st.lists(rows, max_size=8), gone=st.lists(rows, max_size=8))
def test_a_forgotten_user_was_never_there(kept, gone):
    away = [(0, *row[1:]) for row in gone]
    others = [(1 + row[0] % 2, *row[1:]) for row in kept]
    live = LiveContext(Context(log_of([]), rule=PastRule(), prior=0.4))
    events = live_events([*others, *away])
    live.take(events)
    live.forget("0", events[len(others) :])
    whole = Context(log_of(others), rule=PastRule(), prior=0.4)
    for person in people():
        assert_same(live.timeline(person), whole.timeline(person.code))


def test_an_event_is_taken_once():
    live = LiveContext(Context(log_of([]), rule=PastRule(), prior=0.4))
    event = LiveEvent(1, "0", 2, 1.0, True, 20)
    live.take([event, event])
    live.take([event])
    assert len(live.timeline(Person("0", 0))) == 1
    assert live.has_events(Person("0", 0))
    assert not live.has_events(Person("1", 1))


def test_a_history_that_comes_with_its_question_leaves_nothing_behind():
    live = LiveContext(Context(log_of([(0, 1, 10, True)]), rule=PastRule(), prior=0.4))
    line = live.anonymous(
        np.array([1, 3], np.int32), values=np.array([5, 1], np.float32), labels=np.array([True, False])
    )
    assert line.user == NOBODY
    assert line.visible_at(live.now(), gap=live.gap) == 2
    assert live.nbytes == 0


@pytest.mark.parametrize("liked", [False, True])
def test_only_what_was_known_at_a_moment_counts(liked):
    live = LiveContext(Context(log_of([]), rule=PastRule(), prior=0.5))
    live.take([LiveEvent(1, "0", 0, 1.0, liked, 20)])
    item = np.zeros(1, np.int32)
    assert live.features(item, 20)[0, 1] == 0
    assert live.features(item, 21)[0, 1] == pytest.approx(np.log(2) / 4)
    assert (live.features(item, 21)[0, 0] > 0) == liked
