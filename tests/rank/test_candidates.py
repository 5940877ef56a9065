"""Candidates: everything in a small catalog; co-visited, similar and popular items in a large one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.context.evidence import Timeline
from recollect.data.log import EventLog
from recollect.rank.candidates import Candidates

# user 0 likes item 0; user 1 rated 0, 1 and 2, user 2 rated 0 and 1; user 3 has nothing to do with them
RATED = [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 5), (3, 6), (4, 6), (5, 6)]
ITEMS = 8


def log_of(pairs: list[tuple[int, int]]) -> EventLog:
    user, item = np.array(pairs, np.int32).T
    count = len(pairs)
    return EventLog.sorted(
        user=user, item=item, time=np.arange(count, dtype=np.int64), value=np.ones(count, np.float32),
        label=np.ones(count, np.bool_), user_count=6, item_count=ITEMS,
    )  # fmt: skip


def line_of(items: list[int], *, likes: list[bool] | None = None) -> Timeline:
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


def vectors() -> np.ndarray:
    """Let item 4 point almost where item 0 points, item 3 nearly so, and all others away."""
    angles = np.array([0.0, 2.0, 2.1, 0.5, 0.1, 2.2, 2.3, 2.4])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32) * 3


@pytest.fixture(scope="module")
def small():
    return Candidates.of(log_of(RATED), vectors())


@pytest.fixture(scope="module")
def large():
    return Candidates.of(log_of(RATED), vectors(), everything=5, limit=3)


def test_a_small_catalog_is_scored_whole_but_for_known_items(small):
    items, how = small.choose(line_of([0, 3]))
    assert items.tolist() == [1, 2, 4, 5, 6, 7]
    assert how == "all items without an event of the user"


def test_each_source_gives_its_best_in_a_large_catalog(large):
    items, how = large.choose(line_of([0]))
    # item 1 was rated by both users who rated item 0, item 4 is the nearest, item 6 the most rated
    assert items.tolist() == [1, 4, 6]
    assert how == "co-visited, similar and popular items"


@pytest.mark.parametrize("line", [line_of([]), line_of([1], likes=[False])], ids=["no event", "no like"])
def test_without_likes_the_popular_items_are_taken(large, line):
    items, _ = large.choose(line)
    assert items.tolist() == [item for item in (0, 6, 1, 2) if item not in line.items][:3]


def test_items_that_came_later_than_the_index_are_no_candidates(large):
    assert len(large.choose(line_of([0, ITEMS + 3], likes=[True, False]))[0]) == 3


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, ITEMS - 1)), min_size=1, max_size=30),
    known=st.lists(st.integers(0, ITEMS - 1), max_size=ITEMS),
    limit=st.integers(1, ITEMS + 2),
)
def test_candidates_are_new_distinct_and_as_many_as_there_can_be(pairs, known, limit):
    items = Candidates.of(log_of(pairs), vectors(), everything=5, limit=limit).choose(line_of(known))[0].tolist()
    assert len(set(items)) == len(items)
    assert not set(items) & set(known)
    assert len(items) == min(limit, ITEMS - len(set(known)))
