"""What blocks show: never anything of the query's instant or later, in the order and number that the view says."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.context.block_evidence import BlockChooser, BlockEvidence, Shown
from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.evidence import Context, HistoryView, Timeline
from recollect.context.retrieval import Neighbours
from recollect.data.log import EventLog
from recollect.data.past import PastRule
from recollect.errors import LeakError

ITEMS = 40
STATIC = np.random.default_rng(3).integers(-2, 3, (ITEMS, 5)).astype(np.float32)
VIEWS = {
    "choice": st.sampled_from(["recent", "retrieved", "both"]),
    "order": st.sampled_from(["time", "similar-first", "similar-last"]),
    "feedback": st.sampled_from(["all", "likes"]),
    "similarity": st.sampled_from(["semantic", "collaborative", "hybrid"]),
    "per": st.sampled_from(["candidate", "set"]),
    "shown": st.integers(0, 6),
}


def random_log(*, count: int, span: int, seed: int) -> EventLog:
    """Make events of two users without repeats, with many ties when the span is short."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(2 * ITEMS)[:count]
    return EventLog.sorted(
        user=(pairs // ITEMS).astype(np.int32),
        item=(pairs % ITEMS).astype(np.int32),
        time=random.integers(0, span, count),
        value=np.ones(count, np.float32),
        label=random.random(count) < 0.5,
        user_count=2,
        item_count=ITEMS,
    )


def chooser(*, solved: tuple[int, str] = (0, "recent"), **view) -> BlockChooser:
    seen = HistoryView.model_validate(view)
    count, choice = solved
    settings = DemonstrationSettings.model_validate({"count": count, "choice": choice})
    return BlockChooser(seen, settings, Neighbours.of(STATIC, collaborative=2, view=seen))


def line_of(items: list[int], *, likes: list[bool] | None = None) -> Timeline:
    """Make a timeline with an event each second."""
    count = len(items)
    return Timeline(
        user=0,
        rows=np.arange(count),
        items=np.array(items, np.int32),
        labels=np.array([True] * count if likes is None else likes, np.bool_),
        values=np.ones(count, np.float32),
        times=np.arange(count, dtype=np.int64),
        features=np.zeros((count, 4), np.float32),
        visible=np.arange(count, dtype=np.int32),
    )


@given(
    count=st.integers(1, 50),
    span=st.integers(1, 50),
    seed=st.integers(0, 10_000),
    ties=st.sampled_from(["exclude", "order"]),
    delay=st.integers(0, 12),
    view=st.fixed_dictionaries(VIEWS),
    solved=st.tuples(st.integers(0, 3), st.sampled_from(["recent", "similar"])),
    original=st.booleans(),
)
def test_nothing_shown_is_of_the_querys_instant_or_later(count, span, seed, ties, delay, view, solved, original):
    log = random_log(count=count, span=span, seed=seed)
    context = Context(log, rule=PastRule(ties=ties, delay=delay), prior=0.5)
    blocks = chooser(solved=solved, **view)
    for user in range(2):
        line = context.timeline(user)
        for event, row in enumerate(line.rows.tolist()):
            known, targets = int(context.past.visible[row]), line.items[event : event + 1]
            found = blocks.evidence(line, known, targets, original=original)
            found.check(context.past, row)
            asked = [Shown(event, found.query), *found.demonstrations]
            assert all(one.event < event for one in found.demonstrations)
            assert len(found.demonstrations) == min(solved[0], known)
            for one in asked:
                shown, time = line.rows[one.history], line.times[one.event]
                assert (log.time[shown] <= time - delay).all()
                assert (log.time[shown] < time).all() or ties == "order"
                assert (shown < line.rows[one.event]).all()
                assert log.item[line.rows[one.event]] not in log.item[shown]
                assert len(set(shown.tolist())) == len(shown)


@given(
    items=st.lists(st.integers(0, 9), max_size=20),
    seed=st.integers(0, 99),
    view=st.fixed_dictionaries(VIEWS),
    known=st.integers(0, 20),
)
def test_a_history_holds_as_many_events_as_it_can_of_the_right_kind(items, seed, view, known):
    likes = (np.random.default_rng(seed).random(len(items)) < 0.5).tolist()
    line, known = line_of(items, likes=likes), min(known, len(items))
    history = chooser(**view).history(line, known, 3).tolist()
    pool = [place for place in range(known) if likes[place] or view["feedback"] == "all"]
    recent = {"recent": view["shown"], "both": (view["shown"] + 1) // 2, "retrieved": 0}[view["choice"]]
    last = pool[max(len(pool) - recent, 0) :]
    others = {items[place] for place in pool} - {items[place] for place in last}
    assert set(last) <= set(history) <= set(pool)
    assert len(history) == len(set(history)) == min(view["shown"], len(last) + len(others))
    if view["order"] == "time":
        assert history == sorted(history)


# The person likes and dislikes items 0 to 5, whose similarity to item 6 is here; 1 and 4 are equally near.
NEARNESS = [0.5, 0.25, 1.0, 0.0, 0.25, 0.75]
KNOWN = line_of([0, 1, 2, 3, 4, 5], likes=[True, True, False, True, True, False])


def by_nearness(**view) -> BlockChooser:
    directions = np.array([[*NEARNESS, 1.0]], np.float32).T
    return BlockChooser(HistoryView.model_validate(view), DemonstrationSettings(), Neighbours(directions))


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"shown": 3}, [3, 4, 5]),
        ({"shown": 0}, []),
        ({"shown": 9}, [0, 1, 2, 3, 4, 5]),
        ({"shown": 3, "feedback": "likes"}, [1, 3, 4]),
        ({"shown": 4, "order": "similar-first"}, [2, 5, 4, 3]),
        ({"shown": 4, "order": "similar-last"}, [3, 4, 5, 2]),
        ({"shown": 3, "choice": "retrieved"}, [0, 2, 5]),
        ({"shown": 3, "choice": "retrieved", "order": "similar-first"}, [2, 5, 0]),
        ({"shown": 3, "choice": "retrieved", "order": "similar-last"}, [0, 5, 2]),
        ({"shown": 2, "choice": "retrieved", "feedback": "likes"}, [0, 4]),
        ({"shown": 9, "choice": "retrieved", "order": "similar-first"}, [2, 5, 0, 4, 1, 3]),
        ({"shown": 3, "choice": "both"}, [2, 4, 5]),
        ({"shown": 4, "choice": "both", "order": "similar-last"}, [4, 0, 5, 2]),
        ({"shown": 1, "choice": "both"}, [5]),
    ],
    ids=str,
)
def test_choices_and_orders(view, expected):
    assert by_nearness(**view).history(KNOWN, 6, 6).tolist() == expected


