"""Windows: what is shown, and that nothing of the query's instant or later ever is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import planted_world

from recollect.context.evidence import Context, HistoryView
from recollect.data.log import EventLog
from recollect.data.past import PastRule
from recollect.errors import LeakError


def random_log(*, count: int, span: int, seed: int) -> EventLog:
    """Make events of three users in a span of seconds, with many ties when it is short."""
    random = np.random.default_rng(seed)
    return EventLog.sorted(
        user=random.integers(0, 3, count).astype(np.int32),
        item=random.integers(0, 9, count).astype(np.int32),
        time=random.integers(0, span, count),
        value=np.ones(count, np.float32),
        label=random.random(count) < 0.5,
        user_count=3,
        item_count=9,
    )


sizes = {"count": st.integers(1, 60), "span": st.integers(1, 60), "seed": st.integers(0, 10_000)}


@given(
    **sizes,
    shown=st.integers(1, 9),
    evict=st.integers(1, 4),
    ties=st.sampled_from(["exclude", "order"]),
    delay=st.integers(0, 20),
)
def test_nothing_shown_is_of_the_querys_instant_or_later(count, span, seed, shown, evict, ties, delay):
    log = random_log(count=count, span=span, seed=seed)
    rule = PastRule(ties=ties, delay=delay)
    context = Context(log, rule=rule, prior=0.5)
    view = HistoryView(shown=shown, evict=min(evict, shown))
    rows = np.arange(len(log))
    windows = [*context.replay_windows(rows, view)]
    windows += context.tuning_windows(rows, view, random=np.random.default_rng(0))
    for window in windows:
        for place, row in enumerate(window.rows):
            seen = window.rows[: window.sees[place]]
            assert (log.user[seen] == log.user[row]).all()
            assert (log.time[seen] <= log.time[row] - delay).all()
            assert (log.time[seen] < log.time[row]).all() or ties == "order"
            assert (seen < row).all()


@given(**sizes, shown=st.integers(1, 9))
def test_every_row_is_asked_once_with_the_window_that_its_past_demands(count, span, seed, shown):
    log = random_log(count=count, span=span, seed=seed)
    context = Context(log, rule=PastRule(), prior=0.5)
    view = HistoryView(shown=shown, evict=1)
    asked = []
    for window in context.replay_windows(np.arange(len(log)), view):
        asked += window.rows[window.asked].tolist()
        known = context.past.visible[window.rows[window.asked]]
        assert (window.sees[window.asked] == np.minimum(known, shown)).all()
    assert sorted(asked) == list(range(len(log)))


def test_a_leak_in_the_flow_is_refused():
    world = planted_world()
    context = Context(world.log, rule=PastRule(), prior=0.5)
    line = context.timeline(0)
    window = line.window(0, len(line))
    window.sees[1] = 2  # event 1 sees itself
    with pytest.raises(LeakError, match="before it is known"):
        context.check(window)


def test_tuning_windows_ask_each_row_once_and_none_of_later_parts():
    world = planted_world()
    context = Context(world.log, rule=PastRule(), prior=0.5)
    rows = np.arange(400)
    windows = list(context.tuning_windows(rows, HistoryView(shown=5, evict=1), random=np.random.default_rng(3)))
    assert sorted(np.concatenate([w.rows[w.asked] for w in windows]).tolist()) == rows.tolist()
    assert max(len(w) for w in windows) == 5
    assert max(w.rows.max() for w in windows) < 400


def test_the_person_is_summed_up_from_what_is_seen():
    world = planted_world()
    line = Context(world.log, rule=PastRule(), prior=0.5).timeline(0)
    window = line.window(0, 4)
    person = window.person(np.array([0, 2], np.int32))
    assert person[0].tolist() == [0.0, 0.0]
    residuals = window.features[:2, 2] / 2  # stored doubled
    assert person[1, 0] == pytest.approx(8 * residuals.sum() / (2 + 20), rel=1e-5)