@pytest.mark.parametrize("choice", ["retrieved", "both"])
@pytest.mark.parametrize("order", ["time", "similar-first"])
def test_the_original_side_is_the_recent_history_in_time_order(choice, order):
    blocks = by_nearness(shown=3, choice=choice, order=order, feedback="likes")
    assert blocks.history(KNOWN, 6, 6, original=True).tolist() == [1, 3, 4]


@given(
    items=st.lists(st.integers(0, 9), max_size=20),
    targets=st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=5),
    view=st.fixed_dictionaries(VIEWS),
)
def test_a_shared_history_is_all_that_any_target_would_be_shown_alone(items, targets, view):
    line, blocks = line_of(items), chooser(**view)
    shared = blocks.shared_history(line, len(line), np.array(targets, np.int32)).tolist()
    alone = [blocks.history(line, len(line), target).tolist() for target in targets]
    assert sorted(shared) == sorted({place for history in alone for place in history})
    near = blocks.neighbours.closeness(line.items[shared], np.array(targets, np.int32))
    keys = {"time": shared, "similar-last": [*zip(near, shared, strict=True)]}
    keys["similar-first"] = keys["similar-last"][::-1]
    assert keys[view["order"]] == sorted(keys[view["order"]])


def test_shared_demonstrations_are_as_many_as_asked_for():
    directions = np.eye(6, dtype=np.float32)[[0, 1, 2, 3, 4, 5, 1, 4]]
    blocks = BlockChooser(
        HistoryView(shown=1, choice="retrieved", per="set"),
        DemonstrationSettings(count=1, choice="similar"),
        Neighbours(directions),
    )
    found = blocks.evidence(KNOWN, 6, np.array([6, 7], np.int32))
    assert found.query.tolist() == [1, 4]
    assert [one.event for one in found.demonstrations] == [4]


def test_a_demonstration_has_the_history_of_its_own_moment():
    line = line_of([0, 1, 2, 3], likes=[True, False, True, True])
    blocks = chooser(solved=(2, "recent"), shown=10, feedback="likes")
    found = {
        one.event: one.history.tolist() for one in blocks.evidence(line, 4, np.array([9], np.int32)).demonstrations
    }
    assert found == {2: [0], 3: [0, 2]}


@pytest.mark.parametrize(
    ("choice", "order", "per", "solved"),
    [*product(["recent", "retrieved", "both"], ["time", "similar-last"], ["candidate", "set"], ["recent", "similar"])],
)
def test_one_trunk_serves_all_when_nothing_depends_on_the_target(choice, order, per, solved):
    blocks = BlockChooser(
        HistoryView.model_validate({"choice": choice, "order": order, "per": per}),
        DemonstrationSettings.model_validate({"count": 2, "choice": solved}),
        Neighbours(STATIC),
    )
    assert blocks.is_shared == (per == "set" or (choice, order, solved) == ("recent", "time", "recent"))


def test_nothing_shown_depends_on_nothing():
    view = HistoryView(shown=0, choice="retrieved")
    assert BlockChooser(view, DemonstrationSettings(choice="similar"), Neighbours(STATIC)).is_shared


@pytest.mark.parametrize("where", ["query", "demonstration", "its history"])
def test_a_leak_in_the_flow_is_refused(where):
    log = random_log(count=60, span=500, seed=1)
    context = Context(log, rule=PastRule(), prior=0.5)
    line = context.timeline(0)
    early, late = np.array([0, 1]), np.array([0, 9])
    shown = Shown(9 if where == "demonstration" else 4, late if where == "its history" else early)
    evidence = BlockEvidence(line, (shown,), late if where == "query" else early)
    with pytest.raises(LeakError, match="before it is known"):
        evidence.check(context.past, int(line.rows[9]))
